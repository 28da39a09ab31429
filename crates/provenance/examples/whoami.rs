//! Prints what the program says it is: the smallest program with a slot, patched and started by `tests/patched.rs`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    match seaworthy_provenance::me() {
        Some(me) => writeln!(std::io::stdout(), "{} {} {} {}", me.product, me.version, me.commit, me.build),
        None => writeln!(std::io::stdout(), "not released"),
    }
}
