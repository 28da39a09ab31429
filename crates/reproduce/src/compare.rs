//! One file, published and built again.

use crate::texts::{Counterparts, Texts};
use crate::verdict::MOST_SPANS;
use crate::view::View;
use crate::{Cause, CauseKind, Compared, Span, program};

/// Compares a published file with the same one built again. Archives are compared as bytes here; see
/// [`compare_release`](crate::compare_release) for their members.
///
/// Any bytes may be given: damaged programs are compared as bytes too. Time and memory are of the order of both files'
/// sizes.
pub fn compare(name: &str, published: &[u8], rebuilt: &[u8]) -> Compared {
    if published == rebuilt {
        return Compared::identical(name);
    }
    match (View::of(published), View::of(rebuilt)) {
        (Some(ours), Some(theirs)) => {
            let compared = program::compare(name, &ours, &theirs);
            // Whatever was overlooked: files that differ are never told to be the same.
            let is_overlooked = compared.causes.is_empty() && compared.unexplained.is_empty();
            if is_overlooked {
                Compared::by_causes(name, Vec::new(), differing(published, rebuilt))
            } else {
                compared
            }
        }
        _ => compare_texts(name, published, rebuilt),
    }
}

/// Files that are no programs: the same texts, or the same lines.
fn compare_texts(name: &str, published: &[u8], rebuilt: &[u8]) -> Compared {
    let whole = Counterparts {
        section: "whole file".to_owned(),
        published,
        published_offset: 0,
        rebuilt,
        rebuilt_offset: 0,
    };
    let texts = Texts::of(vec![whole]);
    let (ours, theirs) = (texts.undone(published, true), texts.undone(rebuilt, false));
    let mut causes = texts.causes();
    if ours == theirs {
        return Compared::by_causes(name, causes, Vec::new());
    }
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort_unstable();
        lines
    };
    let spans = differing(published, rebuilt);
    if sorted(&ours) == sorted(&theirs) {
        causes.push(Cause::new(CauseKind::OrderOnly, "the same lines in another order").at(spans));
        return Compared::by_causes(name, causes, Vec::new());
    }
    Compared::by_causes(name, causes, spans)
}

/// The first runs of bytes that differ; from where the sizes part, the rest.
fn differing(published: &[u8], rebuilt: &[u8]) -> Vec<Span> {
    let section = "whole file";
    if published.len() != rebuilt.len() {
        let start = published.iter().zip(rebuilt).take_while(|(a, b)| a == b).count();
        return vec![Span::of(section, start..published.len(), start..rebuilt.len())];
    }
    let (mut spans, mut at) = (Vec::new(), 0);
    while spans.len() < MOST_SPANS {
        let next = published[at..].iter().zip(&rebuilt[at..]).position(|(a, b)| a != b);
        let Some(start) = next.map(|skipped| at + skipped) else { break };
        let length = published[start..].iter().zip(&rebuilt[start..]).take_while(|(a, b)| a != b).count();
        spans.push(Span::same(section, start..start + length));
        at = start + length;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    fn verdict(published: &str, rebuilt: &str) -> (Verdict, Vec<CauseKind>) {
        let compared = compare("notes", published.as_bytes(), rebuilt.as_bytes());
        (compared.verdict, compared.causes.iter().map(|cause| cause.kind).collect())
    }

    #[test]
    fn texts_differ_by_date_folder_order_or_for_no_reason() {
        assert_eq!(verdict("a", "a"), (Verdict::Identical, vec![]));
        assert_eq!(
            verdict("on 2026-11-24", "on 2026-11-25"),
            (Verdict::Explained, vec![CauseKind::DateString])
        );
        assert_eq!(verdict("/home/a/x/y.rs", "/tmp/x/y.rs"), (Verdict::Explained, vec![CauseKind::PathLeak]));
        assert_eq!(verdict("a\nb\n", "b\na\n"), (Verdict::Explained, vec![CauseKind::OrderOnly]));
        assert_eq!(verdict("a", "b"), (Verdict::Different, vec![]));
        assert_eq!(
            verdict("a 2026-11-24", "b 2026-11-25"),
            (Verdict::Different, vec![CauseKind::DateString])
        );
    }

    #[test]
    fn what_differs_without_a_cause_is_named_by_its_place() {
        let compared = compare("x", b"abcdefg", b"aBcdeFG");
        assert_eq!(compared.unexplained, [Span::same("whole file", 1..2), Span::same("whole file", 5..7)]);
        let compared = compare("x", b"abc", b"abcdef");
        assert_eq!(compared.unexplained, [Span::of("whole file", 3..3, 3..6)]);
    }
}
