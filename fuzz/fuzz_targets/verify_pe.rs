#![no_main]
//! The reader `verify_pe`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("verify_pe", bytes));
