//! SW-PE-PDB-PATH: no folder of the build machine.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule, listed_or_none};
use crate::{Policy, Subject};

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-PDB-PATH",
    summary: "the PDB is named without a folder",
    why: "The path of the PDB names folders and people of the build machine, and debuggers look for the file there.",
    fix: "link with `/PDBALTPATH:%_PDB%`; rustc does it by itself for paths it knows",
    references: &[
        "PE/COFF specification, Debug Type: IMAGE_DEBUG_TYPE_CODEVIEW",
        "MSVC linker, /PDBALTPATH",
        "CWE-497: Exposure of Sensitive System Information",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, subject: &Subject, _: &Policy) -> Judgement {
    let expected = "a bare file name";
    let paths = pe.debug.iter().filter_map(|entry| Some((entry, entry.pdb_path.as_deref()?)));
    let mut fine = Vec::new();
    for (entry, path) in paths {
        if path.contains(['/', '\\', ':']) {
            let judgement = Judgement::fail(format!("`{path}`"), expected);
            return judgement.at(subject.bytes, entry.offset.into(), entry.size.into());
        }
        fine.push(format!("`{path}`"));
    }
    Judgement::pass(listed_or_none(&fine), expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeDebug;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_folder_or_a_drive_fails() {
        let named = |path: &str| {
            let entry = PeDebug { kind: 2, pdb_path: Some(path.to_owned()), ..PeDebug::default() };
            judge_pe(&RULE, |pe, _| pe.debug.push(entry))
        };
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "none");
        assert_ends(&named("program.pdb"), Outcome::Pass, "`program.pdb`");
        for path in ["D:\\a\\1\\s\\program.pdb", "/build/program.pdb", "c:program.pdb"] {
            assert_ends(&named(path), Outcome::Fail, path);
        }
    }
}
