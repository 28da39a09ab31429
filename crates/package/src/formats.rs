//! Archives whose every byte has a cause: entries by name, one time, two modes, no owner, a fixed compressor.

use std::io::{Cursor, Write};

use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path with `/`.
    pub(crate) path: String,
    /// Unix permission bits.
    pub(crate) mode: u32,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A gzipped tar of `entries`, all changed at `time` (seconds since 1970-01-01 UTC).
pub(crate) fn tar_gz(entries: &[Entry], time: i64) -> std::io::Result<Vec<u8>> {
    // No name and no time in gzip's own header, and "unknown" as its operating system (RFC 1952).
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(u64::try_from(time).unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, &entry.path, &entry.bytes[..])?;
    }
    tar.into_inner()?.finish()
}

/// A zip of `entries`, all changed at `time`.
pub(crate) fn zip(entries: &[Entry], time: i64) -> std::io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(dos_time(time))
            .unix_permissions(entry.mode);
        zip.start_file(&entry.path, options).map_err(std::io::Error::other)?;
        zip.write_all(&entry.bytes)?;
    }
    Ok(zip.finish().map_err(std::io::Error::other)?.into_inner())
}

/// UTC in the form of MS-DOS: from 1980 to 2107, in steps of two seconds.
fn dos_time(time: i64) -> DateTime {
    let (year, month, day) = civil(time.div_euclid(86_400));
    let second = time.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fits = u16::try_from(year).ok().and_then(|year| {
        let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|part| part as u8);
        DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
    });
    fits.unwrap_or_default()
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar), counting years from March
/// so that the leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendars() {
        // From `date -u -d @<seconds>`.
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(951_782_400 / 86_400), (2000, 2, 29));
        assert_eq!(civil(1_709_164_800 / 86_400), (2024, 2, 29));
        assert_eq!(civil(4_107_542_399 / 86_400), (2100, 2, 28));
    }

    #[test]
    fn a_time_before_1980_is_the_earliest_there_is() {
        assert_eq!(dos_time(0), DateTime::default());
        assert_eq!(dos_time(1_700_000_000).to_string(), "2023-11-14 22:13:20");
    }
}
