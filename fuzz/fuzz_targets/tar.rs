#![no_main]
//! The reader `tar`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("tar", bytes));
