//! Lines of bytes, in memory of a fixed size: a longer line comes in parts.

/// The longest line, or part of one. Bytes.
pub(super) const LONGEST_LINE: usize = 8 * 1024;

/// A line, without its end (newlines and carriage returns), or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// Of a line that came in parts: which it is, from 1.
    pub(super) part: Option<u64>,
    pub(super) is_last: bool,
}

/// The bytes that are not yet a whole line.
#[derive(Debug)]
pub(super) struct Lines {
    /// One more than the longest line: its newline.
    buffer: Box<[u8]>,
    filled: usize,
    /// Parts of the present line that were given out.
    parts: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self { buffer: vec![0; LONGEST_LINE + 1].into(), filled: 0, parts: 0 }
    }
}

impl Lines {
    /// Where the next bytes go; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `length` bytes that were put into [`Lines::room`].
    pub(super) fn take(&mut self, length: usize, mut give: impl FnMut(Line<'_>)) {
        let mut start = 0;
        let mut unseen = self.filled;
        self.filled += length;
        while let Some(at) = self.buffer[unseen..self.filled].iter().position(|byte| *byte == b'\n') {
            let end = unseen + at;
            self.end_line(start, end, &mut give);
            (start, unseen) = (end + 1, end + 1);
        }
        if self.filled - start > LONGEST_LINE {
            // Only here, with nothing given out before it: the buffer holds one byte more than such a part.
            let end = start + whole_characters(&self.buffer[start..start + LONGEST_LINE]);
            self.parts += 1;
            give(Line { bytes: &self.buffer[start..end], part: Some(self.parts), is_last: false });
            start = end;
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
    }

    /// The stream has ended, perhaps in the middle of a line.
    pub(super) fn finish(mut self, mut give: impl FnMut(Line<'_>)) {
        if self.filled > 0 {
            self.end_line(0, self.filled, &mut give);
        }
    }

    fn end_line(&mut self, start: usize, end: usize, give: &mut impl FnMut(Line<'_>)) {
        let mut bytes = &self.buffer[start..end];
        while let [rest @ .., b'\r'] = bytes {
            bytes = rest;
        }
        let part = (self.parts > 0).then(|| self.parts + 1);
        self.parts = 0;
        give(Line { bytes, part, is_last: true });
    }
}

/// How many of the bytes are whole characters of UTF-8, when the last may have been cut: a cut must not make two broken
/// characters of a good one.
fn whole_characters(bytes: &[u8]) -> usize {
    for (behind, byte) in (1..=3).zip(bytes.iter().rev()) {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > behind { bytes.len() - behind } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (Vec<u8>, Option<u64>, bool);

    /// The lines of `bytes`, read `step` bytes at a time.
    fn lines_of(bytes: &[u8], step: usize) -> Vec<Owned> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut left = bytes;
        let mut give = |line: Line<'_>| found.push((line.bytes.to_vec(), line.part, line.is_last));
        while !left.is_empty() {
            let room = lines.room();
            let length = step.min(room.len()).min(left.len());
            room[..length].copy_from_slice(&left[..length]);
            left = &left[length..];
            lines.take(length, &mut give);
        }
        lines.finish(give);
        found
    }

    fn line(bytes: &[u8]) -> Owned {
        (bytes.to_vec(), None, true)
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let bytes = b"one\n\n\r\ntwo\r\n\xff\xfe\0\nno end";
        let expected =
            [line(b"one"), line(b""), line(b""), line(b"two"), line(b"\xff\xfe\0"), line(b"no end")];
        for step in 1..=bytes.len() {
            assert_eq!(lines_of(bytes, step), expected, "{step}");
        }
        assert_eq!(lines_of(b"", 1), []);
        assert_eq!(lines_of(b"\n", 1), [line(b"")]);
    }

    #[test]
    fn a_long_line_comes_in_parts_that_give_it_back() {
        for length in
            [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 2 * LONGEST_LINE, 5 * LONGEST_LINE + 7]
        {
            for step in [1, 4096, LONGEST_LINE, LONGEST_LINE + 1] {
                // Letters of two bytes, moved by one so that each cut would hit one.
                let text = format!("x{}", "ä".repeat(length / 2));
                let found = lines_of(format!("{text}\nnext\n").as_bytes(), step);
                let (last, parts) = found.split_last().expect("lines");
                assert_eq!(*last, line(b"next"));
                assert_eq!(
                    parts.iter().flat_map(|part| part.0.clone()).collect::<Vec<u8>>(),
                    text.as_bytes()
                );
                assert!(
                    parts.iter().all(|part| part.0.len() <= LONGEST_LINE && str::from_utf8(&part.0).is_ok())
                );
                if text.len() <= LONGEST_LINE {
                    assert_eq!(parts.len(), 1, "{} in {step}", text.len());
                    assert_eq!((parts[0].1, parts[0].2), (None, true));
                } else {
                    let numbers: Vec<_> = parts.iter().map(|part| part.1).collect();
                    assert_eq!(numbers, (1..=parts.len() as u64).map(Some).collect::<Vec<_>>());
                    assert!(parts.iter().rev().skip(1).all(|part| !part.2) && parts[parts.len() - 1].2);
                }
            }
        }
    }

    #[test]
    fn only_a_cut_character_is_put_off() {
        for (bytes, whole) in [
            (&b"abcd"[..], 4),
            (b"abc\xc3", 3),
            (b"ab\xe2\x82", 2),
            (b"a\xf0\x9f\x98", 1),
            ("ab\u{e4}".as_bytes(), 4),
            ("\u{1f600}".as_bytes(), 4),
            // Not UTF-8: nothing to wait for.
            (b"abc\xff", 4),
            (b"\x80\x80\x80\x80", 4),
            (b"abc\xc0", 4),
        ] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
    }
}
