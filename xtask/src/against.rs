//! `verify --against OLD`: which older file a newer one is compared with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifact::Finding;
use inputs::{Input, Item};
use verify::{Policy, Sighting, Subject};

use crate::args::VerifyArgs;
use crate::failure::{Failure, Message};
use crate::programs::each_program;
use crate::verification::Choice;

/// What there was, by name.
#[derive(Debug, Default)]
pub(crate) struct Older {
    /// By the name below what was named.
    by_path: BTreeMap<String, Sighting>,
    /// By the file's own name without its version; `None` where several have it.
    by_name: BTreeMap<String, Option<Sighting>>,
}

impl Older {
    /// Looks at every program below `path`.
    pub(crate) fn read(path: &Path, args: &VerifyArgs, choice: &Choice) -> Result<Older, Failure> {
        let paths = [path.to_owned()];
        let look = |item: &Item| match item {
            Item::File(Input { name, bytes, .. }) => {
                let facts = inspect::inspect(bytes).map_err(|error| Failure::from(error).about(name))?;
                let (policy, _) = choice.policy(name, &facts)?;
                let subject = Subject::new(name, bytes, &facts);
                Ok((name.clone(), Sighting::of(&subject, &policy)))
            }
            Item::Unreadable { error, .. } => Err(Failure::from(error)),
        };
        let mut older = Older::default();
        each_program(&paths, args.jobs, look, &mut |seen| {
            let (name, sighting) = seen?;
            older
                .by_name
                .entry(own_name(&name))
                .and_modify(|known| *known = None)
                .or_insert(Some(sighting.clone()));
            older.by_path.insert(below(&name, &paths), sighting);
            Ok(())
        })?;
        if older.by_path.is_empty() {
            let sentence = format!("there is no ELF or PE file in {}", path.display());
            return Err(Failure::Unreadable(Message::new(sentence, "name the older files after --against")));
        }
        Ok(older)
    }

    /// What a file lost and gained since, of the files below `paths`.
    pub(crate) fn regressions(&self, new: &Subject, paths: &[PathBuf], policy: &Policy) -> Vec<Finding> {
        // One file on either side is one pair, whatever the two are called.
        let alone = self.by_path.len() == 1 && paths.len() == 1 && below(new.path, paths).is_empty();
        let old = match self.by_path.get(&below(new.path, paths)) {
            Some(old) => Some(old),
            None if alone => self.by_path.values().next(),
            None => self.by_name.get(&own_name(new.path)).and_then(Option::as_ref),
        };
        verify::regressions(old, &Sighting::of(new, policy), policy)
    }
}

/// `name` without the one of `paths` that it begins with.
fn below(name: &str, paths: &[PathBuf]) -> String {
    let path = paths.iter().map(|path| path.display().to_string()).find(|path| name.starts_with(path));
    let rest = &name[path.map_or(0, |path| path.len())..];
    rest.trim_start_matches(['/', '\\', '!']).to_owned()
}

/// The file's own name, with every number that follows a dot or a dash taken out: `libship.so.1.2` and `libship.so.2`,
/// `ship-1.2.3` and `ship-2.0.0` are versions of one file.
fn own_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\', '!']).next().unwrap_or(name);
    let mut own = String::new();
    let mut rest = name;
    while let Some(next) = rest.chars().next() {
        let digits = rest[next.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
        if matches!(next, '.' | '-') && digits > 0 {
            rest = &rest[1 + digits..];
        } else {
            own.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    own
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
        ] {
            assert_eq!(own_name(name), own);
        }
    }

    #[test]
    fn names_are_compared_below_what_was_named() {
        let paths = [PathBuf::from("dist/new")];
        assert_eq!(below("dist/new/bin/ship", &paths), "bin/ship");
        assert_eq!(below("dist/new", &paths), "");
        assert_eq!(below("dist/new!ship/bin", &paths), "ship/bin");
    }
}
