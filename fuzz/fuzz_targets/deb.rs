#![no_main]
//! The reader `deb`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("deb", bytes));
