//! The gate on real files: small ones in `fixtures/`, and the same with one field changed.

mod cases;
mod cases_elf;
mod cases_pe;
mod closure;
mod evidence;
mod independent;
mod mutations;
mod rust_programs;
mod support;
