#![no_main]
//! The reader `statement`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("statement", bytes));
