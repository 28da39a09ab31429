#![no_main]
//! The reader `cabinet`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("cabinet", bytes));
