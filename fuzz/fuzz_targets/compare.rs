#![no_main]
//! The reader `compare`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("compare", bytes));
