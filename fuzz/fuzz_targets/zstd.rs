#![no_main]
//! The reader `zstd`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("zstd", bytes));
