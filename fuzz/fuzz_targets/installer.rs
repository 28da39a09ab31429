#![no_main]
//! The reader `installer`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("installer", bytes));
