//! What sort of PE file it is, where that decides which questions make sense.

use inspect::facts::{Pe, PeSection};

/// `IMAGE_SCN_MEM_EXECUTE`
pub(crate) const EXECUTE: u32 = 0x2000_0000;

/// Section names that packers, protectors and installers leave, as prefixes.
const PACKERS: &[(&str, &str)] = &[
    ("UPX", "UPX"),
    (".UPX", "UPX"),
    (".aspack", "ASPack"),
    (".adata", "ASPack"),
    ("ASPack", "ASPack"),
    (".MPRESS", "MPRESS"),
    (".petite", "Petite"),
    ("PEC2", "PECompact"),
    ("pec1", "PECompact"),
    (".nsp", "NsPack"),
    ("nsp0", "NsPack"),
    (".themida", "Themida"),
    (".winlice", "WinLicense"),
    (".vmp", "VMProtect"),
    (".enigma", "Enigma"),
    (".ndata", "NSIS"),
    ("_winzip_", "WinZip"),
    (INCREMENTAL, "MSVC's incremental linking, or a packer under its name"),
];

/// Room for functions that grow, which no loader fills; the code is in `.text` (MSVC, /INCREMENTAL).
const INCREMENTAL: &str = ".textbss";

/// Who packed the file, by what a packer cannot hide: its sections.
pub(crate) fn packer(pe: &Pe) -> Option<(&PeSection, &'static str)> {
    let named = pe.sections.iter().find_map(|section| {
        let (_, packer) = PACKERS.iter().find(|(name, _)| section.name.starts_with(name))?;
        Some((section, *packer))
    });
    // Renamed or not: code that is not in the file can only be written when the program runs.
    let empty = |section: &&PeSection| {
        section.characteristics & EXECUTE != 0 && section.raw_size == 0 && section.virtual_size != 0
    };
    named.or_else(|| Some((pe.sections.iter().find(empty)?, "an unknown packer")))
}

/// Why the loader of Windows' programs never sees the file: it is EFI's, or the kernel's.
pub(crate) fn not_a_program_of_windows(pe: &Pe) -> Option<&'static str> {
    const NATIVE: u16 = 1;
    let is_native_program =
        || pe.imports.iter().any(|import| import.library.eq_ignore_ascii_case("ntdll.dll"));
    if pe.is_for_firmware() {
        return Some("an EFI program, which Windows does not load");
    }
    (pe.subsystem == NATIVE && !pe.is_library() && !is_native_program())
        .then_some("a driver, which the kernel loads where it has room and maps by its sections")
}

/// Whether all code is .NET's intermediate language.
pub(crate) fn is_intermediate_language(pe: &Pe) -> bool {
    const INTERMEDIATE_LANGUAGE_ONLY: u32 = 1;
    pe.clr.is_some_and(|clr| clr.flags & INTERMEDIATE_LANGUAGE_ONLY != 0)
}

/// Why questions about the code's mitigations have no answer here.
pub(crate) fn no_code_of_its_own(pe: &Pe) -> Option<String> {
    if pe.entry == 0 && !pe.sections.iter().any(|section| section.characteristics & EXECUTE != 0) {
        return Some("no code: resources only, or exports that are other libraries'".to_owned());
    }
    if is_intermediate_language(pe) {
        return Some(".NET code, which is compiled where it runs".to_owned());
    }
    let (_, packer) = packer(pe).filter(|(section, _)| section.name != INCREMENTAL)?;
    Some(format!("packed by {packer}: the code is not in the file to be looked at, see SW-PE-PACKER"))
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;

    use super::*;
    use crate::testing::*;

    #[test]
    fn what_another_loader_loads_is_not_held_to_the_one_of_windows() {
        let kind = |change: &dyn Fn(&mut Pe)| {
            let mut facts = pe_facts();
            change(pe_of(&mut facts));
            not_a_program_of_windows(pe_of(&mut facts)).unwrap_or_default()
        };
        assert_eq!(kind(&|_| ()), "");
        for (subsystem, said) in [(9, ""), (10, "EFI"), (13, "EFI"), (14, "")] {
            assert_eq!(!kind(&|pe| pe.subsystem = subsystem).is_empty(), said == "EFI", "{subsystem}");
        }
        assert!(kind(&|pe| pe.subsystem = 1).contains("a driver"));
        assert_eq!(kind(&|pe| (pe.subsystem, pe.characteristics) = (1, 0x2022)), "", "a library");
        assert_eq!(kind(&|pe| (pe.subsystem, pe.imports[0].library) = (1, "NTDLL.dll".to_owned())), "");
    }

    #[test]
    fn firmware_is_asked_by_no_rule_about_windows_loader() {
        let asked = |id: &str, subsystem: u16| {
            let rule = crate::rules().iter().find(|rule| rule.id == id).unwrap();
            judge_pe(rule, |pe, _| {
                (pe.subsystem, pe.dll_characteristics, pe.characteristics) = (subsystem, 0, 1);
                pe.section_alignment = 0x200;
                pe.sections.iter_mut().for_each(|section| section.characteristics |= EXECUTE);
            })
        };
        for id in [
            "SW-PE-DYNAMIC-BASE",
            "SW-PE-HIGH-ENTROPY",
            "SW-PE-NX",
            "SW-PE-RELOCATIONS",
            "SW-PE-ALIGNMENT",
            "SW-PE-EXECUTABLE-IMPORTS",
        ] {
            assert_ends(&asked(id, 10), Outcome::NotApplicable, "an EFI program");
            assert_ends(&asked(id, 3), Outcome::Fail, "");
        }
    }

    fn said(change: impl FnOnce(&mut Pe)) -> String {
        let mut facts = pe_facts();
        change(pe_of(&mut facts));
        no_code_of_its_own(pe_of(&mut facts)).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_asked_about_its_code_says_why() {
        assert_eq!(said(|_| ()), "");
        assert!(said(|pe| pe.sections[0].name = "UPX0".into()).contains("UPX"));
        assert!(said(|pe| pe.sections[0].name = ".ndata".into()).contains("NSIS"));
        assert!(said(|pe| pe.sections[0].raw_size = 0).contains("unknown packer"));
        let incremental = |pe: &mut Pe| {
            let room = PeSection { name: ".textbss".into(), raw_size: 0, ..pe.sections[0].clone() };
            pe.sections.insert(0, room);
        };
        assert_eq!(said(incremental), "", "the code is behind it");
        let resources = |pe: &mut Pe| {
            pe.entry = 0;
            pe.sections.remove(0);
        };
        assert!(said(resources).contains("resources only"));
        assert_eq!(said(|pe| pe.entry = 0), "", "a library whose code is only called by name");
        assert_eq!(said(|pe| drop(pe.sections.remove(0))), "", "an entry, wherever it leads, is code");
        let managed = inspect::facts::ClrHeader { runtime_version: (2, 5), flags: 1 };
        assert!(said(|pe| pe.clr = Some(managed)).contains(".NET"));
        let mixed = inspect::facts::ClrHeader { flags: 0, ..managed };
        assert_eq!(said(|pe| pe.clr = Some(mixed)), "", "machine code beside .NET's is there to be asked");
    }
}
