//! Texts in all bytes of a file, in one pass.

use std::io;

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, MatchKind, Span};

use crate::Subject;

/// Bytes at the begin of each text that are looked for; where some stand, the whole texts are compared. The fewer there are, the
/// less the vector instructions have to do for each byte (measured over 300 ELF files: half of what six took), and the more
/// places are compared for nothing: with two, one in 17,000 bytes.
const PREFIX: usize = 2;

/// Texts to look for.
pub(crate) struct Texts {
    texts: Vec<Vec<u8>>,
    any: Any,
}

/// Finds the first place where the beginning of any of them stands.
enum Any {
    /// There is none to look for.
    Nothing,
    /// With vector instructions: some of them, on processors that have these.
    Packed(Searcher),
    /// Any number, anywhere.
    Automaton(Box<AhoCorasick>),
}

impl Texts {
    /// `texts`, of which the empty ones are found nowhere.
    pub(crate) fn new(texts: impl IntoIterator<Item = Vec<u8>>) -> Texts {
        let texts: Vec<_> = texts.into_iter().collect();
        let mut wanted: Vec<_> = texts.iter().map(|text| &text[..text.len().min(PREFIX)]).collect();
        wanted.retain(|prefix| !prefix.is_empty());
        wanted.sort_unstable();
        wanted.dedup();
        let automaton = || AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&wanted);
        let any = match Searcher::new(&wanted) {
            _ if wanted.is_empty() => Any::Nothing,
            Some(searcher) => Any::Packed(searcher),
            // It refuses only what would need 2^31 states; a policy's texts have some hundred bytes.
            None => automaton().map_or(Any::Nothing, |automaton| Any::Automaton(Box::new(automaton))),
        };
        Texts { texts, any }
    }

    /// Calls `found` for every place of every text, by offset and then in the texts' order: the offset, which text it is, and
    /// what stands there, up to `tail` bytes behind the text.
    pub(crate) fn each(
        &self,
        subject: &Subject,
        tail: usize,
        found: &mut dyn FnMut(usize, usize, &[u8]),
    ) -> io::Result<()> {
        // What begins in the last bytes of a piece is looked at in the next one, where all of it is.
        let longest = self.texts.iter().map(Vec::len).max().unwrap_or_default();
        let overlap = longest + tail;
        subject.each_piece(overlap, &mut |offset, piece| {
            let last = offset + piece.len() >= subject.bytes.len();
            let end = if last { piece.len() } else { piece.len().saturating_sub(overlap) };
            self.each_in(piece, end, tail, offset, found);
        })
    }

    /// The places that begin before `end` of `bytes`, which stand at `offset` in the file.
    fn each_in(
        &self,
        bytes: &[u8],
        end: usize,
        tail: usize,
        offset: usize,
        found: &mut dyn FnMut(usize, usize, &[u8]),
    ) {
        let mut from = 0;
        while let Some(place) = self.first(bytes, from).filter(|place| *place < end) {
            for (which, text) in self.texts.iter().enumerate() {
                if !text.is_empty() && bytes[place..].starts_with(text) {
                    let behind = bytes.len().min(place + text.len() + tail);
                    found(offset + place, which, &bytes[place..behind]);
                }
            }
            from = place + 1;
        }
    }

    fn first(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let span = Span { start: from, end: bytes.len() };
        match &self.any {
            Any::Nothing => None,
            Any::Packed(searcher) => searcher.find_in(bytes, span).map(|found| found.start()),
            Any::Automaton(automaton) => {
                let input = aho_corasick::Input::new(bytes).span(span);
                automaton.find(input).map(|found| found.start())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Pieces;

    use super::*;
    use crate::testing::elf_facts;

    /// Pieces of so many new bytes.
    struct Small<'a>(&'a [u8], usize);

    impl Pieces for Small<'_> {
        fn each_piece(&self, overlap: usize, take: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
            let mut from = 0;
            while from < self.0.len() {
                let end = self.0.len().min(from + overlap + self.1);
                take(from, &self.0[from..end]);
                if end == self.0.len() {
                    break;
                }
                from = end - overlap;
            }
            Ok(())
        }
    }

    fn all(texts: &[&str], bytes: &[u8], tail: usize, piece: Option<usize>) -> Vec<(usize, usize, Vec<u8>)> {
        let texts = Texts::new(texts.iter().map(|text| text.as_bytes().to_vec()));
        let small = piece.map(|piece| Small(bytes, piece));
        let facts = elf_facts();
        let mut subject = Subject::new("test", bytes, &facts);
        if let Some(small) = &small {
            subject = subject.in_pieces(small);
        }
        let mut found = Vec::new();
        texts
            .each(&subject, tail, &mut |offset, which, text| found.push((offset, which, text.to_vec())))
            .unwrap();
        found
    }

    /// The slow truth.
    fn expected(texts: &[&str], bytes: &[u8], tail: usize) -> Vec<(usize, usize, Vec<u8>)> {
        let mut found = Vec::new();
        for offset in 0..bytes.len() {
            for (which, text) in texts.iter().enumerate() {
                if !text.is_empty() && bytes[offset..].starts_with(text.as_bytes()) {
                    let end = bytes.len().min(offset + text.len() + tail);
                    found.push((offset, which, bytes[offset..end].to_vec()));
                }
            }
        }
        found
    }

    #[test]
    fn every_place_of_every_text_is_found_once_in_pieces_of_any_size() {
        let bytes = b"/home/root/root//home/home/a/ho/home /root/x/home";
        // More than vector instructions take, the second time.
        let many: Vec<_> = (0..100).map(|number| format!("/root/{number}")).collect();
        let many: Vec<_> =
            many.iter().map(String::as_str).chain(["/root/", "/home/", "/home/home"]).collect();
        for texts in [
            &["/home/", "/root/", "/home/home", "home"][..],
            &["", "home", "", "root"],
            &many[..],
            &["x"],
            &[],
            &["absent"],
        ] {
            for tail in [0, 4] {
                let expected = expected(texts, bytes, tail);
                assert_eq!(all(texts, bytes, tail, None), expected, "{texts:?}");
                for piece in 1..60 {
                    let found = all(texts, bytes, tail, Some(piece));
                    assert_eq!(found, expected, "{texts:?} and {tail} bytes in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_again_is_an_error() {
        struct Broken;
        impl Pieces for Broken {
            fn each_piece(&self, _: usize, _: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
                Err(io::Error::other("gone"))
            }
        }
        let facts = elf_facts();
        let subject = Subject::new("test", b"x", &facts).in_pieces(&Broken);
        assert!(Texts::new([b"x".to_vec()]).each(&subject, 0, &mut |_, _, _| ()).is_err());
    }
}
