//! SW-BUILD-ID: the file carries the ID that joins it with its symbols.

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_DEBUG_TYPE_CODEVIEW`
const CODEVIEW: u32 = 2;

pub(crate) const RULE: Rule = Rule {
    id: "SW-BUILD-ID",
    summary: "the file carries the ID that joins it with its symbols",
    why: "Without a build-id nobody can tell which symbols file belongs to a crash report.",
    fix: "link with `-C link-arg=-Wl,--build-id`; a linker called directly takes `--build-id`",
    references: &[
        "GNU binutils, ld --build-id (NT_GNU_BUILD_ID)",
        "PE/COFF specification, Debug Directory: IMAGE_DEBUG_TYPE_CODEVIEW",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    if !policy.build_id {
        return Judgement::not_applicable("the policy asks for no build-id");
    }
    let (id, expected) = match &subject.facts.binary {
        Binary::Elf(elf) => (elf.build_id.as_deref(), "a GNU build-id note of at least 8 bytes"),
        Binary::Pe(pe) => {
            let entry = pe.debug.iter().find(|entry| entry.kind == CODEVIEW);
            (
                entry.map(|entry| entry.signature.as_slice()),
                "a CodeView entry with a signature of at least 8 bytes",
            )
        }
    };
    match id {
        None => Judgement::fail("none", expected),
        Some(id) if id.len() < 8 || id.iter().all(|byte| *byte == 0) => {
            Judgement::fail(format!("{} says nothing", hexadecimal(id)), expected)
        }
        Some(id) => Judgement::pass(hexadecimal(id), expected),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    // 32 bytes are the longest that linkers write; a hostile note has 4 KiB.
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeDebug;

    use super::*;
    use crate::testing::*;

    #[test]
    fn no_id_a_short_one_and_one_of_zeros_fail() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "01010101");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.build_id = None), Outcome::Fail, "none");
        assert_ends(
            &judge_elf(&RULE, |elf, _| elf.build_id = Some(vec![1; 4])),
            Outcome::Fail,
            "01010101 says",
        );
        assert_ends(&judge_elf(&RULE, |elf, _| elf.build_id = Some(vec![0; 20])), Outcome::Fail, "0000");
        assert_ends(&judge_elf(&RULE, |elf, _| elf.build_id = Some(vec![1; 8])), Outcome::Pass, "0101");
    }

    #[test]
    fn a_pe_file_needs_one_only_where_the_policy_says_so() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
        assert_ends(&judge_pe(&RULE, |_, policy| policy.build_id = true), Outcome::Fail, "none");
        let entry = PeDebug { kind: 2, timestamp: 0, signature: vec![7; 16], ..PeDebug::default() };
        let judgement = judge_pe(&RULE, |pe, policy| {
            policy.build_id = true;
            pe.debug.push(entry);
        });
        assert_ends(&judgement, Outcome::Pass, "0707");
    }
}
