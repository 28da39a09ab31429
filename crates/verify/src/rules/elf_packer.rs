//! SW-ELF-PACKER: the program is what it looks like, not a packer's stub.

use inspect::facts::Elf;
use memchr::memmem;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// UPX writes its loader information (`l_info`) behind the program headers, and its pack header last in the file.
const UPX: &[u8] = b"UPX!";
/// How far behind the program headers, in bytes.
const BEHIND_HEADERS: u64 = 64;
/// How far from the end, in bytes.
const BEFORE_END: u64 = 64;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-PACKER",
    summary: "the program is what it looks like, not a packer's stub",
    why: "A packed program hides its code from every check here, is writable and executable while it unpacks, and alarms scanners.",
    fix: "ship the file without the packer (`upx -d` unpacks it); archives compress as well",
    references: &["UPX, src/stub/src/include/linux.h: l_info", "MITRE ATT&CK T1027.002: Software Packing"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, subject: &Subject, _: &Policy) -> Judgement {
    let size = subject.bytes.len() as u64;
    let headers = elf.segments.len() as u64 * u64::from(elf.program_header_entry_size);
    let end_of_headers = elf.program_header_offset.saturating_add(headers);
    let places = [
        (end_of_headers, end_of_headers.saturating_add(BEHIND_HEADERS), "behind the program headers"),
        (size.saturating_sub(BEFORE_END), size, "at the end"),
    ];
    let expected = "no packer's sign";
    for (start, end, place) in places {
        let (start, end) = (start.min(size) as usize, end.min(size) as usize);
        if let Some(inside) = memmem::find(&subject.bytes[start..end], UPX) {
            let offset = (start + inside) as u64;
            return Judgement::fail(format!("`UPX!` {place}, at offset {offset:#x}"), expected).at(
                subject.bytes,
                offset,
                UPX.len() as u64,
            );
        }
    }
    let sections = elf.sections.iter().filter(|section| section.name.contains("UPX"));
    let wrong: Vec<_> = sections.map(|section| format!("section `{}`", section.name)).collect();
    Judgement::none_wrong(&wrong, "none", expected)
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    fn judge_bytes(place: usize) -> Judgement {
        let mut bytes = vec![0; 4096];
        bytes[place..place + 4].copy_from_slice(UPX);
        judge(&RULE, &elf_facts(), &bytes, &Policy::for_target(Target::Aarch64Linux))
    }

    #[test]
    fn its_sign_counts_where_a_packer_writes_it() {
        // The facts have six headers of 56 bytes from 64 on.
        assert_ends(&judge_bytes(400 + 4), Outcome::Fail, "behind the program headers, at offset 0x194");
        assert_ends(&judge_bytes(4096 - 36), Outcome::Fail, "at the end");
        assert_ends(&judge_bytes(2000), Outcome::Pass, "none");
        let section = judge_elf(&RULE, |elf, _| elf.sections[1].name = "UPX0".to_owned());
        assert_ends(&section, Outcome::Fail, "`UPX0`");
        let outside = judge_elf(&RULE, |elf, _| elf.program_header_offset = u64::MAX);
        assert_ends(&outside, Outcome::Pass, "none");
    }
}
