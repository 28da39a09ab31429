//! Days of the calendar, as waivers expire on one.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A day of the proleptic Gregorian calendar, UTC. Later days are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day that `text` writes as `YYYY-MM-DD`; `None` for anything else and for days that never come.
    pub fn parse(text: &str) -> Option<Date> {
        let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
        let number = |part: &str, digits: usize| {
            let written = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            written.then(|| part.parse::<u16>().ok()).flatten()
        };
        let year = number(year, 4)?;
        let month = u8::try_from(number(month, 2)?).ok()?;
        let day = u8::try_from(number(day, 2)?).ok()?;
        let exists = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        exists.then_some(Date { year, month, day })
    }

    /// The day it is, in UTC.
    pub fn today() -> Date {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Date::of_seconds(now.as_secs())
    }

    /// The day on which it is `seconds` after 1970-01-01 00:00 UTC. What lies after the year 9999 is its last day.
    pub fn of_seconds(seconds: u64) -> Date {
        const LAST: Date = Date { year: 9999, month: 12, day: 31 };
        let (mut days, mut year) = (seconds / 86_400, 1970);
        loop {
            let in_year = if is_leap(year) { 366 } else { 365 };
            if days < in_year {
                break;
            }
            days -= in_year;
            year += 1;
            if year > LAST.year {
                return LAST;
            }
        }
        let mut month = 1;
        while days >= u64::from(days_of(year, month)) {
            days -= u64::from(days_of(year, month));
            month += 1;
        }
        Date { year, month, day: u8::try_from(days + 1).unwrap_or(31) }
    }
}

fn days_of(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_compared_and_written() {
        let day = Date::parse("2026-02-28").unwrap();
        assert!(day < Date::parse("2026-03-01").unwrap() && day > Date::parse("2025-12-31").unwrap());
        assert_eq!(day.to_string(), "2026-02-28");
        assert!(Date::parse("2024-02-29").is_some() && Date::parse("2000-02-29").is_some());
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026",
            "2026-2-3",
            "26-02-03",
            "2026-13-01",
            "2026-00-10",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-01-00",
            "2026-01-01-01",
            "+026-01-01",
            "2026-01-1 ",
            "tomorrow",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_fall_on_their_day() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_700_000_000, "2023-11-14"),
            (4_102_444_799, "2099-12-31"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(Date::of_seconds(seconds).to_string(), day);
        }
    }
}
