//! Reading without ever leaving the file, and the budget that bounds how much is read.

use std::borrow::Cow;

use crate::facts::Anomaly;
use crate::limits;

/// A file's bytes with its byte order. Every read outside of them is `None`.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) big_endian: bool,
}

impl<'a> Bytes<'a> {
    pub(crate) fn len(self) -> u64 {
        self.data.len() as u64
    }

    pub(crate) fn slice(self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.data.get(start..end)
    }

    pub(crate) fn u8(self, offset: u64) -> Option<u8> {
        self.slice(offset, 1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(self, offset: u64) -> Option<u16> {
        let bytes = self.slice(offset, 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(crate) fn u32(self, offset: u64) -> Option<u32> {
        let bytes = self.slice(offset, 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(crate) fn u64(self, offset: u64) -> Option<u64> {
        let bytes = self.slice(offset, 8)?.try_into().ok()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// The bytes from `offset` to the next NUL, which must come before `end`.
    pub(crate) fn terminated(self, offset: u64, end: u64) -> Option<&'a [u8]> {
        let longest = end.min(self.len()).checked_sub(offset)?.min(limits::NAME as u64);
        let bytes = self.slice(offset, longest)?;
        Some(&bytes[..memchr::memchr(0, bytes)?])
    }
}

/// The text of a file, which may be any bytes.
pub(crate) fn decoded(text: &[u8]) -> Cow<'_, str> {
    // Faster than to look for what must be replaced, which hardly ever is there.
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

/// What is noted while a file is read: anomalies, and how much of the budget is spent.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) anomalies: Vec<Anomaly>,
    items: usize,
    exports: usize,
    text: usize,
    notes: usize,
}

impl Survey {
    pub(crate) fn anomaly(&mut self, part: impl Into<String>, detail: impl Into<String>) {
        if self.anomalies.len() < limits::ANOMALIES {
            self.anomalies.push(Anomaly { part: part.into(), detail: detail.into() });
        }
    }

    /// Whether one more item of `part` may be read; the first refusal is an anomaly.
    pub(crate) fn admit(&mut self, part: &str) -> bool {
        self.items += 1;
        if self.items == limits::ITEMS + 1 {
            self.anomaly(part, format!("more than {} items in this file: not read further", limits::ITEMS));
        }
        self.items <= limits::ITEMS
    }

    /// The same for an export of which only the name is kept.
    pub(crate) fn admit_export(&mut self, part: &str) -> bool {
        self.exports += 1;
        if self.exports == limits::EXPORTS + 1 {
            self.anomaly(
                part,
                format!("more than {} exports in this file: not read further", limits::EXPORTS),
            );
        }
        self.exports <= limits::EXPORTS
    }

    /// `text`, decoded elsewhere, where the budget has room for it.
    pub(crate) fn kept(&mut self, part: &str, text: String) -> Option<String> {
        self.keep(part, text.len()).then_some(text)
    }

    /// The text at `offset`, lossily decoded; missing, endless or over the budget is an anomaly of `part`.
    pub(crate) fn text(&mut self, bytes: Bytes<'_>, part: &str, offset: u64, end: u64) -> Option<String> {
        self.name(bytes, part, offset, end).map(Cow::into_owned)
    }

    /// The same without a copy, where the bytes are UTF-8 as they are.
    pub(crate) fn name<'a>(
        &mut self,
        bytes: Bytes<'a>,
        part: &str,
        offset: u64,
        end: u64,
    ) -> Option<Cow<'a, str>> {
        self.terminated(bytes, part, offset, end).map(decoded)
    }

    /// The bytes of the text at `offset`, not decoded.
    pub(crate) fn terminated<'a>(
        &mut self,
        bytes: Bytes<'a>,
        part: &str,
        offset: u64,
        end: u64,
    ) -> Option<&'a [u8]> {
        let Some(text) = bytes.terminated(offset, end) else {
            self.anomaly(part, format!("the text at {offset:#x} does not end inside its table"));
            return None;
        };
        self.keep(part, text.len()).then_some(text)
    }

    /// Whether `size` more bytes of notes' descriptions may be kept; a refusal is an anomaly of `part`.
    pub(crate) fn keep_note(&mut self, part: &str, size: usize) -> bool {
        self.notes += size;
        if self.notes > limits::NOTES {
            self.anomaly(part, format!("more than {} bytes of them: not read further", limits::NOTES));
        }
        self.notes <= limits::NOTES
    }

    /// Whether `size` more bytes of names may be kept; the first refusal is an anomaly of `part`.
    pub(crate) fn keep(&mut self, part: &str, size: usize) -> bool {
        if self.text + size > limits::TEXT {
            let what = format!("more than {} bytes of names in this file: not read further", limits::TEXT);
            self.anomaly(part, what);
            // Spent: one anomaly says it all, and no further item is admitted.
            self.items = self.items.max(limits::ITEMS + 1);
            self.exports = self.exports.max(limits::EXPORTS + 1);
            return false;
        }
        self.text += size;
        true
    }
}
