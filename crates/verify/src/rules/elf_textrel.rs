//! SW-ELF-TEXTREL: the loader need not write into code.

use inspect::facts::{Elf, TextRelocation};

use crate::rule::{Check, Judgement, Rule, listed};
use crate::{Policy, Subject};

const DT_TEXTREL: i64 = 22;
const DT_FLAGS: i64 = 30;
const DF_TEXTREL: u64 = 4;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-TEXTREL",
    summary: "the loader need not write into code",
    why: "Relocations in code make the loader map it writable; hardened kernels and musl refuse such a program. Where nothing announces them, the program ends when it starts.",
    fix: "build every object with `-fPIC` (assembler files too); link with `-z text` to see which one is wrong",
    references: &[
        "ELF gABI, Dynamic Section: DT_TEXTREL, DF_TEXTREL",
        "glibc, elf/dl-reloc.c: _dl_relocate_object",
        "CWE-693: Protection Mechanism Failure",
    ],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, _: &Policy) -> Judgement {
    let mut tags = Vec::new();
    for entry in &elf.dynamic {
        match entry.tag {
            DT_TEXTREL => tags.push("DT_TEXTREL".to_owned()),
            DT_FLAGS if entry.value & DF_TEXTREL != 0 => {
                tags.push(format!("DF_TEXTREL in {:#x}", entry.value))
            }
            _ => {}
        }
    }
    let expected = "no relocation into read-only memory";
    let relocations = &elf.marks.text_relocations;
    if tags.is_empty() && relocations.count == 0 {
        return Judgement::pass("none", expected);
    }
    let announced = if tags.is_empty() { "not announced".to_owned() } else { tags.join(", ") };
    let listed = listed(&relocations.first.iter().map(told).collect::<Vec<_>>());
    let which = match relocations.count {
        0 => "none of the relocations is into read-only memory".to_owned(),
        1 => format!("1 relocation into read-only memory: {listed}"),
        count => format!("{count} relocations into read-only memory: {listed}"),
    };
    let judgement = Judgement::fail(format!("{announced}; {which}"), expected);
    relocations
        .first
        .iter()
        .fold(judgement, |judgement, relocation| judgement.at(subject.bytes, relocation.file_offset, 8))
}

fn told(relocation: &TextRelocation) -> String {
    let kind = relocation.kind.map_or("packed".to_owned(), |kind| format!("type {kind}"));
    let symbol = relocation.symbol.as_ref().map(|symbol| format!(" for `{symbol}`")).unwrap_or_default();
    format!("{kind} at {:#x}{symbol}", relocation.address)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn either_mark_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic.push(dynamic(22, 0))),
            Outcome::Fail,
            "DT_TEXTREL",
        );
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.dynamic[0].value |= 4),
            Outcome::Fail,
            "DF_TEXTREL in 0xc",
        );
    }

    #[test]
    fn the_relocations_and_their_symbols_are_named() {
        let symbol = Some("table".to_owned());
        let of_a_symbol = TextRelocation { address: 0x1004, file_offset: 0x1004, kind: Some(257), symbol };
        let packed = TextRelocation { address: 0x1008, file_offset: 0x1008, kind: None, symbol: None };
        let judged = |first: &[&TextRelocation], announced| {
            judge_elf(&RULE, |elf, _| {
                elf.dynamic.extend(announced);
                elf.marks.text_relocations.count = first.len() as u64;
                elf.marks.text_relocations.first = first.iter().copied().cloned().collect();
            })
        };
        assert_ends(
            &judged(&[&of_a_symbol], Some(dynamic(22, 0))),
            Outcome::Fail,
            "DT_TEXTREL; 1 relocation into read-only memory: type 257 at 0x1004 for `table`",
        );
        // Without a mark the loader does not make the memory writable: the program ends at its start.
        assert_ends(
            &judged(&[&of_a_symbol, &packed], None),
            Outcome::Fail,
            "not announced; 2 relocations into read-only memory: type 257 at 0x1004 for `table`, packed at 0x1008",
        );
    }
}
