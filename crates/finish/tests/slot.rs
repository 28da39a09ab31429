//! The provenance slot is written in whatever program carries one, and the program reads it.

mod support;

use std::fs;

use artifact::Target;
use provenance::{ELF_SECTION, PE_SECTION, Provenance, SLOT_SIZE, decode, offsets};
use seaworthy_finish::{ErrorKind, FinishOptions};
use support::{built, c_program, c_program_from, finish_into, finished, request, shell};
use tempfile::TempDir;
use xshell::cmd;

/// A slot in C, as the note is laid out; twice where `TWICE` is defined.
fn slot_in_c(section: &str) -> String {
    let slot = |name: &str| {
        format!(
            "__attribute__((used, aligned(4), section(\"{section}\"))) const volatile char {name}[{SLOT_SIZE}] =\n\
             {{4,0,0,0, 0,4,0,0, 0x7e,0x1a,(char)0xfe,(char)0xca, 'F','D','O',0}};\n"
        )
    };
    let main = "int main(void) { puts((const char *)slot + 16); return 0; }\n";
    format!("#include <stdio.h>\n{}#ifdef TWICE\n{}#endif\n{main}", slot("slot"), slot("other"))
}

#[test]
fn a_finished_elf_says_what_it_is() {
    let folder = TempDir::new().unwrap();
    let program = c_program_from(&slot_in_c(ELF_SECTION), Target::X86_64Linux, folder.path(), &[]);
    let artifact =
        finished(Target::X86_64Linux, &program, &folder.path().join("out"), FinishOptions::default());
    let path = artifact.path();
    let shell = shell();
    let said = cmd!(shell, "{path}").read().unwrap();
    assert!(said.contains("\"vcsRevision\":\"0123456789abcdef0123456789abcdef01234567\""), "{said}");
    assert!(artifact.stage().edits.iter().any(|edit| edit.name == "provenance"));
    let symbols = fs::read(artifact.stage().symbols.as_ref().unwrap()).unwrap();
    assert_eq!(provenance_in(&symbols).unwrap().build, "b17d", "the symbols file says it, too");
}

#[test]
fn a_finished_pe_says_what_it_is() {
    let folder = TempDir::new().unwrap();
    let program = c_program_from(&slot_in_c(PE_SECTION), Target::X86_64Windows, folder.path(), &[]);
    let artifact =
        finished(Target::X86_64Windows, &program, &folder.path().join("out"), FinishOptions::default());
    let said = provenance_in(&fs::read(artifact.path()).unwrap()).expect("written");
    assert_eq!((said.product.as_str(), said.target.as_str()), ("yard", "x86_64-windows"));
}

#[test]
fn a_program_without_a_slot_is_finished_and_that_is_said() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::X86_64Linux, folder.path(), &[]);
    let artifact =
        finished(Target::X86_64Linux, &program, &folder.path().join("out"), FinishOptions::default());
    assert!(artifact.stage().edits.iter().any(|edit| edit.name == "no-provenance"));
}

#[test]
fn two_slots_and_a_provenance_that_does_not_fit_are_refused() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let program = c_program_from(&slot_in_c(ELF_SECTION), Target::X86_64Linux, folder.path(), &["-DTWICE"]);
    let error = finish_into(Target::X86_64Linux, &program, &out, FinishOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    let mut long = request(FinishOptions::default(), &out);
    long.source.product = "x".repeat(2000);
    let error = seaworthy_finish::finish(built(Target::X86_64Linux, &program), &long).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(!out.exists());
}

/// What the one slot in a file says, found without its section table.
fn provenance_in(file: &[u8]) -> Option<Provenance> {
    let found = offsets(file);
    assert_eq!(found.len(), 1);
    decode(&file[found[0]..found[0] + SLOT_SIZE]).expect("a whole slot")
}
