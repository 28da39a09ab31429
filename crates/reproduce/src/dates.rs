//! Dates and times in text, as compilers, scripts and `date` write them.

use std::ops::Range;

/// What stands for a date that was taken out.
const TAKEN: &[u8] = b"<date>";
/// Seconds since 1970 that can be the time of a build: 2015 to 2040.
const PLAUSIBLE: std::ops::RangeInclusive<u64> = 1_420_000_000..=2_210_000_000;
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Whether a number can be the time of a build, in seconds, milliseconds or nanoseconds since 1970.
pub(crate) fn is_plausible(number: u64) -> bool {
    [1, 1_000, 1_000_000_000].iter().any(|unit| PLAUSIBLE.contains(&(number / unit)))
}

/// `bytes` with every date and time replaced by one word, and where they were.
pub(crate) fn undo(bytes: &[u8]) -> (Vec<u8>, Vec<Range<usize>>) {
    let (mut out, mut found) = (Vec::with_capacity(bytes.len()), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        match date_at(bytes, at) {
            Some(length) => {
                found.push(at..at + length);
                out.extend(TAKEN);
                at += length;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    (out, found)
}

/// How many bytes of a date or time begin at `at`.
fn date_at(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    match rest.first()? {
        b'0'..=b'9' if at > 0 && bytes[at - 1].is_ascii_digit() => None,
        b'0'..=b'9' => iso(rest).or_else(|| clock(rest)).or_else(|| day_first(rest)).or_else(|| number(rest)),
        b'A'..=b'Z' => month_first(rest),
        _ => None,
    }
}

/// `2026-11-24`, alone or with a time behind it (RFC 3339).
fn iso(rest: &[u8]) -> Option<usize> {
    let date = rest.get(..10)?;
    let well_formed = date[4] == b'-' && date[7] == b'-';
    if !well_formed || !is_year(&date[..4]) || !in_range(&date[5..7], 1..=12) || !in_range(&date[8..], 1..=31)
    {
        return None;
    }
    let time =
        rest.get(10).filter(|gap| matches!(gap, b'T' | b' ' | b't' | b'_')).and_then(|_| clock(&rest[11..]));
    Some(time.map_or(10, |time| 11 + time))
}

/// `12:34:56`, with fractions and an offset behind it where there are some.
fn clock(rest: &[u8]) -> Option<usize> {
    let time = rest.get(..8)?;
    let well_formed = time[2] == b':' && time[5] == b':';
    if !well_formed
        || !in_range(&time[..2], 0..=23)
        || !in_range(&time[3..5], 0..=59)
        || !in_range(&time[6..], 0..=60)
    {
        return None;
    }
    let mut length = 8;
    if rest.get(length) == Some(&b'.') {
        length += 1 + digits(&rest[length + 1..]);
    }
    match rest.get(length) {
        Some(b'Z') => length += 1,
        Some(b'+' | b'-') => {
            let offset = rest.get(length + 1..length + 6);
            let is_offset = |o: &[u8]| o[2] == b':' && in_range(&o[..2], 0..=14) && in_range(&o[3..], 0..=59);
            if offset.is_some_and(is_offset) {
                length += 6;
            }
        }
        _ => {}
    }
    Some(length)
}

/// `Nov 24 2026` (C's `__DATE__`, the day padded with a space), also `Nov 24 12:34:56 UTC 2026` (`date`).
fn month_first(rest: &[u8]) -> Option<usize> {
    let (month, day) = (rest.get(..3)?, rest.get(4..6)?);
    if !MONTHS.contains(&month) || rest[3] != b' ' || !is_day(day) {
        return None;
    }
    let mut length = 6;
    if let Some(time) = rest.get(7..).and_then(clock) {
        length = 7 + time;
        let zone =
            rest[length..].iter().take(6).take_while(|c| **c == b' ' || c.is_ascii_uppercase()).count();
        let year = rest.get(length + zone..length + zone + 4);
        return Some(if year.is_some_and(is_year) { length + zone + 4 } else { length });
    }
    let year = rest.get(7..11).filter(|year| rest[6] == b' ' && is_year(year));
    year.map(|_| length + 5)
}

/// `24 Nov 2026` (RFC 5322).
fn day_first(rest: &[u8]) -> Option<usize> {
    let day = digits(rest);
    let (month, year) = (rest.get(day + 1..day + 4)?, rest.get(day + 5..day + 9)?);
    let well_formed = (1..=2).contains(&day) && rest[day] == b' ' && rest[day + 4] == b' ';
    (well_formed && MONTHS.contains(&month) && is_year(year)).then_some(day + 9)
}

/// Seconds, milliseconds or nanoseconds since 1970, or `20261124` with or without `123456` behind it.
fn number(rest: &[u8]) -> Option<usize> {
    let length = digits(rest);
    let text = str::from_utf8(&rest[..length]).ok()?;
    let is_date = |text: &str| {
        let bytes = text.as_bytes();
        is_year(&bytes[..4]) && in_range(&bytes[4..6], 1..=12) && in_range(&bytes[6..8], 1..=31)
    };
    let is_time = match length {
        8 => is_date(text),
        14 => is_date(text) && in_range(&text.as_bytes()[8..10], 0..=23),
        10 | 13 | 19 => text.parse().is_ok_and(is_plausible),
        _ => false,
    };
    is_time.then_some(length)
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count()
}

fn is_year(bytes: &[u8]) -> bool {
    in_range(bytes, 1990..=2049)
}

fn is_day(bytes: &[u8]) -> bool {
    match bytes {
        [b' ', day] => (b'1'..=b'9').contains(day),
        two => in_range(two, 1..=31),
    }
}

fn in_range(bytes: &[u8], range: std::ops::RangeInclusive<u32>) -> bool {
    let is_number = bytes.iter().all(u8::is_ascii_digit);
    is_number
        && str::from_utf8(bytes).is_ok_and(|text| text.parse().is_ok_and(|number| range.contains(&number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compilers_scripts_and_people_write_is_found() {
        for date in [
            "Nov 24 2026",
            "Nov  4 2026",
            "Nov 24 12:34:56 UTC 2026",
            "12:34:56",
            "2026-11-24",
            "2026-11-24T12:34:56Z",
            "2026-11-24 12:34:56.789+01:00",
            "24 Nov 2026",
            "20261124",
            "20261124123456",
            "1795521296",
            "1795521296123",
        ] {
            let (out, found) = undo(format!("built {date}, by").as_bytes());
            assert_eq!(str::from_utf8(&out), Ok("built <date>, by"), "{date}");
            assert_eq!(found, [std::iter::once(6..6 + date.len()).next().unwrap()]);
        }
    }

    #[test]
    fn what_only_looks_like_a_date_stays() {
        for text in [
            "Nov 42 2026",
            "25:00:00",
            "2026-13-01",
            "1234567890123456",
            "99999999",
            "version 1.2.3",
            "Nova 24",
        ] {
            assert_eq!(undo(text.as_bytes()), (text.as_bytes().to_vec(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn cut_off_anywhere_it_ends() {
        let text = b"Nov 24 12:34:56 UTC 2026 2026-11-24T12:34:56.5+01:00 24 Nov 2026";
        for end in 0..text.len() {
            undo(&text[..end]);
        }
    }
}
