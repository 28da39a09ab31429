//! Answers the zig wrapper's calls in this crate's tests, as `xtask` does for everyone else.

use std::env;

fn main() -> Result<(), seaworthy_compile::Error> {
    seaworthy_compile::run_zig_wrapper(env::args_os().skip(2))
}
