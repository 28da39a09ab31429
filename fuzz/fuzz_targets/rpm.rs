#![no_main]
//! The reader `rpm`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("rpm", bytes));
