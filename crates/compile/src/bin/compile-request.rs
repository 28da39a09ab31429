//! Builds what a JSON file asks for, `[CompileRequest, Toolchain]`: this crate's tests kill it at bad moments.

use std::error::Error;
use std::{env, fs};

use artifact::Toolchain;
use seaworthy_compile::{CompileRequest, compile};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("which file?")?;
    let (request, toolchain): (CompileRequest, Toolchain) = serde_json::from_slice(&fs::read(path)?)?;
    compile(&request, &toolchain, &artifact::ignore_events)?;
    Ok(())
}
