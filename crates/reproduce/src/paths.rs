//! Folders of the building machine: prefixes by which the paths of two builds differ.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use memchr::memmem;

/// What stands for a folder that was taken out.
const TAKEN: &[u8] = b"<folder>";
/// A path of more bytes is not looked at further.
const LONGEST: usize = 4096;
/// More different paths than these are not compared.
const MOST_PATHS: usize = 20_000;
/// More prefixes than these are not told apart.
const MOST_PREFIXES: usize = 16;

/// A folder in the published files and the one that stands for it in those built again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix {
    pub(crate) published: Vec<u8>,
    pub(crate) rebuilt: Vec<u8>,
}

/// The prefixes that differ between the absolute paths in `published` and in `rebuilt`, longest first.
///
/// Texts in programs have no ends: a path may run into the next text. So paths are compared by their last parts, from
/// the end of a file name on, and what remains before the longest common run of whole parts is a prefix.
pub(crate) fn prefixes<'a>(
    published: impl Iterator<Item = &'a [u8]>,
    rebuilt: impl Iterator<Item = &'a [u8]>,
) -> Vec<Prefix> {
    let (mut ours, mut theirs) = (paths(published), paths(rebuilt));
    let common: Vec<_> = ours.keys().filter(|path| theirs.contains_key(*path)).copied().collect();
    for path in common {
        ours.remove(path);
        theirs.remove(path);
    }
    let mut by_end: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for path in theirs.keys() {
        by_end.entry(last_part(path)).or_default().push(path);
    }
    let mut votes: BTreeMap<Prefix, usize> = BTreeMap::new();
    for path in ours.keys() {
        let candidates = by_end.get(last_part(path)).map_or(&[][..], Vec::as_slice);
        let best =
            candidates.iter().take(8).map(|other| common_end(path, other)).max_by_key(|(size, _)| *size);
        if let Some((_, prefix)) =
            best.filter(|(_, prefix)| is_folder(&prefix.published) && is_folder(&prefix.rebuilt))
        {
            *votes.entry(prefix).or_default() += 1;
        }
    }
    for prefix in in_order(&ours, &theirs, &votes) {
        *votes.entry(prefix).or_default() += 1;
    }
    let mut found: Vec<_> = votes.into_iter().collect();
    found.sort_by(|(a, a_votes), (b, b_votes)| b_votes.cmp(a_votes).then_with(|| a.cmp(b)));
    let mut prefixes: Vec<_> = found.into_iter().take(MOST_PREFIXES).map(|(prefix, _)| prefix).collect();
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.published.len() + prefix.rebuilt.len()));
    prefixes
}

/// Whole paths without a common end, in the order in which they occur, where both sides have as many: a folder that is
/// itself what the program says.
fn in_order(
    ours: &BTreeMap<&[u8], usize>,
    theirs: &BTreeMap<&[u8], usize>,
    known: &BTreeMap<Prefix, usize>,
) -> Vec<Prefix> {
    let lone = |paths: &BTreeMap<&[u8], usize>, folder: fn(&Prefix) -> &Vec<u8>| {
        let is_known = |path: &[u8]| known.keys().any(|prefix| path.starts_with(folder(prefix)));
        let mut lone: Vec<_> =
            paths.iter().filter(|(path, _)| !is_known(path)).map(|(path, at)| (*at, *path)).collect();
        lone.sort_unstable();
        lone.into_iter().map(|(_, path)| path.to_vec()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (lone(ours, |prefix| &prefix.published), lone(theirs, |prefix| &prefix.rebuilt));
    if ours.len() != theirs.len() || ours.len() > MOST_PREFIXES {
        return Vec::new();
    }
    ours.into_iter().zip(theirs).map(|(published, rebuilt)| Prefix { published, rebuilt }).collect()
}

/// `bytes` with each of `folders` (longest first) replaced by one word, and where they were, with the folder's index.
pub(crate) fn undo(bytes: &[u8], folders: &[&[u8]]) -> (Vec<u8>, Vec<(usize, Range<usize>)>) {
    let mut found: Vec<(usize, Range<usize>)> = Vec::new();
    for (index, folder) in folders.iter().enumerate().filter(|(_, folder)| !folder.is_empty()) {
        let ends_a_part = |at: &usize| bytes.get(at + folder.len()).is_none_or(|next| !is_of_a_name(*next));
        found.extend(
            memmem::find_iter(bytes, folder).filter(ends_a_part).map(|at| (index, at..at + folder.len())),
        );
    }
    found.sort_by_key(|(index, range)| (range.start, *index));
    let (mut out, mut done) = (Vec::with_capacity(bytes.len()), 0);
    found.retain(|(_, range)| {
        let is_free = range.start >= done;
        if is_free {
            out.extend(&bytes[done..range.start]);
            out.extend(TAKEN);
            done = range.end;
        }
        is_free
    });
    out.extend(&bytes[done..]);
    (out, found)
}

/// Absolute paths of two parts or more, from their first slash to the end of a source file's name where there is one,
/// with the place of the first.
fn paths<'a>(contents: impl Iterator<Item = &'a [u8]>) -> BTreeMap<&'a [u8], usize> {
    let (mut found, mut before) = (BTreeMap::new(), 0);
    for bytes in contents {
        let mut at = 0;
        while let Some(slash) = memchr::memchr(b'/', &bytes[at..]) {
            let start = at + slash;
            let length = bytes[start..].iter().take(LONGEST).take_while(|byte| is_of_a_path(**byte)).count();
            let path = trimmed(&bytes[start..start + length]);
            if path.iter().filter(|byte| **byte == b'/').count() >= 2 && found.len() < MOST_PATHS {
                found.entry(path).or_insert(before + start);
            }
            at = start + length.max(1);
        }
        before += bytes.len();
    }
    found
}

/// Cut behind the first name that ends as a source file's does: what follows is another text.
fn trimmed(path: &[u8]) -> &[u8] {
    const ENDS: [&[u8]; 6] = [b".rs", b".c", b".h", b".cc", b".cpp", b".S"];
    let ends = ENDS.iter().filter_map(|end| {
        memmem::find_iter(path, end)
            .map(|at| at + end.len())
            .find(|at| path.get(*at).is_none_or(|next| !next.is_ascii_lowercase() || end.len() == 3))
    });
    ends.min().map_or(path, |end| &path[..end])
}

fn last_part(path: &[u8]) -> &[u8] {
    let slash = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    &path[slash..]
}

/// The longest end of whole parts that both have, in bytes, and what stands before it.
fn common_end(published: &[u8], rebuilt: &[u8]) -> (usize, Prefix) {
    let equal = published.iter().rev().zip(rebuilt.iter().rev()).take_while(|(a, b)| a == b).count();
    let shared = &published[published.len() - equal..];
    let size = memchr::memchr(b'/', shared).map_or(0, |slash| equal - slash);
    let before = |path: &[u8]| path[..path.len() - size].to_vec();
    (size, Prefix { published: before(published), rebuilt: before(rebuilt) })
}

/// A folder worth the name: `/` and something that is not only dots and slashes.
fn is_folder(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && path.iter().any(u8::is_ascii_alphanumeric)
}

fn is_of_a_path(byte: u8) -> bool {
    is_of_a_name(byte) || byte == b'/' || byte == b'.' || byte >= 0x80
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'@' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(published: &[u8], rebuilt: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let prefixes = prefixes([published].into_iter(), [rebuilt].into_iter());
        prefixes.iter().map(|prefix| (text(&prefix.published), text(&prefix.rebuilt))).collect()
    }

    #[test]
    fn the_folders_are_what_stands_before_the_common_end() {
        let one = b"x/home/me/work/src/main.rsindex out of bounds/home/me/work/src/lib.rs";
        let two = b"x/tmp/ci/src/main.rsindex out of bounds/tmp/ci/src/lib.rs";
        assert_eq!(found(one, two), [("/home/me/work".to_owned(), "/tmp/ci".to_owned())]);
    }

    #[test]
    fn paths_that_are_the_same_are_no_leak() {
        assert_eq!(found(b"/rust/lib/core.rs /usr/share/x", b"/rust/lib/core.rs /usr/share/x"), []);
        let one = b"in /home/me/out and /srv/a/b";
        let told = ("/home/me/out".to_owned(), "/tmp/x".to_owned());
        assert_eq!(found(one, b"in /tmp/x and /srv/a/b"), [told], "nothing in common but the place");
        assert_eq!(found(one, b"in /tmp/x, /tmp/y, /tmp/z"), [], "one more than the other");
    }

    #[test]
    fn undone_on_both_sides_nothing_differs() {
        let (one, two) = (&b"at /home/me/src/a.rs:1"[..], &b"at /tmp/src/a.rs:1"[..]);
        let (ours, places) = undo(one, &[b"/home/me"]);
        assert_eq!((ours, places), (undo(two, &[b"/tmp"]).0, vec![(0, 3..11)]));
        assert_eq!(undo(b"/home/menu", &[b"/home/me"]).0, b"/home/menu", "part of another name");
    }
}
