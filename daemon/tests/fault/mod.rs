//! Real faults in a process that has no switch for them: code that is written over what one of its threads returns to.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unreachable_pub, reason = "as in the other modules that tests share")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Instant;

use crate::support::PATIENCE;

/// Reads address 0.
pub const READ_NULL: &[u8] = &[0x31, 0xc0, 0x8a, 0x00];
/// No instruction.
pub const ILLEGAL: &[u8] = &[0x0f, 0x0b];
/// Divides by 0.
pub const DIVIDE: &[u8] = &[0x31, 0xc9, 0xf7, 0xf1];
/// What debuggers write.
pub const BREAKPOINT: &[u8] = &[0xcc];
/// Calls itself, until the stack ends.
pub const OVERFLOW: &[u8] = &[0xe8, 0xfb, 0xff, 0xff, 0xff];

/// Aligns the stack and calls `function`.
pub fn call(function: u64) -> Vec<u8> {
    [&[0x48, 0x83, 0xe4, 0xf0, 0x48, 0xb8], &function.to_le_bytes()[..], &[0xff, 0xd0]].concat()
}

/// A thread that waits in the kernel.
pub struct Waiting {
    pub process: i64,
    pub thread: u32,
    /// Where it will go on.
    pub instruction: u64,
}

impl Waiting {
    /// The thread that reads standard input, once it does.
    pub fn for_input(process: i64) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for thread in threads(process) {
                // "0 0x0 …": read(2) of descriptor 0; the last word is the instruction pointer (proc_pid_syscall(5)).
                let call = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall"));
                let call = call.unwrap_or_default();
                if call.starts_with("0 0x0 ") {
                    let instruction = call.trim_end().rsplit("0x").next().expect("a last word");
                    let instruction = u64::from_str_radix(instruction, 16).expect("hexadecimal");
                    return Self { process, thread, instruction };
                }
            }
            assert!(Instant::now() < deadline, "no thread of {process} reads standard input");
            std::thread::yield_now();
        }
    }

    /// What it executes when it goes on. The system lets root write where the process itself may not.
    pub fn will_execute(&self, code: &[u8]) {
        let memory: File =
            OpenOptions::new().write(true).open(format!("/proc/{}/mem", self.process)).expect("root");
        memory.write_all_at(code, self.instruction).expect("written");
    }
}

pub fn threads(process: i64) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut threads: Vec<u32> =
        threads.map(|entry| name(entry).to_str().expect("digits").parse().expect("a number")).collect();
    threads.sort_unstable();
    threads
}

/// The files whose code a process has in its memory, and where each begins.
pub fn modules(process: i64) -> Vec<(String, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("it runs");
    let rows: Vec<Vec<&str>> = maps.lines().map(|line| line.split_whitespace().collect()).collect();
    let files = rows.iter().filter(|row| row.len() == 6 && row[5].starts_with('/'));
    let mut modules: Vec<(String, u64)> = Vec::new();
    for row in files {
        let start = row[0].split('-').next().expect("a start");
        if !modules.iter().any(|(name, _)| name == row[5]) {
            modules.push((row[5].to_owned(), u64::from_str_radix(start, 16).expect("hexadecimal")));
        }
    }
    let runs = |name: &str| rows.iter().any(|row| row.get(5) == Some(&name) && row[1].contains('x'));
    modules.retain(|(name, _)| runs(name));
    modules
}

/// Where a function of the program is that has `name` in its mangled one.
#[expect(clippy::disallowed_methods, reason = "binutils have no other door")]
pub fn function(process: i64, name: &str) -> u64 {
    let program = std::fs::read_link(format!("/proc/{process}/exe")).expect("it runs");
    let output = Command::new("nm").arg(&program).output().expect("Debian's package binutils");
    let symbols = String::from_utf8(output.stdout).expect("ASCII");
    let symbol = symbols.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name}"));
    let offset = u64::from_str_radix(symbol.split(' ').next().expect("a value"), 16).expect("hexadecimal");
    let program = program.to_str().expect("UTF-8");
    let (_, base) = modules(process).into_iter().find(|(file, _)| file == program).expect("its own file");
    base + offset
}
