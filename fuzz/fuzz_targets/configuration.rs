#![no_main]
//! The reader `configuration`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("configuration", bytes));
