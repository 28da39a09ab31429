//! Every input that a fuzzer found worth keeping, and a few hundred mutations of each, through its reader.
//!
//! The fuzzers themselves need a nightly compiler and hours (`docs/fuzzing.md`); this needs neither, and finds whatever
//! comes back.

use std::alloc::System;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cap::Cap;
use hostile::{READERS, Reader};

/// What one input may take, in bytes of memory.
const MOST: usize = 64 << 20;
/// Mutations of each input.
const MUTATIONS: u64 = 48;

/// Counts what is taken; a single test, so that nothing else is counted with it.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn no_kept_input_and_no_mutation_of_it_harms_a_reader() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let folders: BTreeSet<_> = entries(&corpus).iter().map(|path| name(path)).collect();
    let readers: BTreeSet<_> = READERS.iter().map(|reader| reader.name.to_owned()).collect();
    assert_eq!(folders, readers, "a folder of inputs for each reader");
    let (mut failed, mut runs) = (Vec::new(), 0);
    for reader in READERS {
        let files = entries(&corpus.join(reader.name));
        assert!(!files.is_empty(), "{} has no inputs", reader.name);
        for file in files {
            let input = fs::read(&file).unwrap();
            for round in 0..=MUTATIONS {
                runs += 1;
                let bytes = if round == 0 { input.clone() } else { mutated(&input, round) };
                if let Some(harm) = harm(reader, &bytes) {
                    let kept =
                        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{round}", name(&file)));
                    fs::write(&kept, &bytes).unwrap();
                    failed.push(format!("{} on {}: {harm}", reader.name, kept.display()));
                }
            }
        }
    }
    assert!(runs > 2_000, "only {runs} inputs were read");
    assert!(failed.is_empty(), "{} inputs do harm:\n{}", failed.len(), failed.join("\n"));
}

/// What reading `bytes` does that it must not do.
fn harm(reader: Reader, bytes: &[u8]) -> Option<String> {
    let (before, peak_before) = (MEMORY.allocated(), MEMORY.max_allocated());
    let ended = catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
    // The peak only ever rises: one that did not rise was reached by an earlier input.
    let peak = MEMORY.max_allocated();
    if ended.is_err() {
        Some("it panics".to_owned())
    } else if peak > peak_before && peak - before > MOST {
        Some(format!("it takes {} bytes at once", peak - before))
    } else {
        None
    }
}

/// `input` with a few of its bytes changed as fuzzers change them: the same ones for the same `round`.
fn mutated(input: &[u8], round: u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let mut random = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ input.len() as u64;
    let mut below = |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % most.max(1)
    };
    for _ in 0..1 + below(4) {
        let place = below(bytes.len());
        match below(6) {
            0 => bytes.truncate(place),
            1 => fill(&mut bytes, place, &[0xff; 4]),
            2 => fill(&mut bytes, place, &[0; 8]),
            3 => fill(&mut bytes, place, &[0xff, 0xff, 0xff, 0x7f]),
            4 => {
                let from = below(bytes.len());
                let piece = bytes[from..(from + 1 + below(64)).min(bytes.len())].to_vec();
                fill(&mut bytes, place, &piece);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << below(8);
                }
            }
        }
    }
    bytes
}

fn fill(bytes: &mut [u8], place: usize, with: &[u8]) {
    for (byte, with) in bytes.iter_mut().skip(place).zip(with) {
        *byte = *with;
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
