//! Versions of Debian packages (deb-version(7)), in dpkg's order, and how far apart two of them are.

use std::cmp::Ordering;

/// A version in its three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// Before the first colon; 0 where there is none.
    pub epoch: u64,
    /// The program's own version.
    pub upstream: &'a str,
    /// Behind the last hyphen: which package of that version.
    pub revision: &'a str,
}

impl<'a> Version<'a> {
    /// The parts of `text`. Anything is taken: what is not well-formed compares by the same rules.
    pub fn parse(text: &'a str) -> Version<'a> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => {
                (epoch.parse().unwrap_or(u64::MAX), rest)
            }
            _ => (0, text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Version { epoch, upstream, revision }
    }

    /// The first number of the upstream version.
    fn major(&self) -> &'a str {
        self.upstream.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("")
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_epoch = self.epoch.cmp(&other.epoch);
        by_epoch
            .then_with(|| part(self.upstream, other.upstream))
            .then_with(|| part(self.revision, other.revision))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Two upstream versions or revisions: texts and numbers in turns, `~` before everything, letters before the rest.
fn part(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (a, b) = (text_of(&mut one), text_of(&mut other));
        let weight = |byte: Option<u8>| match byte {
            Some(b'~') => -1,
            None => 0,
            Some(letter) if letter.is_ascii_alphabetic() => i32::from(letter),
            Some(other) => i32::from(other) + 256,
        };
        for at in 0..a.len().max(b.len()) {
            let order = weight(a.as_bytes().get(at).copied()).cmp(&weight(b.as_bytes().get(at).copied()));
            if order != Ordering::Equal {
                return order;
            }
        }
        let (a, b) = (number_of(&mut one), number_of(&mut other));
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn text_of<'a>(rest: &mut &'a str) -> &'a str {
    let (text, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
    *rest = behind;
    text
}

fn number_of<'a>(rest: &mut &'a str) -> &'a str {
    let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    *rest = behind;
    number.trim_start_matches('0')
}

/// How far apart two versions are: 0 equal, 0.25 the same upstream version, 0.5 the same first number, 1 otherwise.
pub fn distance(one: &str, other: &str) -> f64 {
    let (a, b) = (Version::parse(one), Version::parse(other));
    if one == other {
        0.0
    } else if (a.epoch, a.upstream) == (b.epoch, b.upstream) {
        0.25
    } else if (a.epoch, a.major()) == (b.epoch, b.major()) {
        0.5
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_by_the_part_that_differs() {
        assert!(distance("2.36-9+deb12u8", "2.36-9+deb12u8") < 0.1);
        assert!((distance("2.36-9+deb12u8", "2.36-9+deb12u9") - 0.25).abs() < 0.01);
        assert!((distance("2.36-9", "2.35-1") - 0.5).abs() < 0.01);
        assert!((distance("2.36-9", "3.0-1") - 1.0).abs() < 0.01);
        assert!((distance("1:2.36", "2.36") - 1.0).abs() < 0.01);
    }

    #[test]
    fn hostile_versions_compare() {
        for text in ["", "-", ":", "~~~", "é-é", "18446744073709551616:1", "1--1", &"9".repeat(5000)] {
            assert_eq!(Version::parse(text).cmp(&Version::parse(text)), Ordering::Equal);
            let _ = Version::parse(text).cmp(&Version::parse("1.0-1"));
        }
    }
}
