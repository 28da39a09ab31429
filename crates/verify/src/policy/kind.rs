//! Programs and libraries: what a file is, and what a policy takes it for.

use inspect::facts::{Binary, Elf};
use serde::{Deserialize, Serialize};

const ET_REL: u16 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const DT_DEBUG: i64 = 21;
const DT_FLAGS_1: i64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

/// What a policy takes a file for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindPolicy {
    /// A program: it is started.
    #[default]
    Program,
    /// A shared library: programs load it.
    Library,
    /// Whatever its own headers say.
    Auto,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is started.
    Program,
    /// Programs load it: a shared object, a DLL.
    Library,
    /// Neither is the case: an object file, a kernel module, a core dump.
    Object,
}

/// What a file's headers say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApparentKind {
    /// The kind.
    pub kind: Kind,
    /// What tells, as the format calls it.
    pub why: &'static str,
    /// Whether that allows no other reading.
    pub certain: bool,
}

impl Kind {
    /// As a reader of a report says it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Program => "a program",
            Kind::Library => "a shared library",
            Kind::Object => "an object file",
        }
    }
}

impl ApparentKind {
    /// What `binary` says it is.
    pub fn of(binary: &Binary) -> ApparentKind {
        match binary {
            Binary::Elf(elf) => of_elf(elf),
            Binary::Pe(pe) if pe.is_library() => certain(Kind::Library, "IMAGE_FILE_DLL"),
            Binary::Pe(_) => certain(Kind::Program, "no IMAGE_FILE_DLL"),
        }
    }
}

/// Executables and libraries are both `ET_DYN`; what tells them apart depends on the linker and its age.
fn of_elf(elf: &Elf) -> ApparentKind {
    let has = |tag: i64, bits: u64| {
        elf.dynamic.iter().any(|entry| entry.tag == tag && (bits == 0 || entry.value & bits != 0))
    };
    match elf.file_type {
        ET_EXEC => certain(Kind::Program, "ET_EXEC"),
        ET_DYN if has(DT_FLAGS_1, DF_1_PIE) => certain(Kind::Program, "DF_1_PIE"),
        // libc.so.6 and others can be started to say their version, and stay libraries.
        ET_DYN if elf.soname.is_some() => certain(Kind::Library, "DT_SONAME"),
        ET_DYN if elf.interpreter.is_some() && has(DT_DEBUG, 0) => {
            certain(Kind::Program, "PT_INTERP and DT_DEBUG")
        }
        ET_DYN if has(DT_DEBUG, 0) => uncertain(Kind::Program, "DT_DEBUG, which linkers write into programs"),
        ET_DYN => uncertain(Kind::Library, "ET_DYN without DF_1_PIE and DT_DEBUG"),
        ET_REL => certain(Kind::Object, "ET_REL"),
        _ => certain(Kind::Object, "e_type is neither ET_EXEC nor ET_DYN"),
    }
}

fn certain(kind: Kind, why: &'static str) -> ApparentKind {
    ApparentKind { kind, why, certain: true }
}

fn uncertain(kind: Kind, why: &'static str) -> ApparentKind {
    ApparentKind { kind, why, certain: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{IMAGE_FILE_DLL, dynamic, elf_facts, elf_of, pe_facts, pe_of, static_facts};

    fn kind(change: impl FnOnce(&mut Elf)) -> (Kind, &'static str) {
        let mut facts = elf_facts();
        change(elf_of(&mut facts));
        let apparent = ApparentKind::of(&facts.binary);
        (apparent.kind, apparent.why)
    }

    #[test]
    fn each_kind_is_told_by_what_its_linker_writes() {
        let no_flag = |elf: &mut Elf| elf.dynamic.retain(|entry| entry.tag != DT_FLAGS_1);
        assert_eq!(kind(|_| ()).0, Kind::Program);
        assert_eq!(kind(|elf| elf.file_type = ET_EXEC), (Kind::Program, "ET_EXEC"));
        let old_pie = kind(|elf| {
            no_flag(elf);
            elf.dynamic.push(dynamic(DT_DEBUG, 0));
        });
        assert_eq!(old_pie, (Kind::Program, "PT_INTERP and DT_DEBUG"));
        assert_eq!(kind(no_flag).0, Kind::Library, "a library linked with a loader's name");
        let libc = kind(|elf| {
            no_flag(elf);
            elf.soname = Some("libc.so.6".to_owned());
        });
        assert_eq!(libc, (Kind::Library, "DT_SONAME"), "though it has an interpreter");
        let plug_in = |elf: &mut Elf| {
            no_flag(elf);
            elf.interpreter = None;
        };
        assert_eq!(kind(plug_in).0, Kind::Library);
        let old_static_pie = kind(|elf| {
            plug_in(elf);
            elf.dynamic.push(dynamic(DT_DEBUG, 0));
        });
        assert_eq!(old_static_pie.0, Kind::Program);
        assert_eq!(kind(|elf| elf.file_type = ET_REL), (Kind::Object, "ET_REL"));
        assert_eq!(kind(|elf| elf.file_type = 4).0, Kind::Object);
        assert_eq!(ApparentKind::of(&static_facts().binary).why, "DF_1_PIE");
    }

    #[test]
    fn a_dll_is_a_library() {
        let mut facts = pe_facts();
        assert_eq!(ApparentKind::of(&facts.binary).kind, Kind::Program);
        pe_of(&mut facts).characteristics |= IMAGE_FILE_DLL;
        assert_eq!(ApparentKind::of(&facts.binary).kind, Kind::Library);
    }
}
