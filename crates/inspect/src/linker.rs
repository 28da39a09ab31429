//! Which linker made a program, as far as the program says so.

use std::fmt;

use crate::facts::{Binary, Elf};

/// A linker's own mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkerMark {
    /// Its name as its `--version` begins: `GNU ld`, `GNU gold`, `LLD`, `mold`, `Microsoft link`.
    pub name: &'static str,
    /// Its version, with as many numbers as the file has room for; `None`: the file names none.
    pub version: Option<String>,
}

impl fmt::Display for LinkerMark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(formatter, "{} {version}", self.name),
            None => formatter.write_str(self.name),
        }
    }
}

/// The linker of `binary`; `None` where nothing tells.
///
/// ELF: LLD and mold leave a line in `.comment`, gold a note, and GNU ld nothing, so it is told by the lines of compilers with
/// nobody else's among them. PE: the optional header's linker version (PE/COFF specification, Optional Header Standard Fields),
/// into which GNU ld writes the version of binutils, LLD always 14.0, and Microsoft's linker 14 and more than 0.
pub fn linker(binary: &Binary) -> Option<LinkerMark> {
    match binary {
        Binary::Elf(elf) => elf_linker(elf),
        Binary::Pe(pe) => {
            let (major, minor) = pe.linker_version;
            let name = match (major, minor) {
                (2, _) => "GNU ld",
                (14, 0) => return Some(LinkerMark { name: "LLD", version: None }),
                (14, _) => "Microsoft link",
                _ => return None,
            };
            Some(LinkerMark { name, version: Some(format!("{major}.{minor}")) })
        }
    }
}

fn elf_linker(elf: &Elf) -> Option<LinkerMark> {
    for comment in &elf.comments {
        // `Linker: LLD 22.1.2 (https://…)`, `Linker: Debian LLD 14.0.6`, `mold 2.30 (…)`.
        let mut words = comment.split(' ');
        let lld = comment.starts_with("Linker: ") && words.by_ref().any(|word| word == "LLD");
        let name = if lld { "LLD" } else { "mold" };
        if lld || comment.starts_with("mold ") {
            let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            return Some(LinkerMark { name, version: version.map(str::to_owned) });
        }
    }
    // NT_GNU_GOLD_VERSION
    let gold = elf.notes.iter().find(|note| note.owner == "GNU" && note.kind == 4);
    if let Some(note) = gold {
        let text = String::from_utf8_lossy(&note.description).into_owned();
        let version = text.trim_end_matches('\0').rsplit(' ').next().map(str::to_owned);
        return Some(LinkerMark { name: "GNU gold", version });
    }
    (!elf.comments.is_empty()).then_some(LinkerMark { name: "GNU ld", version: None })
}
