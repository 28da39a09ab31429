#![no_main]
//! The reader `queue`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("queue", bytes));
