//! What notes, comments and names tell about compiler, linker and packager.

use std::ops::Range;

use crate::constants::elf as constants;

use super::{Image, properties, symbols};
use crate::bytes::{Bytes, Survey};
use crate::facts::{AbiTag, Elf, Language, LanguageMark, Note};

const NT_GNU_ABI_TAG: u32 = 1;
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
/// systemd's package metadata, owner `FDO`.
const NT_FDO_PACKAGING_METADATA: u32 = 0xcafe_1a7e;

/// The longest name that is a mark: `__intel_security_cookie`, and with its affixes `__fgetws_unlocked_chk`.
const LONGEST: usize = 23;

/// By their whole names: `__stack_chk_fail_logger` is some program's own function.
const STACK_PROTECTOR: [&str; 5] = [
    "__stack_chk_fail",
    "__stack_chk_guard",
    "__stack_chk_fail_local",
    "__stack_smash_handler",
    "__intel_security_cookie",
];

/// Reads what the notes, comments and symbols already read mean; properties count in the `loaded` notes alone.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, loaded: Range<usize>, survey: &mut Survey) {
    let mut marks = std::mem::take(&mut elf.marks);
    for (index, note) in elf.notes.iter().enumerate() {
        match (note.owner.as_str(), note.kind) {
            ("GNU", NT_GNU_PROPERTY_TYPE_0) if loaded.contains(&index) => {
                marks.properties.extend(properties::decode(image, elf, note, survey));
            }
            ("GNU", NT_GNU_ABI_TAG) if marks.abi_tag.is_none() => marks.abi_tag = abi_tag(image, note),
            ("FDO", NT_FDO_PACKAGING_METADATA) => marks.package = package(note),
            _ => {}
        }
    }
    marks.languages = languages(elf);
    for import in &elf.imports {
        let name = import.name.as_str();
        // Most are longer than any of these.
        if name.len() > LONGEST {
            continue;
        }
        if is_of_the_stack_protector(name) {
            marks.stack_protector.push(name.to_owned());
        } else if is_fortified(name) {
            marks.fortified.push(name.to_owned());
        } else if is_fortifiable(name) {
            marks.fortifiable.push(name.to_owned());
        }
    }
    if elf.imports.is_empty() {
        marks.stack_protector = symbols::static_names(image, elf, &STACK_PROTECTOR);
    }
    elf.marks = marks;
}

fn is_of_the_stack_protector(name: &str) -> bool {
    STACK_PROTECTOR.contains(&name)
}

fn abi_tag(image: Image<'_>, note: &Note) -> Option<AbiTag> {
    let bytes = Bytes { data: &note.description, big_endian: image.bytes.big_endian };
    let word = |index: u64| bytes.u32(4 * index);
    Some(AbiTag { system: word(0)?, kernel: [word(1)?, word(2)?, word(3)?] })
}

fn package(note: &Note) -> Option<String> {
    let text = note.description.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Each language once, with the first sign of it.
fn languages(elf: &Elf) -> Vec<LanguageMark> {
    let mut marks: Vec<LanguageMark> = Vec::new();
    let mut add = |language, evidence: String| {
        if !marks.iter().any(|mark| mark.language == language) {
            marks.push(LanguageMark { language, evidence });
        }
    };
    for comment in &elf.comments {
        if comment.starts_with("rustc version") {
            add(Language::Rust, format!(".comment `{comment}`"));
        } else if comment.starts_with("GCC:") || comment.contains("clang version") {
            add(Language::CFamily, format!(".comment `{comment}`"));
        }
    }
    if elf.notes.iter().any(|note| note.owner == "Go") {
        add(Language::Go, "a note of owner `Go`".to_owned());
    }
    for section in &elf.sections {
        if matches!(section.name.as_str(), ".go.buildinfo" | ".gopclntab") {
            add(Language::Go, format!("section `{}`", section.name));
        }
    }
    let runtime = |name: &&String| name.starts_with("libstdc++.so") || name.starts_with("libc++.so");
    if let Some(library) = elf.needed.iter().find(runtime) {
        add(Language::Cxx, format!("needs `{library}`"));
    }
    marks
}

/// `__memcpy_chk` for `memcpy`, `__open_2` for `open`.
fn is_fortified(name: &str) -> bool {
    let Some(inner) = name.strip_prefix("__") else { return false };
    match (inner.strip_suffix("_chk"), inner.strip_suffix("_2")) {
        // What `FD_SET` calls is no variant of a function.
        (Some(plain), _) => plain == "fdelt" || CHECKED.binary_search(&plain).is_ok(),
        (None, Some(plain)) => CHECKED_BY_COUNT.contains(&plain),
        (None, None) => false,
    }
}

fn is_fortifiable(name: &str) -> bool {
    (may_be_checked(name) && CHECKED.binary_search(&name).is_ok())
        || CHECKED_BY_COUNT.contains(&name)
        || matches!(name, "_longjmp" | "siglongjmp")
}

/// Whether a name of this length in [`CHECKED`] begins with this letter: most imports are told apart by that.
fn may_be_checked(name: &str) -> bool {
    let first = name.bytes().next().map_or(u8::MAX, |first| first.wrapping_sub(b'a'));
    first < 26 && BEGINNINGS.get(name.len()).is_some_and(|letters| letters & (1 << first) != 0)
}

/// For each length the letters that names in [`CHECKED`] begin with, as bits from `a` on.
const BEGINNINGS: [u32; LONGEST] = {
    let mut beginnings = [0; LONGEST];
    let mut index = 0;
    while index < CHECKED.len() {
        beginnings[CHECKED[index].len()] |= 1 << (CHECKED[index].as_bytes()[0] - b'a');
        index += 1;
    }
    beginnings
};

/// Functions whose checked variant is `__…_2`: it takes one argument less.
const CHECKED_BY_COUNT: [&str; 5] = ["mq_open", "open", "open64", "openat", "openat64"];

/// Every function with a checked variant `__…_chk` in glibc: the exports of Debian 12's 2.36, and what 2.38 and 2.42 added.
/// In order of bytes.
const CHECKED: &[&str] = &[
    "asprintf",
    "confstr",
    "dprintf",
    "explicit_bzero",
    "fgets",
    "fgets_unlocked",
    "fgetws",
    "fgetws_unlocked",
    "fprintf",
    "fread",
    "fread_unlocked",
    "fwprintf",
    "getcwd",
    "getdomainname",
    "getgroups",
    "gethostname",
    "getlogin_r",
    "gets",
    "getwd",
    "inet_ntop",
    "inet_pton",
    "longjmp",
    "mbsnrtowcs",
    "mbsrtowcs",
    "mbstowcs",
    "memcpy",
    "memmove",
    "mempcpy",
    "memset",
    "obstack_printf",
    "obstack_vprintf",
    "poll",
    "ppoll",
    "pread",
    "pread64",
    "printf",
    "ptsname_r",
    "read",
    "readlink",
    "readlinkat",
    "realpath",
    "recv",
    "recvfrom",
    "snprintf",
    "sprintf",
    "stpcpy",
    "stpncpy",
    "strcat",
    "strcpy",
    "strlcat",
    "strlcpy",
    "strncat",
    "strncpy",
    "swprintf",
    "syslog",
    "ttyname_r",
    "vasprintf",
    "vdprintf",
    "vfprintf",
    "vfwprintf",
    "vprintf",
    "vsnprintf",
    "vsprintf",
    "vswprintf",
    "vsyslog",
    "vwprintf",
    "wcpcpy",
    "wcpncpy",
    "wcrtomb",
    "wcscat",
    "wcscpy",
    "wcslcat",
    "wcslcpy",
    "wcsncat",
    "wcsncpy",
    "wcsnrtombs",
    "wcsrtombs",
    "wcstombs",
    "wctomb",
    "wmemcpy",
    "wmemmove",
    "wmempcpy",
    "wmemset",
    "wprintf",
];

/// What the linker's own notes are read from where no note segment covers them.
pub(super) fn property_segment(elf: &Elf) -> Option<(u64, u64, u64)> {
    let segment = elf.segments.iter().find(|segment| segment.kind == constants::PT_GNU_PROPERTY)?;
    Some((segment.offset, segment.file_size, segment.alignment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_name_whole_names() {
        assert!(CHECKED.is_sorted());
        assert!(is_fortified("__memcpy_chk") && is_fortified("__open64_2") && is_fortified("__fdelt_chk"));
        assert!(
            !is_fortified("__stack_chk_fail") && !is_fortified("__memcpy_chk_warn") && !is_fortified("x_chk")
        );
        assert!(is_fortifiable("memcpy") && is_fortifiable("openat") && !is_fortifiable("__memcpy_chk"));
        assert!(CHECKED.iter().all(|name| is_fortifiable(name)));
        // As long as `memcpy`, and with its first letter.
        assert!(may_be_checked("malloc") && !is_fortifiable("malloc"));
        assert!(
            !may_be_checked("")
                && !may_be_checked("Zmemcpy")
                && !may_be_checked("zemcpy")
                && !may_be_checked("memcpyxxxxxxxx")
        );
        assert!(is_of_the_stack_protector("__stack_chk_fail"));
        assert!(!is_of_the_stack_protector("__stack_chk_fail_logger"));
        let affixed = CHECKED.iter().map(|name| "__".len() + name.len() + "_chk".len());
        let longest = affixed.chain(STACK_PROTECTOR.iter().map(|name| name.len())).max();
        assert_eq!(longest, Some(LONGEST));
    }
}
