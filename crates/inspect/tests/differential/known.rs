//! Differences that somebody settled by reading the bytes: who is right, and why. Each must still occur in a full run.

use std::fs;

use inspect::Facts;
use inspect::facts::Binary;

use crate::Difference;

/// One kind of difference.
pub(crate) struct Known {
    pub(crate) reader: &'static str,
    pub(crate) fact: &'static str,
    /// Who is right.
    pub(crate) right: &'static str,
    /// What the bytes say.
    pub(crate) reason: &'static str,
    /// Takes back what makes this difference, and nothing else: what then still differs is another one.
    pub(crate) undo: fn(&mut Difference),
}

pub(crate) const KNOWN: &[Known] = &[
    Known {
        reader: "readelf",
        fact: "exports with versions",
        right: "ours",
        reason: "A symbol that marks a version node has the node's name and version (`BLKID_1.0@@BLKID_1.0`); readelf leaves out a version that \
                 is the symbol's name.",
        undo: |difference| {
            for export in &mut difference.ours {
                if let Some((name, version)) = export.split_once('@')
                    && version.trim_start_matches('@') == name
                {
                    *export = name.to_owned();
                }
            }
            difference.ours.sort();
        },
    },
    Known {
        reader: "LIEF",
        fact: "notes",
        right: "ours",
        reason: "`n_descsz` is the size without padding (gABI): Go's build ID has 83 bytes. LIEF rounds it up to words.",
        undo: |difference| {
            for note in &mut difference.ours {
                if let Some((start, size)) = note.rsplit_once(" 0x")
                    && let Ok(size) = u64::from_str_radix(size, 16)
                {
                    *note = format!("{start} {:#x}", size.next_multiple_of(4));
                }
            }
            difference.ours.sort();
            difference.ours.dedup();
        },
    },
    Known {
        reader: "LIEF",
        fact: "build ID",
        right: "ours, readelf, eu-readelf",
        reason: "A build ID is bytes and has no byte order. LIEF turns each four bytes of it around where the file is big endian.",
        undo: |difference| {
            for id in &mut difference.theirs {
                let words = id.as_bytes().chunks(8).map(|word| {
                    word.chunks(2).rev().flatten().map(|digit| char::from(*digit)).collect::<String>()
                });
                *id = words.collect();
            }
        },
    },
    Known {
        reader: "LIEF",
        fact: "exports",
        right: "ours, pefile",
        reason: "An export by ordinal that is another library's has no name; LIEF names it by what it forwards to (`gdi32.ExtTextOutW`).",
        undo: |difference| {
            let Difference { ours, theirs, .. } = difference;
            theirs.retain(|name| !name.contains('.') || ours.contains(name));
        },
    },
    Known {
        reader: "LIEF",
        fact: "overlay",
        right: "both",
        reason: "LIEF calls everything behind the last section an overlay. COFF symbols and certificates stand there, too, and ours counts only \
                 what no header accounts for.",
        undo: |difference| {
            let bytes = fs::read(&difference.path).unwrap_or_default();
            let Ok(Facts { binary: Binary::Pe(pe), .. }) = inspect::inspect(&bytes) else { return };
            let ends =
                pe.sections.iter().map(|section| u64::from(section.raw_offset) + u64::from(section.raw_size));
            let behind = (bytes.len() as u64).saturating_sub(ends.max().unwrap_or(0));
            let accounted = pe.certificate_size > 0 || pe.symbol_table_offset > 0;
            if accounted && difference.theirs == [format!("{behind:#x}")] {
                difference.theirs.clone_from(&difference.ours);
            }
        },
    },
    Known {
        reader: "LIEF",
        fact: "TLS",
        right: "ours",
        reason: "The directory of a separated debug file points to bytes that were left out of it: an anomaly. LIEF calls an empty TLS present.",
        undo: is_of_debug_file,
    },
    Known {
        reader: "LIEF",
        fact: "imports",
        right: "ours, readelf",
        reason: WIDE_HASH,
        undo: is_counted_wrong,
    },
    Known {
        reader: "LIEF",
        fact: "exports",
        right: "ours, readelf",
        reason: WIDE_HASH,
        undo: is_counted_wrong,
    },
    Known {
        reader: "eu-readelf",
        fact: "ABI tag",
        right: "ours, readelf",
        reason: "eu-readelf says on MIPS that there is the note, and not what is in it.",
        undo: |difference| {
            if difference.corpus.contains("mips") && difference.theirs.is_empty() {
                difference.theirs.clone_from(&difference.ours);
            }
        },
    },
    Known {
        reader: "ours",
        fact: "anomaly",
        right: "ours",
        reason: "A separated debug file (`objcopy --only-keep-debug`) has the headers of the program without its bytes; tables that are not there are \
                 anomalies. readelf says `Unable to find program interpreter name`.",
        undo: is_of_debug_file,
    },
];

const WIDE_HASH: &str = "Words of `DT_HASH` have eight bytes on S/390, so that the second four are not the number of symbols; LIEF takes what \
                         comes behind the table for symbols.";

fn is_counted_wrong(difference: &mut Difference) {
    // What is behind it may look like anything, so only what it added is taken away.
    let Difference { path, ours, theirs, .. } = difference;
    if path.to_string_lossy().contains("s390x") && ours.iter().all(|name| theirs.contains(name)) {
        theirs.clone_from(ours);
    }
}

fn is_of_debug_file(difference: &mut Difference) {
    if difference.path.extension().is_some_and(|name| name == "debug") {
        difference.theirs.clone_from(&difference.ours);
    }
}

/// What was wrong with ours until this suite found it.
pub(crate) const MENDED: &[&str] = &[
    "An import whose version index is 1 (`VER_NDX_GLOBAL`, no version) of a file that defines versions was said to want the file's \
     base version, which is its own name: `_ITM_deregisterTMCloneTable@libblkid.so.1`. readelf and LIEF were right.",
    "A note's owner that is padded inside of its size (Go writes `Go\\0\\0` and 4) kept a NUL, so that the rule which looks for the owner \
     `Go` did not know it. readelf was right.",
    "Notes of sections that no note segment covers were not read where there is any note segment: the build ID of programs that Go links \
     (`.note.gnu.build-id`), probes of SystemTap, the version of gold. readelf, eu-readelf and LIEF were right.",
    "The number of dynamic symbols of a file for S/390 without section headers was taken from the wrong half of `DT_HASH`, whose words have \
     eight bytes there. readelf was right.",
];

/// The known differences that a difference is made of; empty where something of it is not known.
pub(crate) fn explain(difference: &Difference) -> Vec<usize> {
    let mut rest = difference.clone();
    let mut kinds = Vec::new();
    for (index, known) in KNOWN.iter().enumerate() {
        if known.reader != difference.reader || known.fact != difference.fact || rest.ours == rest.theirs {
            continue;
        }
        let before = (rest.ours.clone(), rest.theirs.clone());
        (known.undo)(&mut rest);
        if before != (rest.ours.clone(), rest.theirs.clone()) {
            kinds.push(index);
        }
    }
    if rest.ours == rest.theirs { kinds } else { Vec::new() }
}
