//! `[[waiver]]` of `release.toml`: refusals of the gate that a person has accepted for a time.

use std::env;
use std::path::Path;

use artifact::Waiver;
use verify::{Date, Waivers};

use crate::config::Config;
use crate::{Error, ErrorKind};

/// The waivers of the workspace at `root`, each sound and in force today.
///
/// # Errors
/// [`ErrorKind::BadConfig`], naming the waiver.
pub fn waivers(root: &Path) -> Result<Waivers, Error> {
    at(&Config::read(root)?.waiver, Date::today())
}

/// The waivers of `list`, each sound and in force on the day of a release: that of SOURCE_DATE_EPOCH where it is set, so that
/// a release made again ends as it did, else today.
///
/// # Errors
/// [`ErrorKind::BadConfig`], naming the waiver, or SOURCE_DATE_EPOCH where it is no number.
pub fn in_force(list: &[Waiver]) -> Result<Waivers, Error> {
    // Who waives nothing needs no calendar.
    if list.is_empty() { Ok(Waivers::default()) } else { at(list, release_day()?) }
}

fn at(list: &[Waiver], today: Date) -> Result<Waivers, Error> {
    Waivers::new(list.to_vec(), today).map_err(|error| {
        let hint = error.hint().map(str::to_owned).unwrap_or_else(|| "mend it there".to_owned());
        Error::new(ErrorKind::BadConfig, format!("release.toml: {error}")).with_hint(hint).with_source(error)
    })
}

fn release_day() -> Result<Date, Error> {
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH") else { return Ok(Date::today()) };
    let seconds = text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let message = format!("SOURCE_DATE_EPOCH is `{}`, which is no number", text.display());
        Error::new(ErrorKind::BadConfig, message).with_hint("set it to seconds since 1970, or not at all")
    })?;
    Ok(Date::of_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIVER: &str = "[[waiver]]\nrule = 'SW-ELF-PIE'\npath = 'ship'\nreason = 'r'\nticket = 'SHIP-7'\n";

    fn read(text: &str) -> Result<Waivers, Error> {
        in_force(&Config::parse(text, Path::new("release.toml"))?.waiver)
    }

    #[test]
    fn a_waiver_is_read_and_one_that_cannot_be_meant_is_refused_by_name() {
        assert!(read("").is_ok());
        let sound = format!("{WAIVER}expires = '2999-12-31'\n");
        assert!(read(&sound).is_ok());
        for (text, told, hint) in [
            (format!("{WAIVER}expires = '2020-01-01'"), "expired on 2020-01-01", "SHIP-7"),
            (format!("{WAIVER}expires = 'soon'"), "`soon`, which is no day", "YYYY-MM-DD"),
            (sound.replace("PIE", "PAI"), "SW-ELF-PAI", "`SW-ELF-PIE`"),
            (sound.replace("SW-ELF-PIE", "SW-READABLE"), "nobody can waive", ""),
            (sound.replace("expires", "expire"), "expire", "`expires`"),
            (sound.replace("waiver", "waver"), "waver", "`waiver`"),
            (sound.repeat(2), "twice", ""),
            (WAIVER.to_owned(), "expires", ""),
        ] {
            let error = read(&text).unwrap_err();
            assert!(
                error.kind() == ErrorKind::BadConfig && error.to_string().contains("release.toml"),
                "{error}"
            );
            assert!(error.to_string().contains(told), "{error}");
            assert!(error.hint().is_some_and(|given| given.contains(hint)), "{error}: {:?}", error.hint());
        }
    }
}
