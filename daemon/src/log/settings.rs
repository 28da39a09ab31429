//! The `[log]` table of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::event::Level;
use super::file::Rotation;
use super::syslog::Address;

/// A file of fewer bytes would hold too few records. A larger record gets a file of its own.
const SMALLEST_FILE: u64 = 4096;
const MOST_FILES: u32 = 99;
/// Ten years.
const LONGEST_AGE: u64 = 10 * 366 * 24;

/// Where records go, and which.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSettings {
    /// A file of records, a line each, instead of standard error.
    pub(crate) file: Option<PathBuf>,
    /// The file is rotated before it would exceed this many bytes; 0: never for its size.
    pub(crate) max_bytes: u64,
    /// The file is rotated when its first record is this many hours old; 0: never for its age.
    pub(crate) max_age_hours: u64,
    /// How many rotated files are kept: `file.1`, the newest, to `file.keep`.
    pub(crate) keep: u32,
    /// Whether records go to systemd's journal with fields of their own.
    pub(crate) journald: Journald,
    /// Where syslog messages (RFC 5424) go, if anywhere.
    pub(crate) syslog: Option<Address>,
    /// The least level that is recorded.
    pub(crate) level: LeastLevel,
}

/// When journald gets records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Journald {
    /// In the place of standard error, where that is connected to it: as under systemd.
    #[default]
    Auto,
    /// Always, also beside a file.
    On,
    /// Never.
    Off,
}

/// The least level that is recorded; audit records always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LeastLevel {
    #[default]
    Info,
    Warning,
    Error,
}

impl From<LeastLevel> for Level {
    fn from(level: LeastLevel) -> Self {
        match level {
            LeastLevel::Info => Self::Info,
            LeastLevel::Warning => Self::Warning,
            LeastLevel::Error => Self::Error,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            file: None,
            max_bytes: 10 << 20,
            max_age_hours: 0,
            keep: 5,
            journald: Journald::Auto,
            syslog: None,
            level: LeastLevel::Info,
        }
    }
}

impl LogSettings {
    /// What holds where only a file is named, or none.
    #[cfg(test)]
    pub(crate) fn of_file(file: Option<PathBuf>) -> Self {
        Self { file, ..Self::default() }
    }

    /// Refuses what cannot work; the message names key and limit.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.file.as_ref().is_some_and(|file| file.file_name().is_none()) {
            return Err("log.file must name a file".to_owned());
        }
        if self.max_bytes != 0 && self.max_bytes < SMALLEST_FILE {
            return Err(format!(
                "log.max_bytes must be 0 or at least {SMALLEST_FILE}, not {}",
                self.max_bytes
            ));
        }
        if self.max_age_hours > LONGEST_AGE {
            return Err(format!("log.max_age_hours must be 0 to {LONGEST_AGE}, not {}", self.max_age_hours));
        }
        if !(1..=MOST_FILES).contains(&self.keep) {
            return Err(format!("log.keep must be 1 to {MOST_FILES}, not {}", self.keep));
        }
        Ok(())
    }

    pub(super) fn rotation(&self) -> Rotation {
        let max_age = (self.max_age_hours > 0).then(|| Duration::from_secs(self.max_age_hours * 3600));
        Rotation { max_bytes: self.max_bytes, max_age, keep: self.keep }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LogSettings, String> {
        let settings: LogSettings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn a_full_table_and_an_empty_one() {
        let settings = read(
            "file = \"/x/log\"\nmax_bytes = 4096\nmax_age_hours = 24\nkeep = 99\njournald = \"on\"\n\
             syslog = \"udp://127.0.0.1:514\"\nlevel = \"warning\"\n",
        )
        .expect("valid");
        let rotation = settings.rotation();
        assert_eq!((rotation.max_bytes, rotation.keep), (4096, 99));
        assert_eq!(rotation.max_age, Some(Duration::from_secs(86_400)));
        assert_eq!((settings.journald, settings.level), (Journald::On, LeastLevel::Warning));
        assert_eq!(settings.syslog, Some(Address::Udp("127.0.0.1:514".to_owned())));
        let empty = read("").expect("valid");
        assert_eq!((empty.file, empty.syslog, empty.journald), (None, None, Journald::Auto));
        assert_eq!((empty.max_bytes, empty.max_age_hours, empty.keep), (10_485_760, 0, 5));
    }

    #[test]
    fn each_mistake_names_its_key() {
        for (text, expected) in [
            ("max_bytes = 4095", "log.max_bytes must be 0 or at least 4096, not 4095"),
            ("max_age_hours = 87841", "log.max_age_hours must be 0 to 87840"),
            ("keep = 0", "log.keep must be 1 to 99, not 0"),
            ("keep = 100", "log.keep must be 1 to 99, not 100"),
            ("file = \"/\"", "log.file must name a file"),
            ("file = \"\"", "log.file must name a file"),
            ("journald = \"maybe\"", "unknown variant `maybe`"),
            ("level = \"debug\"", "unknown variant `debug`"),
            ("syslog = \"http://x:1\"", "syslog must be"),
            ("max_byte = 1", "unknown field `max_byte`"),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.starts_with(expected), "{message:?} for {text:?}");
        }
    }
}
