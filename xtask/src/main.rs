//! `cargo xtask`: the program inside this repository.

fn main() -> std::process::ExitCode {
    seaworthy::main()
}
