//! SW-BUILD-PATHS: no path of the build machine inside.

use std::borrow::Cow;
use std::collections::BTreeSet;

use inspect::facts::Binary;

use crate::rule::{Check, Judgement, Rule};
use crate::search::Texts;
use crate::{Policy, Subject};

/// Shorter folders (`/`, `/a`) would be found by accident in any file, so they prove nothing.
const SHORTEST: usize = 4;
/// A list of ten is enough to act on.
const MOST: usize = 10;
/// No file system in use has longer names, in characters.
const LONGEST_NAME: usize = 255;
const EXPECTED: &str = "no folder of the build, no place like `/home/*/`";

pub(crate) const RULE: Rule = Rule {
    id: "SW-BUILD-PATHS",
    summary: "no path of the build machine inside",
    why: "A path of the build machine names people and servers, and makes the same source give other bytes elsewhere.",
    fix: "remap it: `--remap-path-prefix` for Rust, `-ffile-prefix-map` for C; `strip` for what debug sections hold",
    references: &[
        "CWE-200: Exposure of Sensitive Information to an Unauthorized Actor",
        "rustc, --remap-path-prefix",
        "reproducible-builds.org, Build path",
    ],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    if policy.build_paths.is_empty() && policy.path_patterns.is_empty() {
        return Judgement::not_applicable("the policy names no folder");
    }
    let given =
        policy.build_paths.iter().map(|folder| trimmed(folder)).filter(|folder| folder.len() >= SHORTEST);
    // What stands before a pattern's star is searched, what the star stands for is then looked at.
    let patterns =
        policy.path_patterns.iter().map(|pattern| pattern.split_once('*').unwrap_or((pattern, "")));
    let named: Vec<_> = given
        .map(|folder| (folder, Behind::TheEnd))
        .chain(patterns.map(|(start, rest)| (start, Behind::Folder(rest))))
        .collect();
    let is_pe = matches!(subject.facts.binary, Binary::Pe(_));
    let spelt = named.iter().filter(|_| is_pe);
    let others: Vec<_> =
        spelt.flat_map(|(start, behind)| other_cases(start).map(|case| (case, *behind))).collect();
    let others = others.iter().map(|(start, behind)| (start.as_str(), *behind));
    let starts: Vec<_> = named.iter().copied().chain(others).collect();
    let longest_rest = starts.iter().map(|(_, behind)| behind.rest().len()).max().unwrap_or_default();
    // In UTF-16 a character has two bytes.
    let tail = 2 * (LONGEST_NAME + longest_rest);
    // Each as bytes and, in PE, as UTF-16.
    let plain = starts.iter().map(|(start, _)| start.as_bytes().to_vec());
    // A start outside of ASCII has another length as text; nobody's build folder was seen to have one.
    let wide = starts.iter().filter(|(start, _)| is_pe && start.is_ascii());
    let wide: Vec<_> = wide.map(|(start, behind)| (utf16(start), *start, *behind)).collect();
    let texts = Texts::new(plain.chain(wide.iter().map(|(text, ..)| text.clone())));
    let mut found = Vec::new();
    let searched = texts.each(subject, tail, &mut |offset, which, text| {
        let (start, behind, text) = match starts.get(which) {
            Some((start, behind)) => (*start, *behind, Cow::Borrowed(text)),
            None => {
                let (_, start, behind) = wide[which - starts.len()];
                (start, behind, Cow::Owned(narrow(text)))
            }
        };
        if found.len() < MOST && behind.stands_in(&text[start.len()..]) && !allowed(&text, policy) {
            found.push((offset, readable(&text)));
        }
    });
    if let Err(error) = searched {
        return Judgement::cannot_tell(format!("the file cannot be read again: {error}"), EXPECTED);
    }
    found.sort_unstable();
    found.dedup();
    let found: Vec<_> =
        found.iter().map(|(offset, text)| format!("`{text}` at offset {offset:#x}")).collect();
    Judgement::none_wrong(&found, "none", EXPECTED)
}

/// What a Windows path is also written as: with a small letter for the drive, in small letters, or in both.
fn other_cases(start: &str) -> impl Iterator<Item = String> {
    let is_path = matches!(start.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    let (drive, rest) = start.split_at(usize::from(is_path));
    let small = (drive.to_ascii_lowercase(), rest.to_ascii_lowercase());
    let cases = [small.0.clone() + rest, drive.to_owned() + &small.1, small.0.clone() + &small.1];
    let mut known = BTreeSet::from([start.to_owned()]);
    cases.into_iter().filter(move |case| is_path && known.insert(case.clone()))
}

fn trimmed(folder: &str) -> &str {
    folder.trim_end_matches(['/', '\\'])
}

/// What must stand behind a start for it to count.
#[derive(Clone, Copy)]
enum Behind<'a> {
    /// No more of the same name: `/root` is not found in `/rootfs`.
    TheEnd,
    /// One folder's name, then this.
    Folder(&'a str),
}

impl<'a> Behind<'a> {
    /// What must follow the name.
    fn rest(self) -> &'a str {
        match self {
            Behind::TheEnd => "",
            Behind::Folder(rest) => rest,
        }
    }

    fn stands_in(self, tail: &[u8]) -> bool {
        match self {
            Behind::TheEnd => named(tail) == 0,
            Behind::Folder("") => named(tail) > 0,
            Behind::Folder(rest) => folder_follows(tail, rest),
        }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// UTF-16 as bytes, what is not ASCII as a question mark.
fn narrow(wide: &[u8]) -> Vec<u8> {
    wide.chunks_exact(2).map(|unit| if unit[1] == 0 { unit[0] } else { b'?' }).collect()
}

/// One folder's name, then `rest`.
fn folder_follows(tail: &[u8], rest: &str) -> bool {
    let length = named(tail);
    length > 0 && tail[length..].starts_with(rest.as_bytes())
}

/// How many bytes of `tail` could be one name of a file or folder.
fn named(tail: &[u8]) -> usize {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+@".contains(byte) || !byte.is_ascii();
    tail.iter().take(LONGEST_NAME).take_while(|byte| part(byte)).count()
}

fn allowed(text: &[u8], policy: &Policy) -> bool {
    policy.allowed_paths.iter().any(|start| text.starts_with(start.as_bytes()))
}

/// The printable beginning, for a report.
fn readable(text: &[u8]) -> String {
    text.iter()
        .take(80)
        .take_while(|byte| (0x20..0x7f).contains(*byte))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};
    use inspect::facts::Facts;

    use super::*;
    use crate::testing::*;

    fn judge_text(text: &[u8], folders: &[&str]) -> Judgement {
        let folders = folders.iter().map(|folder| (*folder).to_owned());
        let policy = Policy::for_target(Target::Aarch64Linux).with_build_paths(folders);
        judge(&RULE, &elf_facts(), text, &policy)
    }

    #[test]
    fn a_folder_of_the_build_is_found_wherever_it_stands() {
        let judgement = judge_text(b"panicked at/work/main/src/x.rs\0", &["/work/main/"]);
        assert_ends(&judgement, Outcome::Fail, "`/work/main/src/x.rs` at offset 0xb");
        assert_ends(&judge_text(b"in /work/mainly", &["/work/main"]), Outcome::Pass, "none");
        assert_ends(&judge_text(b"in /work/main\0", &["/work/main"]), Outcome::Fail, "0x3");
    }

    #[test]
    fn places_on_any_build_machine_are_found_without_being_told() {
        for path in
            ["/home/ann/x.c", "/root/.cargo/registry", "/Users/ann/x", "C:\\Users\\ann\\x", "C:/Users/a/"]
        {
            assert_ends(&judge_text(path.as_bytes(), &[]), Outcome::Fail, path);
        }
        for text in ["/home/", "/home", "https://x.org/homepage/", "/rootfs/bin", "/usr/lib", "/home/%s"] {
            assert_ends(&judge_text(text.as_bytes(), &[]), Outcome::Pass, "none");
        }
    }

    #[test]
    fn remapped_paths_win_over_a_folder_of_the_same_name() {
        let remapped =
            b"/rustc/1234/library/std/src/io.rs\0/cargo/registry/src/a.rs\0/src/main.rs\0/rust/deps/x";
        assert_ends(&judge_text(remapped, &["/src", "/cargo"]), Outcome::Pass, "none");
    }

    #[test]
    fn a_star_stands_for_one_folder_s_name_and_for_no_other() {
        let with = |pattern: &str, text: &str| {
            let mut policy = Policy::for_target(Target::Aarch64Linux);
            policy.path_patterns = vec![pattern.to_owned()];
            judge(&RULE, &elf_facts(), text.as_bytes(), &policy)
        };
        assert_ends(&with("/builds/*", "/builds/ "), Outcome::Pass, "none");
        assert_ends(&with("/builds/*", "/builds/x"), Outcome::Fail, "/builds/x");
        assert_ends(&with("/builds/*/out", "/builds//out"), Outcome::Pass, "none");
        assert_ends(&with("/builds/*/out", "/builds/x/in"), Outcome::Pass, "none");
        assert_ends(&with("/builds/*/out", "/builds/x/out"), Outcome::Fail, "/builds/x/out");
        // As long as names can be, with a rest that is longer still.
        let (name, rest) = ("n".repeat(255), "/r".repeat(200));
        let text = format!("/builds/{name}{rest}");
        assert_ends(&with(&format!("/builds/*{rest}"), &text), Outcome::Fail, "/builds/nnn");
        assert_ends(&with(&format!("/builds/*{rest}"), &text[..text.len() - 1]), Outcome::Pass, "none");
    }

    #[test]
    fn no_more_places_are_told_than_a_person_reads() {
        let judgement = judge_text(&b"/work/main/x ".repeat(MOST + 1), &["/work/main"]);
        let last = format!("offset {:#x}", 13 * (MOST - 1));
        assert_ends(&judgement, Outcome::Fail, &last);
        assert!(judgement.observed.ends_with(&last), "{judgement:?}");
    }

    #[test]
    fn without_folders_nothing_is_searched() {
        let mut policy = Policy::for_target(Target::Aarch64Linux);
        policy.path_patterns.clear();
        let judgement = judge(&RULE, &elf_facts(), b"/home/ann/x.c", &policy);
        assert_ends(&judgement, Outcome::NotApplicable, "no folder");
    }

    #[test]
    fn a_folder_too_short_to_mean_anything_is_not_searched() {
        assert_ends(&judge_text(b"a/b/c", &["/", "/b"]), Outcome::Pass, "none");
        assert_ends(&judge_text(b"a/bui/c", &["/bui"]), Outcome::Fail, "/bui/c");
    }

    #[test]
    fn wide_text_is_read_in_a_pe_file() {
        let judged = |facts: &Facts, target, text: &str| {
            let folders = ["C:\\agent\\ship", "D:\\builds"].map(str::to_owned);
            let policy = Policy::for_target(target).with_build_paths(folders);
            judge(&RULE, facts, &utf16(text), &policy)
        };
        let pe = |text| judged(&pe_facts(), Target::X86_64Windows, text);
        assert_ends(&pe("C:\\Users\\ann\\x.rs"), Outcome::Fail, "`C:\\Users\\ann\\x.rs` at offset 0x0");
        assert_ends(&pe("in C:\\agent\\ship"), Outcome::Fail, "`C:\\agent\\ship` at offset 0x6");
        assert_ends(&pe("in D:\\builds\\x"), Outcome::Fail, "`D:\\builds\\x` at offset 0x6");
        assert_ends(&pe("in D:\\builds2"), Outcome::Pass, "none");
        // Only a Windows path has other cases.
        assert_ends(&pe("in d:\\builds\\x"), Outcome::Fail, "`d:\\builds\\x` at offset 0x6");
        assert_ends(&pe("/users/ann/x"), Outcome::Pass, "none");
        let long = format!("C:\\Users\\{}\\x.rs", "n".repeat(255));
        assert_ends(&pe(&long), Outcome::Fail, "`C:\\Users\\nnn");
        for path in ["c:\\users\\ann\\x.rs", "c:\\Users\\ann\\x", "C:\\users\\ann\\x", "c:\\agent\\ship"] {
            assert_ends(&pe(path), Outcome::Fail, path);
        }
        let elf = judged(&elf_facts(), Target::Aarch64Linux, "/home/ann/x.c");
        assert_ends(&elf, Outcome::Pass, "none");
    }
}
