//! Folders, dates and random names in the texts of two builds: found where they differ, and taken out on both sides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::paths::{self, Prefix};
use crate::{Cause, CauseKind, Span, dates, random_names};

/// How many different texts of a kind are told.
const TOLD: usize = 4;

/// One part of a file as published and as built again.
#[derive(Clone, Debug)]
pub(crate) struct Counterparts<'a> {
    pub(crate) section: String,
    pub(crate) published: &'a [u8],
    /// Where it begins in the file.
    pub(crate) published_offset: usize,
    pub(crate) rebuilt: &'a [u8],
    /// Where it begins in the file.
    pub(crate) rebuilt_offset: usize,
}

impl Counterparts<'_> {
    /// Ranges of the two parts as ranges of the two files.
    fn span(&self, published: Range<usize>, rebuilt: Range<usize>) -> Span {
        let moved = |range: Range<usize>, by: usize| range.start + by..range.end + by;
        Span::of(&self.section, moved(published, self.published_offset), moved(rebuilt, self.rebuilt_offset))
    }
}

/// The texts of everything that differs between two files.
pub(crate) struct Texts<'a> {
    prefixes: Vec<Prefix>,
    parts: Vec<Counterparts<'a>>,
}

impl<'a> Texts<'a> {
    pub(crate) fn of(parts: Vec<Counterparts<'a>>) -> Texts<'a> {
        let prefixes =
            paths::prefixes(parts.iter().map(|part| part.published), parts.iter().map(|part| part.rebuilt));
        Texts { prefixes, parts }
    }

    /// `bytes` of the published file, or of the one built again, without folders, dates and random names.
    pub(crate) fn undone(&self, bytes: &[u8], is_published: bool) -> Vec<u8> {
        let (bytes, _) = random_names::undo(bytes);
        let (bytes, _) = paths::undo(&bytes, &self.folders(is_published));
        dates::undo(&bytes).0
    }

    /// The causes that are in the texts.
    pub(crate) fn causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        causes.extend(self.differing(CauseKind::RawDylibSymbols, &|bytes| random_names::undo(bytes).1));
        causes.extend(self.leaks());
        causes.extend(self.differing(CauseKind::DateString, &|bytes| dates::undo(bytes).1));
        causes
    }

    fn folders(&self, is_published: bool) -> Vec<&[u8]> {
        let folders = self.prefixes.iter();
        if is_published {
            folders.map(|prefix| prefix.published.as_slice()).collect()
        } else {
            folders.map(|prefix| prefix.rebuilt.as_slice()).collect()
        }
    }

    fn leaks(&self) -> Vec<Cause> {
        let mut leaks: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
        for part in &self.parts {
            for (index, place) in paths::undo(part.published, &self.folders(true)).1 {
                leaks.entry(index).or_default().push(part.span(place, 0..0));
            }
        }
        let cause = |(index, spans): (usize, Vec<Span>)| {
            let Prefix { published, rebuilt } = &self.prefixes[index];
            let (one, other) = (String::from_utf8_lossy(published), String::from_utf8_lossy(rebuilt));
            Cause::new(CauseKind::PathLeak, format!("the folder `{one}`, built again `{other}`")).at(spans)
        };
        let mut causes: Vec<_> = leaks.into_iter().map(cause).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.span_count));
        causes
    }

    /// What `find` finds on both sides and is not the same. Where one part has more of it than the other, they are no
    /// counterparts.
    fn differing(&self, kind: CauseKind, find: &dyn Fn(&[u8]) -> Vec<Range<usize>>) -> Option<Cause> {
        let (mut spans, mut seen) = (Vec::new(), BTreeSet::new());
        for part in &self.parts {
            let (ours, theirs) = (find(part.published), find(part.rebuilt));
            if ours.len() != theirs.len() {
                continue;
            }
            // What both have is no difference, wherever it stands.
            let ours = only(part.published, ours, part.rebuilt, &theirs);
            let theirs = only(part.rebuilt, theirs, part.published, &find(part.published));
            for (one, other) in ours.into_iter().zip(theirs) {
                let text = |bytes: &[u8], place: &Range<usize>| {
                    String::from_utf8_lossy(&bytes[place.clone()]).into_owned()
                };
                seen.insert((text(part.published, &one), text(part.rebuilt, &other)));
                spans.push(part.span(one, other));
            }
        }
        let told = seen.into_iter().take(TOLD).map(|(one, other)| format!("`{one}`, built again `{other}`"));
        let told = told.collect::<Vec<_>>().join("; ");
        (!spans.is_empty()).then(|| Cause::new(kind, told).at(spans))
    }
}

/// Those of `places` in `bytes` whose text is not, as often, among the other side's.
fn only(
    bytes: &[u8],
    places: Vec<Range<usize>>,
    other_bytes: &[u8],
    other_places: &[Range<usize>],
) -> Vec<Range<usize>> {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for place in other_places {
        *counts.entry(&other_bytes[place.clone()]).or_default() += 1;
    }
    let mut is_only =
        |place: &Range<usize>| match counts.get_mut(&bytes[place.clone()]).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                false
            }
            None => true,
        };
    places.into_iter().filter(|place| is_only(place)).collect()
}
