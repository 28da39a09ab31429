//! Damaged files: an answer in bounded time, never a panic, and nothing written where the answer is an error.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use artifact::Target;
use seaworthy_finish::{ErrorKind, FinishOptions};
use support::{c_program_from, finish_into};
use tempfile::TempDir;

/// A program without a C library: some kilobytes, so that mutations hit tables and not text.
const BARE: &str = "int work(int x) { return x * 3; }\nint entry(void) { return work(2); }\n\
    int (*table[])(int) = { work };\n";

const ROUNDS: u32 = 3000;

#[test]
fn damaged_elf_files() {
    damage(Target::X86_64Linux, &["-nostdlib", "-Wl,-eentry"]);
}

#[test]
fn damaged_pe_files() {
    damage(Target::X86_64Windows, &["-nostdlib", "-Wl,-eentry"]);
}

fn damage(target: Target, flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    let program = c_program_from(BARE, target, folder.path(), flags);
    let good = fs::read(&program).unwrap();
    let out = folder.path().join("out");
    finish_into(target, &program, &out, FinishOptions::default()).expect("the whole file is finished");
    fs::remove_dir_all(&out).unwrap();
    let (mut random, mut refused) = (XorShift(0x5ea_0047), 0);
    for round in 0..ROUNDS {
        fs::write(&program, mutated(&good, &mut random)).unwrap();
        let start = Instant::now();
        let result = finish_into(target, &program, &out, FinishOptions::default());
        assert!(start.elapsed() < Duration::from_secs(5), "round {round} took {:?}", start.elapsed());
        if let Err(error) = &result {
            assert!(!matches!(error.kind(), ErrorKind::SelfCheck | ErrorKind::Io), "round {round}: {error}");
            assert!(!out.exists(), "round {round}: an error, and still something was written");
            refused += 1;
        } else {
            let size = result.unwrap().size();
            assert!(size < 4 * good.len() as u64 + 65536, "round {round} grew to {size} bytes");
            fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(refused > ROUNDS / 10, "only {refused} of {ROUNDS} mutations were refused: they miss the tables");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for target in [Target::X86_64Linux, Target::X86_64Windows] {
        let folder = TempDir::new().unwrap();
        let program = c_program_from(BARE, target, folder.path(), &["-nostdlib", "-Wl,-eentry"]);
        let good = fs::read(&program).unwrap();
        for length in (0..good.len()).step_by(37) {
            fs::write(&program, &good[..length]).unwrap();
            let out = folder.path().join("out");
            let error = finish_into(target, &program, &out, FinishOptions::default());
            assert_eq!(error.expect_err("cut").kind(), ErrorKind::Malformed, "{target} cut to {length}");
            assert!(!out.exists());
        }
    }
}

/// One to four changes, most of them where tables are: at the start and the end of the file.
fn mutated(good: &[u8], random: &mut XorShift) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(4) {
        let at = match random.below(3) {
            0 => random.below(1024.min(bytes.len())),
            1 => bytes.len() - 1 - random.below(2048.min(bytes.len())),
            _ => random.below(bytes.len()),
        };
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] = 0xff,
            2 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
    if random.below(20) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

/// Marsaglia's generator: the same mutations on every machine.
struct XorShift(u64);

impl XorShift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
