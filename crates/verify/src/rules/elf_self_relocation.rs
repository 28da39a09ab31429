//! SW-ELF-SELF-RELOCATION: a static PIE brings the start code that moves it.

use artifact::Linkage;
use inspect::facts::{DynamicEntry, Elf};

use crate::rule::{Check, Judgement, Rule};
use crate::start_code::{self, StartCode};
use crate::{Policy, Subject};

const ET_DYN: u16 = 3;
/// `DT_ANDROID_RELR`, `DT_ANDROID_REL`, `DT_ANDROID_RELA` (bionic, libc/kernel and linker/linker.cpp).
const ANDROIDS: [i64; 3] = [0x6fff_e000, 0x6000_000f, 0x6000_0011];

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-SELF-RELOCATION",
    summary: "a static PIE brings the start code that moves it",
    why: "A static PIE with the start files of a fixed-address program looks right to every tool and crashes at start.",
    fix: "link with `rcrt1.o`, `crtbeginS.o` and `crtendS.o` instead of `crt1.o`, `crtbegin.o` and `crtend.o`",
    references: &[
        "glibc, elf/dl-reloc-static-pie.c: _dl_relocate_static_pie",
        "musl, ldso/dlstart.c and crt/rcrt1.c",
        "ELF gABI, Relocation",
        "Android, bionic/linker/linker.cpp: DT_ANDROID_REL",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, policy: &Policy) -> Judgement {
    let androids = |entry: &&DynamicEntry| ANDROIDS.contains(&entry.tag);
    if let Some(DynamicEntry { tag, .. }) = elf.dynamic.iter().find(androids) {
        let what = format!("relocations packed as Android's linker alone reads them (dynamic tag {tag:#x})");
        return Judgement::fail(what, EXPECTED);
    }
    if policy.linkage != Linkage::StaticPie {
        return Judgement::not_applicable("the loader relocates it");
    }
    if let Some(why) = policy.library(&subject.facts.binary) {
        return Judgement::not_applicable(format!("no program ({why}), see SW-KIND"));
    }
    if elf.file_type != ET_DYN {
        return Judgement::not_applicable("loaded at a fixed address, see SW-ELF-PIE");
    }
    if elf.relocations.entries == 0 && elf.relocations.packed_bytes == 0 {
        return Judgement::pass("no relocation to be done", EXPECTED);
    }
    let entry = elf.entry;
    match start_code::follow(elf, subject.bytes) {
        // musl's start code has the compare for years, and knows packed ones since 1.2.4.
        StartCode::Relocates(_) if elf.relocations.packed_bytes > 0 => {
            let what = "packed relocations (DT_RELR), which start code before musl 1.2.4 and glibc 2.36 does not know";
            Judgement::cannot_tell(
                what,
                "relocations that any start code processes: link without `-z pack-relative-relocs`",
            )
        }
        StartCode::Relocates(address) => {
            let observed =
                format!("the instruction at {address:#x} compares with the relative relocation type");
            Judgement::pass(observed, EXPECTED)
        }
        StartCode::DoesNotRelocate(count) => {
            let relocations = elf.relocations.entries;
            let observed = format!(
                "{relocations} relocations, and none of the {count} instructions that follow the entry point {entry:#x} looks at one"
            );
            Judgement::fail(observed, EXPECTED)
        }
        StartCode::GoesOn(count) => {
            let observed = format!(
                "none of the first {count} instructions from the entry point {entry:#x} looks at a relocation"
            );
            Judgement::cannot_tell(observed, EXPECTED)
        }
        StartCode::NoCode => {
            Judgement::cannot_tell(format!("no code at the entry point {entry:#x}"), EXPECTED)
        }
        StartCode::UnknownMachine => {
            Judgement::cannot_tell(format!("instructions of machine {} are not known", elf.machine), EXPECTED)
        }
    }
}

const EXPECTED: &str = "start code that processes the relocations";

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    /// The static program with `words` at its entry point.
    fn judge_code(words: &[u32]) -> Judgement {
        let mut bytes = vec![0; 0x1000];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        judge(&RULE, &static_facts(), &bytes, &Policy::for_target(Target::Aarch64LinuxMusl))
    }

    #[test]
    fn start_code_that_never_looks_at_a_relocation_fails() {
        // cmp x4, #0x403; ret
        assert_ends(&judge_code(&[0xf110_0c9f, 0xd65f_03c0]), Outcome::Pass, "0x1000");
        // mov x29, #0; ret
        assert_ends(
            &judge_code(&[0xd280_001d, 0xd65f_03c0]),
            Outcome::Fail,
            "4 relocations, and none of the 2",
        );
    }

    #[test]
    fn packed_relocations_are_not_for_every_start_code() {
        let compare: Vec<_> =
            [0xf110_0c9f_u32, 0xd65f_03c0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut facts = static_facts();
        elf_of(&mut facts).relocations.packed_bytes = 16;
        let bytes = [vec![0; 0x1000], compare].concat();
        let judged = judge(&RULE, &facts, &bytes, &Policy::for_target(Target::Aarch64LinuxMusl));
        assert_ends(&judged, Outcome::CannotTell, "packed relocations");
        for tag in ANDROIDS {
            let entry = DynamicEntry { tag, value: 0x1000, text: None };
            assert_ends(
                &judge_elf(&RULE, |elf, _| elf.dynamic.push(entry.clone())),
                Outcome::Fail,
                "Android",
            );
            assert_ends(&judge_static(&RULE, |elf, _| elf.dynamic.push(entry)), Outcome::Fail, "Android");
        }
    }

    #[test]
    fn without_code_nothing_can_be_told() {
        assert_ends(&judge_static(&RULE, |elf, _| elf.entry = 0), Outcome::CannotTell, "no code");
        assert_ends(&judge_static(&RULE, |elf, _| elf.machine = 243), Outcome::CannotTell, "machine 243");
    }

    #[test]
    fn it_is_about_moved_static_programs_only() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "loader");
        assert_ends(&judge_static(&RULE, |elf, _| elf.file_type = 2), Outcome::NotApplicable, "fixed");
        let none = judge_static(&RULE, |elf, _| elf.relocations.entries = 0);
        assert_ends(&none, Outcome::Pass, "no relocation");
    }
}
