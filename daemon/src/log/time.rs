//! Times for records.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Appends RFC 3339 in UTC with milliseconds; a clock before 1970 reads as 1970.
pub(crate) fn rfc3339(time: SystemTime, out: &mut String) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millisecond = since.subsec_millis();
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z");
}

/// The time that [`rfc3339`] wrote, without its milliseconds; `None` for any other text.
pub(super) fn from_rfc3339(text: &str) -> Option<SystemTime> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')]
    {
        (bytes[at] == separator).then_some(())?;
    }
    let number = |from: usize, to: usize, limits: std::ops::RangeInclusive<u64>| {
        let digits = text.get(from..to)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        limits.contains(&number).then_some(number)
    };
    let days = days_from_civil(number(0, 4, 1970..=9999)?, number(5, 7, 1..=12)?, number(8, 10, 1..=31)?);
    let (hour, minute, second) = (number(11, 13, 0..=23)?, number(14, 16, 0..=59)?, number(17, 19, 0..=59)?);
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// The inverse of [`civil_from_days`], by the same author.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let (era, year_of_era) = (year / 400, year % 400);
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The proleptic Gregorian date `days` after 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // from 0000-03-01, so that the leap day ends a year
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let at = |seconds, milliseconds| {
            let mut text = String::new();
            rfc3339(
                UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(milliseconds),
                &mut text,
            );
            text
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_709_251_199, 999), "2024-02-29T23:59:59.999Z");
        assert_eq!(at(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn times_come_back() {
        for day in (0..60_000).step_by(7) {
            let time = UNIX_EPOCH + Duration::from_secs(day * 86_400 + day % 86_400);
            let mut text = String::new();
            rfc3339(time, &mut text);
            assert_eq!(from_rfc3339(&text), Some(time), "{text}");
        }
        for text in [
            "",
            "1970-01-01T00:00:00Z",
            "1969-01-01T00:00:00.000Z",
            "1970-13-01T00:00:00.000Z",
            "1970-01-01T+0:00:00.000Z",
            "1970-01-01T24:00:00.000Z",
        ] {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }
}
