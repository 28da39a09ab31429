#![no_main]
//! The reader `inspect_pe`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("inspect_pe", bytes));
