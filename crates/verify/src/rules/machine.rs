//! SW-MACHINE: built for the target's processor.

use artifact::{BinaryFormat, Machine};
use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-MACHINE",
    summary: "built for the target's processor",
    why: "A program for another processor does not start, or starts only where an emulator hides the mistake.",
    fix: "check the target triple the file was built with, and that no helper of the build machine was bundled",
    references: &[
        "ELF gABI, ELF Header: e_machine",
        "PE/COFF specification, Machine Types",
        "Windows on Arm, Understanding Arm64EC ABI and assembly code",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    let machine = match &subject.facts.binary {
        Binary::Elf(elf) => elf.machine,
        Binary::Pe(pe) => pe.machine,
    };
    let wanted = number(policy.format, policy.machine);
    // Its header says x86-64, so that x86-64 programs load it; its code is AArch64's.
    if let Binary::Pe(pe) = &subject.facts.binary
        && pe.machine == wanted
        && wanted == number(BinaryFormat::Pe, Machine::X86_64)
        && pe.load_config.is_some_and(|config| config.hybrid_metadata != 0)
    {
        let what =
            "ARM64EC: code of AArch64 behind a header of x86-64 (CHPE metadata in the load configuration)";
        return Judgement::fail(what, named(policy.format, wanted));
    }
    Judgement::require(machine == wanted, named(policy.format, machine), named(policy.format, wanted))
}

/// `e_machine` of the ELF gABI, `Machine` of the PE/COFF specification.
pub(super) fn number(format: BinaryFormat, machine: Machine) -> u16 {
    match (format, machine) {
        (BinaryFormat::Elf, Machine::Aarch64) => 183,
        (BinaryFormat::Elf, Machine::X86_64) => 62,
        (BinaryFormat::Pe, Machine::Aarch64) => 0xaa64,
        (BinaryFormat::Pe, Machine::X86_64) => 0x8664,
    }
}

fn named(format: BinaryFormat, machine: u16) -> String {
    let name = match (format, machine) {
        (BinaryFormat::Elf, 183) | (BinaryFormat::Pe, 0xaa64) => "AArch64",
        (BinaryFormat::Elf, 62) | (BinaryFormat::Pe, 0x8664) => "x86-64",
        (BinaryFormat::Elf, 3) | (BinaryFormat::Pe, 0x14c) => "x86",
        (BinaryFormat::Elf, 40) | (BinaryFormat::Pe, 0x1c4) => "Arm 32-bit",
        (BinaryFormat::Elf, 243) => "RISC-V",
        _ => "another processor",
    };
    format!("{name} (machine {machine:#x})")
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::LoadConfig;

    use super::*;
    use crate::testing::*;

    #[test]
    fn code_of_another_processor_behind_the_right_header_fails() {
        let hybrid = |machine| {
            judge_pe(&RULE, |pe, _| {
                pe.machine = machine;
                pe.load_config = Some(LoadConfig { hybrid_metadata: 0x1_4000_2000, ..LoadConfig::default() });
            })
        };
        assert_ends(&hybrid(0x8664), Outcome::Fail, "ARM64EC");
        assert_ends(&hybrid(0x14c), Outcome::Fail, "x86 (");
        let none = judge_pe(&RULE, |pe, _| pe.load_config = Some(LoadConfig::default()));
        assert_ends(&none, Outcome::Pass, "x86-64");
    }

    #[test]
    fn another_processor_fails() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::Pass, "AArch64");
        for (machine, name) in
            [(62, "x86-64"), (3, "x86 ("), (40, "Arm 32-bit"), (243, "RISC-V"), (8, "another")]
        {
            assert_ends(&judge_elf(&RULE, |elf, _| elf.machine = machine), Outcome::Fail, name);
        }
        for (machine, name) in [(0x14c, "x86 ("), (0x1c4, "Arm 32-bit"), (0x200, "another")] {
            assert_ends(&judge_pe(&RULE, |pe, _| pe.machine = machine), Outcome::Fail, name);
        }
        assert_ends(&judge_pe(&RULE, |pe, _| pe.machine = 0xaa64), Outcome::Fail, "AArch64");
    }
}
