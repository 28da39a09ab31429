#![no_main]
//! The reader `policy`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("policy", bytes));
