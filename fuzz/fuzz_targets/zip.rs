#![no_main]
//! The reader `zip`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("zip", bytes));
