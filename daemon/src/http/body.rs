//! Finds the end of an answer's body, and keeps its beginning for the few who read it (RFC 9112, sections 6 and 7).

use super::head::Framing;

/// A body while its bytes come.
#[derive(Debug)]
pub(super) struct Body {
    state: State,
    content: Vec<u8>,
    /// So much of the content is kept.
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes are missing.
    Plain(u64),
    UntilClose,
    /// In the line before a chunk; `None` before its first digit.
    Size(Option<u64>),
    /// In what a chunk's line has behind the size, or at its line feed.
    Extension(u64),
    Chunk(u64),
    /// Between a chunk's bytes and the next one's line.
    ChunkEnd,
    /// After the last chunk; whether the current line has anything in it.
    Trailer {
        filled: bool,
    },
    Done,
}

impl Body {
    /// For a body of which `most` bytes are kept.
    pub(super) fn new(framing: Framing, most: usize) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::Size(None),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, content: Vec::new(), most }
    }

    /// What was kept, without the framing.
    pub(super) fn into_content(self) -> Vec<u8> {
        self.content
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.content.len());
        self.content.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the body may end where the connection does.
    pub(super) fn may_end_here(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Takes the next bytes; what follows the body's end is nobody's.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let [first, rest @ ..] = bytes {
            let piece = bytes;
            bytes = rest;
            self.state = match self.state {
                State::Plain(missing) | State::Chunk(missing) => {
                    // Many bytes in one step.
                    let more = (missing - 1).min(rest.len() as u64);
                    self.keep(&piece[..=more as usize]);
                    bytes = &rest[more as usize..];
                    match (self.state, missing - 1 - more) {
                        (State::Plain(_), 0) => State::Done,
                        (State::Plain(_), left) => State::Plain(left),
                        (_, 0) => State::ChunkEnd,
                        (_, left) => State::Chunk(left),
                    }
                }
                State::UntilClose => {
                    self.keep(piece);
                    return Ok(());
                }
                State::Done => return Ok(()),
                State::Size(size) => next_of_size(size, *first)?,
                State::Extension(size) => match (first, size) {
                    (b'\n', 0) => State::Trailer { filled: false },
                    (b'\n', size) => State::Chunk(size),
                    _ => State::Extension(size),
                },
                State::ChunkEnd => match first {
                    b'\r' => State::ChunkEnd,
                    b'\n' => State::Size(None),
                    _ => return Err("a chunk is longer than it says"),
                },
                State::Trailer { filled } => match (first, filled) {
                    (b'\n', false) => State::Done,
                    (b'\n', true) => State::Trailer { filled: false },
                    (b'\r', filled) => State::Trailer { filled },
                    _ => State::Trailer { filled: true },
                },
            };
        }
        Ok(())
    }
}

fn next_of_size(size: Option<u64>, byte: u8) -> Result<State, &'static str> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        let size = size.unwrap_or(0).checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
        return size.map(|size| State::Size(Some(size))).ok_or("a chunk's size is too large");
    }
    match (size, byte) {
        (Some(0), b'\n') => Ok(State::Trailer { filled: false }),
        (Some(size), b'\n') => Ok(State::Chunk(size)),
        (Some(size), b'\r' | b';' | b' ' | b'\t') => Ok(State::Extension(size)),
        _ => Err("a chunk's size is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the body is done after exactly these bytes, in one piece and byte by byte.
    fn ends(framing: Framing, bytes: &[u8]) -> Result<bool, &'static str> {
        let mut whole = Body::new(framing, usize::MAX);
        let at_once = whole.take(bytes).map(|()| whole.is_done());
        let mut dripped = Body::new(framing, usize::MAX);
        let in_drops = bytes.chunks(1).try_for_each(|byte| dripped.take(byte)).map(|()| dripped.is_done());
        assert_eq!(at_once, in_drops, "{bytes:?}");
        assert_eq!(whole.into_content(), dripped.into_content(), "{bytes:?}");
        at_once
    }

    #[test]
    fn the_content_is_kept_without_its_framing() {
        let chunked = b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nTrailer: 1\r\n\r\nnext";
        for (framing, bytes) in [
            (Framing::Chunked, &chunked[..]),
            (Framing::Length(5), b"abcdenext"),
            (Framing::UntilClose, b"abcde"),
        ] {
            for most in 0..7 {
                let mut body = Body::new(framing, most);
                bytes.chunks(2).try_for_each(|pair| body.take(pair)).expect("well formed");
                assert_eq!(body.into_content(), b"abcde"[..most.min(5)], "{framing:?}");
            }
        }
    }

    #[test]
    fn a_body_ends_where_it_says() {
        assert_eq!(ends(Framing::Length(0), b""), Ok(true));
        assert_eq!(ends(Framing::Length(3), b"ab"), Ok(false));
        assert_eq!(ends(Framing::Length(3), b"abc"), Ok(true));
        assert_eq!(ends(Framing::Length(3), b"abcd"), Ok(true));
        assert_eq!(ends(Framing::UntilClose, b"abc"), Ok(false));
    }

    #[test]
    fn chunks_are_counted() {
        let text = b"3\r\nabc\r\n0A ; x=\"1\"\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(ends(Framing::Chunked, &text[..end]), Ok(false), "{end}");
        }
        assert_eq!(ends(Framing::Chunked, text), Ok(true));
        for wrong in ["x\r\n", "\r\n", "-1\r\n", "3\r\nabcd", "11111111111111111\r\n", " 1\r\n"] {
            assert!(ends(Framing::Chunked, wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
