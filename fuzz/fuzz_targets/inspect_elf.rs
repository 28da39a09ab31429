#![no_main]
//! The reader `inspect_elf`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::read("inspect_elf", bytes));
