//! The trace of a task (W3C Trace Context): the same for every attempt, and for whoever knows its idempotency key.

/// The trace id: the idempotency key itself where that is one (32 lower-case hexadecimal digits, not all zero), else its
/// FNV-1a hash of 128 bits.
pub(super) fn id(key: &str) -> String {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if key.len() == 32 && key.bytes().all(is_hex) && key.bytes().any(|byte| byte != b'0') {
        return key.to_owned();
    }
    format!("{:032x}", fnv(key.as_bytes()))
}

/// The field `traceparent` of an attempt, sampled.
pub(super) fn parent(id: &str, attempt: u32) -> String {
    format!("00-{id}-{:016x}-01", attempt.max(1))
}

/// The hash with its published offset and prime.
fn fnv(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_a_trace_id_stays_one() {
        let key = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(id(key), key);
        assert_eq!(parent(key, 2), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000002-01");
        // The published value of the hash.
        assert_eq!(id("a"), "d228cb696f1a8caf78912b704e4a8964");
        for other in ["", "0".repeat(32).as_str(), "4BF92F3577B34DA6A3CE929D0E0E4736"] {
            assert!(id(other) != other && id(other).len() == 32, "{other}");
        }
    }
}
