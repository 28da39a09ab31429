#![no_main]
//! The reader `control`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("control", bytes));
