#![no_main]
//! The reader `gzip`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("gzip", bytes));
