#![no_main]
//! The reader `http`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("http", bytes));
