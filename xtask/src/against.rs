//! `verify --against OLD`: which older file a newer one is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use artifact::Finding;
use inputs::{Input, Item};
use verify::{Before, Policy, Sighting, Subject};

use crate::args::VerifyArgs;
use crate::failure::{Failure, Message};
use crate::programs::each_program;
use crate::render::Renderer;
use crate::verification::Choice;

/// What there was, by name.
#[derive(Debug, Default)]
pub(crate) struct Older {
    /// What was named after `--against`.
    place: String,
    /// By the name below what was named.
    by_path: BTreeMap<String, Sighting>,
    /// The names in `by_path` that one such name without versions stands for: first whole ones, then files' own.
    by_name: [BTreeMap<String, Vec<String>>; 2],
    /// What was compared so far.
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Older files that a newer one was compared with.
    compared: BTreeSet<String>,
    /// Newer files without an older one.
    new: Vec<String>,
}

impl Older {
    /// Looks at every program below `path`.
    pub(crate) fn read(path: &Path, args: &VerifyArgs, choice: &Choice) -> Result<Older, Failure> {
        let paths = [path.to_owned()];
        let look = |item: &Item| match item {
            Item::File(Input { name, bytes, .. }) => {
                let facts = inspect::inspect_without_exports(bytes)
                    .map_err(|error| Failure::from(error).about(name))?;
                let (policy, _) = choice.policy(name, &facts)?;
                let subject = Subject::new(name, bytes, &facts);
                Ok((name.clone(), Sighting::of(&subject, &policy)))
            }
            Item::Unreadable { error, .. } => Err(Failure::from(error)),
        };
        let mut older = Older { place: path.display().to_string(), ..Older::default() };
        each_program(&paths, args.jobs, look, &mut |seen| {
            let (name, sighting) = seen?;
            let path = below(&name, &paths);
            for (names, name) in older.by_name.iter_mut().zip(without_versions(&path)) {
                names.entry(name).or_default().push(path.clone());
            }
            older.by_path.insert(path, sighting);
            Ok(())
        })?;
        if older.by_path.is_empty() {
            let sentence = format!("there is no ELF or PE file in {}", older.place);
            return Err(Failure::Unreadable(Message::new(sentence, "name the older files after --against")));
        }
        Ok(older)
    }

    /// What a file lost and gained since, of the files below `paths`.
    pub(crate) fn regressions(&self, new: &Subject, paths: &[PathBuf], policy: &Policy) -> Vec<Finding> {
        let sighting = Sighting::of(new, policy);
        let old = self.versions_of(&below(new.path, paths), &sighting, paths);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if old.is_empty() {
            told.new.push(new.path.to_owned());
        }
        told.compared.extend(old.iter().cloned());
        drop(told);
        let before = match old.as_slice() {
            [] => Before::None,
            [one] => self.by_path.get(one).map_or(Before::None, Before::One),
            _ => Before::Several,
        };
        verify::regressions(before, &sighting, policy)
    }

    /// The older files that the one at `path` may be a version of.
    fn versions_of(&self, path: &str, new: &Sighting, paths: &[PathBuf]) -> Vec<String> {
        // One file on either side is one pair, whatever the two are called.
        let alone = self.by_path.len() == 1 && paths.len() == 1 && path.is_empty();
        if self.by_path.contains_key(path) {
            return vec![path.to_owned()];
        } else if alone {
            return self.by_path.keys().cloned().collect();
        }
        let is_alike = |old: &&String| self.by_path.get(*old).is_some_and(|old| old.is_for_the_same_as(new));
        let candidates = self.by_name.iter().zip(without_versions(path)).map(|(names, name)| {
            let old = names.get(&name).into_iter().flatten().filter(is_alike);
            old.cloned().collect::<Vec<_>>()
        });
        candidates.into_iter().find(|old| !old.is_empty()).unwrap_or_default()
    }

    /// Tells what was not compared.
    ///
    /// # Errors
    /// Nothing was: what was named does not belong together.
    pub(crate) fn end(&self, renderer: &Renderer) -> Result<(), Failure> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = self.by_path.keys().filter(|path| !told.compared.contains(*path)).collect();
        if told.compared.is_empty() && !told.new.is_empty() {
            let sentence = format!("none of the files has an older version in {}", self.place);
            let hint = "name two files, or two folders or archives in which files have the same names";
            return Err(Failure::Usage(Message::new(sentence, hint)));
        }
        for (files, what) in [
            (told.new.iter().collect::<Vec<_>>(), "without an older version"),
            (gone, "of the older version not there any more"),
        ] {
            let first: Vec<_> = files.iter().take(3).map(|file| file.as_str()).collect();
            let more = if files.len() > first.len() { ", …" } else { "" };
            if !files.is_empty() {
                renderer.note(&format!("{} {what}: {}{more}", files.len(), first.join(", ")));
            }
        }
        Ok(())
    }
}

/// `name` without the one of `paths` that it begins with.
fn below(name: &str, paths: &[PathBuf]) -> String {
    let path = paths.iter().map(|path| path.display().to_string()).find(|path| name.starts_with(path));
    let rest = &name[path.map_or(0, |path| path.len())..];
    rest.trim_start_matches(['/', '\\', '!']).to_owned()
}

/// The path and the file's own name, each with every number that follows a dot or a dash taken out: `libship.so.1.2` and
/// `libship.so.2`, `ship-1.2.3/ship` and `ship-2.0.0/ship`, `ship_1.2_arm64.deb` and `ship_2.0_arm64.deb` are versions of one
/// file.
fn without_versions(path: &str) -> [String; 2] {
    let mut whole = String::new();
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        let number = after.strip_prefix('v').filter(|_| next != '.').unwrap_or(after);
        let behind = number.trim_start_matches(|digit: char| digit.is_ascii_digit());
        // `x86_64` is no version, `_1.2` is one.
        let is_version = match next {
            '.' | '-' => behind.len() < number.len(),
            '_' => behind
                .strip_prefix('.')
                .is_some_and(|minor| minor.starts_with(|digit: char| digit.is_ascii_digit())),
            _ => false,
        };
        if is_version {
            rest = behind;
        } else {
            whole.push(next);
            rest = after;
        }
    }
    let own = whole.rsplit(['/', '\\', '!']).next().unwrap_or_default().to_owned();
    [whole, own]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_file_have_one_name() {
        for (name, own) in [
            ("dist/ship-1.2.3", "ship"),
            ("libship.so.1.2", "libship.so"),
            ("a.tar.gz!ship-2.0.0.exe", "ship.exe"),
            ("lib64/ship", "ship"),
            ("x86_64-ship", "x86_64-ship"),
            ("schiff-ü-1", "schiff-ü"),
            ("ship-v1.2.3", "ship"),
            ("ship_1.2-3_arm64.deb", "ship_arm64.deb"),
            ("ship_1", "ship_1"),
            ("-", "-"),
        ] {
            assert_eq!(without_versions(name)[1], own);
        }
        assert_eq!(without_versions("app-1.2/x86_64/ship.so.3")[0], "app/x86_64/ship.so");
    }

    #[test]
    fn names_are_compared_below_what_was_named() {
        let paths = [PathBuf::from("dist/new")];
        assert_eq!(below("dist/new/bin/ship", &paths), "bin/ship");
        assert_eq!(below("dist/new", &paths), "");
        assert_eq!(below("dist/new!ship/bin", &paths), "ship/bin");
    }
}
