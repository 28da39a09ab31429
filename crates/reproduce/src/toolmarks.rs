//! What a program says of the tools that made it: linker, compilers, and the C library it was linked with.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::view::{Role, View};
use crate::{Cause, CauseKind};

/// What compilers begin their mark with in a PE, which has no `.comment`.
const GCC: &[u8] = b"GCC: (";

#[derive(Debug, Default, PartialEq, Eq)]
struct Marks {
    linker: BTreeSet<String>,
    compilers: BTreeSet<String>,
    sysroot: BTreeSet<String>,
}

/// The causes that the marks of two programs give.
pub(crate) fn causes(published: &View<'_>, rebuilt: &View<'_>) -> Vec<Cause> {
    let (ours, theirs) = (marks(published), marks(rebuilt));
    let mut causes = Vec::new();
    let mut compare = |kind, what: &str, ours: &BTreeSet<String>, theirs: &BTreeSet<String>| {
        if ours != theirs {
            let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                let only: Vec<_> = one.difference(other).take(6).cloned().collect();
                if only.is_empty() { "nothing more".to_owned() } else { only.join(", ") }
            };
            let detail = format!("{what}: {}; built again: {}", only(ours, theirs), only(theirs, ours));
            causes.push(Cause::new(kind, detail));
        }
    };
    compare(CauseKind::LinkerIdentity, "linked by", &ours.linker, &theirs.linker);
    compare(CauseKind::CompilerIdentity, "compiled by", &ours.compilers, &theirs.compilers);
    compare(CauseKind::SysrootFloor, "linked with", &ours.sysroot, &theirs.sysroot);
    causes
}

fn marks(view: &View<'_>) -> Marks {
    let mut marks = Marks::default();
    if let Some(elf) = view.elf() {
        for comment in &elf.comments {
            let kind = if comment.starts_with("Linker:") {
                &mut marks.linker
            } else if comment.starts_with("rustc ") {
                &mut marks.compilers
            } else {
                &mut marks.sysroot // the start files' compiler
            };
            kind.insert(comment.clone());
        }
        if marks.linker.is_empty() && !elf.comments.is_empty() {
            marks.linker.insert("a linker without a mark (GNU ld)".to_owned());
        }
        marks.sysroot.extend(elf.interpreter.clone());
        marks.sysroot.extend(elf.needed.iter().cloned());
        let versions = elf.versions_needed.iter().flat_map(|need| &need.versions);
        marks.sysroot.extend(versions.map(|version| version.name.clone()));
    }
    if let Some(pe) = view.pe() {
        let (major, minor) = pe.linker_version;
        marks.linker.insert(format!("linker version {major}.{minor}"));
        marks.sysroot.extend(pe.imports.iter().map(|import| import.library.to_ascii_lowercase()));
        for bytes in view.contents(Role::Constants) {
            for at in memmem::find_iter(bytes, GCC) {
                let end = memchr::memchr(0, &bytes[at..]).unwrap_or(0).min(200);
                marks.sysroot.insert(String::from_utf8_lossy(&bytes[at..at + end]).into_owned());
            }
        }
    }
    marks
}
