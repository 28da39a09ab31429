//! Differences that somebody settled by reading the bytes: who is right, and why. Each must still occur in a full run.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use inspect::Facts;
use inspect::facts::{Binary, Pe};

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
        reader: "readelf",
        fact: "GNU properties",
        right: "ours",
        reason: "A note in a section that no segment loads: a loader goes by `PT_GNU_PROPERTY` and `PT_NOTE` and never sees it. readelf reads \
                 sections where the file has no `PT_NOTE`.",
        undo: |difference| {
            let bytes = fs::read(&difference.path).unwrap();
            let notes = inspect::inspect(&bytes).map(|facts| match facts.binary {
                Binary::Elf(elf) => elf.segments.iter().filter(|segment| segment.kind == PT_NOTE).count(),
                Binary::Pe(_) => 0,
            });
            if notes.is_ok_and(|count| count == 0) {
                difference.theirs.clone_from(&difference.ours);
            }
        },
    },
    Known {
        reader: "readelf",
        fact: "exports with versions",
        right: "readelf",
        reason: CAPPED,
        undo: |difference| {
            let Difference { path, ours, theirs, .. } = difference;
            if is_capped(path) {
                let told: HashSet<_> = ours.iter().collect();
                theirs.retain(|export| told.contains(export));
            }
        },
    },
    Known {
        reader: "ours",
        fact: "anomaly",
        right: "readelf",
        reason: CAPPED,
        undo: |difference| {
            if is_capped(&difference.path) {
                difference.ours.retain(|anomaly| !anomaly.contains(MORE_THAN_READ));
            }
        },
    },
    Known {
        reader: "objdump",
        fact: "segments",
        right: "ours, readelf, LIEF",
        reason: "objdump prints `p_align` as a power of two and has none for 0, which means the same as 1 (gABI).",
        undo: |difference| {
            for segment in &mut difference.ours {
                if let Some(start) = segment.strip_suffix(" 0x0") {
                    *segment = format!("{start} 0x1");
                }
            }
        },
    },
    Known {
        reader: "objdump",
        fact: "imports",
        right: "ours, LIEF, pefile",
        reason: "Entries of an import table of PE32+ have eight bytes; binutils 2.40 takes them for four in files for AArch64, so that the zeros of an \
                 address end the list and ordinals are lost.",
        undo: |difference| {
            let Difference { path, ours, theirs, .. } = difference;
            let is_for_aarch64 = || pe(path).is_some_and(|pe| pe.machine == 0xaa64);
            if theirs.len() < ours.len() && is_for_aarch64() {
                theirs.clone_from(ours);
            }
        },
    },
    Known {
        reader: "objdump",
        fact: "libraries",
        right: "ours, LIEF, pefile",
        reason: "objdump ends the list at a library whose name stands in another section than the import table: where delvewheel wrote a new name \
                 into `.data`.",
        undo: |difference| {
            let Difference { ours, theirs, .. } = difference;
            if ours.starts_with(theirs) {
                theirs.clone_from(ours);
            }
        },
    },
    Known {
        reader: "objdump",
        fact: "base relocations",
        right: "ours, LIEF",
        reason: "objdump reads on to the end of `.reloc` behind the directory's end (0x1370 bytes), where the table of dynamic relocations stands that the \
                 load configuration points to.",
        undo: |difference| {
            let counts = |facts: &[String]| -> Option<(u64, u64)> {
                let (blocks, entries) = facts.first()?.split_once(' ')?;
                let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
                Some((number(blocks)?, number(entries)?))
            };
            let Difference { path, ours, theirs, .. } = difference;
            let directory = pe(path).and_then(|pe| {
                let directory = pe.directory(5)?;
                Some(directory.size < pe.section_at(directory.address)?.virtual_size)
            });
            let more = counts(theirs)
                .zip(counts(ours))
                .is_some_and(|(theirs, ours)| theirs.0 > ours.0 && theirs.1 > ours.1);
            if more && directory == Some(true) {
                theirs.clone_from(ours);
            }
        },
    },
    Known {
        reader: "LIEF",
        fact: "notes",
        right: "ours, readelf",
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
        fact: "exports with ordinals",
        right: "ours, pefile",
        reason: "The same: the name of a nameless export is what it forwards to, and it forwards to nothing.",
        undo: |difference| {
            for export in &mut difference.theirs {
                let parts: Vec<_> = export.split(' ').collect();
                if let [ordinal, target, "-"] = parts.as_slice() {
                    let forwarded = format!("{ordinal} - {target}");
                    if difference.ours.contains(&forwarded) {
                        *export = forwarded;
                    }
                }
            }
            difference.theirs.sort();
        },
    },
    Known {
        reader: "LIEF",
        fact: "resources",
        right: "ours, pefile",
        reason: "In trees of hundreds of resources LIEF leaves some out (206 of 637 in Wine's light.msstyles); each of them has a data entry of \
                 its own inside the directory.",
        undo: |difference| {
            let Difference { ours, theirs, .. } = difference;
            let mut all = ours.iter();
            if ours.len() > 500 && theirs.iter().all(|resource| all.any(|ours| ours == resource)) {
                theirs.clone_from(ours);
            }
        },
    },
    Known {
        reader: "LIEF",
        fact: "overlay",
        right: "both",
        reason: "LIEF calls everything behind the last section an overlay. COFF symbols and certificates stand there, too, and ours counts only \
                 what no header accounts for.",
        undo: |difference| {
            let Some(pe) = pe(&difference.path) else { return };
            let size = fs::metadata(&difference.path).map_or(0, |about| about.len());
            let ends =
                pe.sections.iter().map(|section| u64::from(section.raw_offset) + u64::from(section.raw_size));
            let behind = size.saturating_sub(ends.max().unwrap_or(0));
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

/// Our facts of a PE file once more.
fn pe(path: &Path) -> Option<Pe> {
    match inspect::inspect(&fs::read(path).ok()?) {
        Ok(Facts { binary: Binary::Pe(pe), .. }) => Some(*pe),
        _ => None,
    }
}

const PT_NOTE: u32 = 4;

const MORE_THAN_READ: &str = "more than 150000 items in this file: not read further";

const CAPPED: &str = "What a loader binds by is read up to 150,000 symbols, so that a hostile file takes no more than 64 MiB; Debian's `dockerd` has \
                      170,776. An anomaly says so, and whoever asks for its closure gets \"cannot tell\".";

fn is_capped(path: &Path) -> bool {
    let linkage = inspect::elf_linkage(&fs::read(path).unwrap());
    linkage.is_ok_and(|linkage| linkage.anomalies.iter().any(|anomaly| anomaly.detail == MORE_THAN_READ))
}

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
    "A relocation of MIPS64 without a symbol was taken for `R_MIPS_NONE`, so that one into text was not counted: found while LIEF's count was \
     compared, in the specification; no file here has such a one.",
    "A program with more than 150,000 exports was refused by every policy: Debian's `dockerd` has 170,776. Now 250,000 are read.",
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
