#![no_main]
//! The reader `verify_elf`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("verify_elf", bytes));
