#![no_main]
//! The reader `bzip2`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("bzip2", bytes));
