//! `cargo seaworthy`: the same program, installed, for any workspace.

fn main() -> std::process::ExitCode {
    seaworthy::main()
}
