#![no_main]
//! The reader `xz`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("xz", bytes));
