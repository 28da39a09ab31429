//! Dotted versions, compared as numbers: 2.4 is older than 2.31.

use std::fmt;

/// `2.31`, `4.2.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(Vec<u32>);

impl Version {
    /// The version that `text` writes in digits and dots; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let number = |part: &str| if part.starts_with('+') { None } else { part.parse().ok() };
        let mut parts = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
        // 4.2 and 4.2.0 are one version, and only one of them may sort first.
        while parts.len() > 1 && parts.last() == Some(&0) {
            parts.pop();
        }
        Some(Version(parts))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(u32::to_string).collect();
        formatter.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_compared_not_characters() {
        assert!(version("2.4") < version("2.31"));
        assert!(version("2.2.5") < version("2.17"));
        assert!(version("2.3") < version("2.3.4"));
        assert_eq!(version("4.2"), version("4.2.0"));
        assert_eq!(version("0.0").to_string(), "0");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "2.", ".17", "2.x", "ABI_DT_RELR", "PRIVATE", "2.99999999999", "+2.1", "-1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
