//! The known name nearest to one that is not known: what a refusal ends with.

/// The one of `known` nearest to `unknown`; `None` where all are too far to have been meant.
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let by_distance = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), *name));
    by_distance.min().filter(|(distance, _)| *distance <= unknown.len().div_ceil(2)).map(|(_, name)| name)
}

/// As [`nearest()`], from serde's sentence "unknown field `x`, expected one of `a`, `b`" (a test holds us to it).
pub fn nearest_in(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, &quoted.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};

    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        assert_eq!(nearest("SW-ELF-RERLO", &["SW-ELF-PIE", "SW-ELF-RELRO"]), Some("SW-ELF-RELRO"));
        assert_eq!(nearest("kernel", &["SW-ELF-PIE"]), None);
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn serde_says_it_as_we_read_it() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Known {
            #[expect(dead_code, reason = "only its name is asked for")]
            relro: bool,
        }
        let map: MapDeserializer<'_, _, Error> = MapDeserializer::new([("rerlo", true)].into_iter());
        let message = Known::deserialize(map.into_deserializer()).unwrap_err().to_string();
        assert_eq!(nearest_in(&message), Some("relro"), "{message}");
        assert_eq!(nearest_in("missing field `relro`"), None);
    }
}
