//! SW-PE-SUBSYSTEM: a console window where one is meant to be, and only there.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject, SubsystemPolicy};

/// `IMAGE_SUBSYSTEM_WINDOWS_GUI` and `IMAGE_SUBSYSTEM_WINDOWS_CUI`
const GUI: u16 = 2;
const CONSOLE: u16 = 3;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-SUBSYSTEM",
    summary: "a console window where one is meant to be, and only there",
    why: "With the wrong subsystem a desktop program opens a black window, or a command line tool prints nothing.",
    fix: "set `finish.subsystem` to what `policy.subsystem` says, or the other way round",
    references: &["PE/COFF specification, Windows Subsystem", "rustc, #![windows_subsystem]"],
    check: Check::Pe(check),
};

/// From the PE signature to the field: COFF header (24 bytes with the signature), then 68 bytes of either optional header.
const OFFSET: u64 = 24 + 68;

fn check(pe: &Pe, subject: &Subject, policy: &Policy) -> Judgement {
    if let Some(why) = policy.library(&subject.facts.binary) {
        return Judgement::not_applicable(format!("no program ({why}), see SW-KIND"));
    }
    let (right, expected) = match policy.subsystem {
        SubsystemPolicy::Console => (pe.subsystem == CONSOLE, "console (3)"),
        SubsystemPolicy::Gui => (pe.subsystem == GUI, "GUI (2)"),
        SubsystemPolicy::Any => (matches!(pe.subsystem, CONSOLE | GUI), "GUI (2) or console (3)"),
    };
    let name = match pe.subsystem {
        GUI => "GUI",
        CONSOLE => "console",
        _ => "another subsystem",
    };
    let judgement = Judgement::require(right, format!("{name} ({})", pe.subsystem), expected);
    judgement.at(subject.bytes, u64::from(pe.header_offset) + OFFSET, 2)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    fn judge_subsystem(subsystem: u16, wanted: SubsystemPolicy) -> Judgement {
        judge_pe(&RULE, |pe, policy| {
            pe.subsystem = subsystem;
            policy.subsystem = wanted;
        })
    }

    #[test]
    fn the_declared_one_passes_and_the_other_fails() {
        assert_ends(&judge_subsystem(3, SubsystemPolicy::Console), Outcome::Pass, "console (3)");
        assert_ends(&judge_subsystem(2, SubsystemPolicy::Console), Outcome::Fail, "GUI (2)");
        assert_ends(&judge_subsystem(2, SubsystemPolicy::Gui), Outcome::Pass, "GUI (2)");
        assert_ends(&judge_subsystem(3, SubsystemPolicy::Gui), Outcome::Fail, "console (3)");
    }

    #[test]
    fn a_library_has_no_window() {
        let dll = judge_pe(&RULE, |pe, policy| {
            pe.characteristics |= IMAGE_FILE_DLL;
            pe.subsystem = 2;
            policy.kind = crate::KindPolicy::Auto;
        });
        assert_ends(&dll, Outcome::NotApplicable, "IMAGE_FILE_DLL");
    }

    #[test]
    fn any_of_the_two_does_not_mean_any_number() {
        assert_ends(&judge_subsystem(2, SubsystemPolicy::Any), Outcome::Pass, "GUI");
        assert_ends(&judge_subsystem(10, SubsystemPolicy::Any), Outcome::Fail, "another subsystem (10)");
    }
}
