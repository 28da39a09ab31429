//! SW-ELF-KERNEL-MINIMUM: the C library inside asks for no kernel newer than the devices'.

use inspect::facts::Elf;

use crate::rule::{Check, Judgement, Rule};
use crate::version::Version;
use crate::{Policy, Subject};

const LINUX: u32 = 0;

pub(crate) const RULE: Rule = Rule {
    id: "SW-ELF-KERNEL-MINIMUM",
    summary: "the C library inside asks for no kernel newer than the devices'",
    why: "glibc's start code and loader end a program with `FATAL: kernel too old` where its ABI tag names a newer kernel.",
    fix: "build in an older image, or raise `policy.kernel-minimum` when no device runs an older kernel",
    references: &["LSB Core, Special Sections: .note.ABI-tag", "glibc, configure --enable-kernel"],
    check: Check::Elf(check),
};

fn check(elf: &Elf, _: &Subject, policy: &Policy) -> Judgement {
    let Some(wanted) = &policy.kernel_minimum else {
        return Judgement::not_applicable("the policy names no kernel");
    };
    let expected = format!("Linux {wanted} is new enough");
    let Some(limit) = Version::parse(wanted) else {
        return Judgement::cannot_tell(format!("the policy's `{wanted}` is no version"), expected);
    };
    let Some(tag) = elf.marks.abi_tag else {
        return Judgement::not_applicable("no ABI tag: nothing asks for a kernel");
    };
    let [major, minor, patch] = tag.kernel;
    let asked = format!("{major}.{minor}.{patch}");
    if tag.system != LINUX {
        return Judgement::fail(format!("the ABI tag of system {}, {asked}", tag.system), expected);
    }
    match Version::parse(&asked) {
        Some(version) => Judgement::require(version <= limit, format!("Linux {asked} or newer"), expected),
        None => Judgement::cannot_tell(format!("the ABI tag says {asked}"), expected),
    }
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::AbiTag;

    use super::*;
    use crate::testing::*;

    fn with(system: u32, kernel: [u32; 3], minimum: &str) -> Judgement {
        judge_elf(&RULE, |elf, policy| {
            elf.marks.abi_tag = Some(AbiTag { system, kernel });
            policy.kernel_minimum = Some(minimum.to_owned());
        })
    }

    #[test]
    fn a_newer_kernel_and_another_system_fail() {
        assert_ends(&with(0, [3, 7, 0], "3.7"), Outcome::Pass, "Linux 3.7.0");
        assert_ends(&with(0, [3, 7, 1], "3.7"), Outcome::Fail, "Linux 3.7.1");
        assert_ends(&with(0, [3, 10, 0], "3.7"), Outcome::Fail, "Linux 3.10.0");
        assert_ends(&with(3, [3, 7, 0], "3.7"), Outcome::Fail, "system 3");
        assert_ends(&with(0, [3, 7, 0], "new"), Outcome::CannotTell, "no version");
    }

    #[test]
    fn it_needs_a_policy_and_a_tag() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
        let without = judge_elf(&RULE, |_, policy| policy.kernel_minimum = Some("3.7".to_owned()));
        assert_ends(&without, Outcome::NotApplicable, "no ABI tag");
    }
}
