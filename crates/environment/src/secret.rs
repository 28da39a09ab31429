//! Values that must not leave the place, as keyed digests: equal values give equal texts, and nobody can guess them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key for HMAC-SHA256 (RFC 2104); captures that are to be compared need the same.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key of any length; fewer than 16 bytes can be guessed, and are refused.
    pub fn new(bytes: Vec<u8>) -> Option<Key> {
        (bytes.len() >= 16).then_some(Key(bytes))
    }

    /// `hmac:` and 32 hexadecimal digits: half of the digest is plenty to tell two values apart.
    pub(crate) fn digest(&self, value: &[u8]) -> String {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(value);
        let digest = mac.finalize().into_bytes();
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("hmac:{digits}")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key")
    }
}

/// Whether a name says that its value is nobody's business.
pub(crate) fn is_secret(name: &str) -> bool {
    const WORDS: &[&str] =
        &["secret", "token", "passw", "passphrase", "credential", "private", "apikey", "api_key", "_key"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with(".key") || name.ends_with(".pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_hmac_sha256s() {
        // RFC 4231, test case 2, has the key "Jefe", which is too short here; case 3 has 20 bytes of 0xaa.
        assert!(Key::new(b"Jefe".to_vec()).is_none());
        let key = Key::new(vec![0xaa; 20]).unwrap();
        assert_eq!(key.digest(&[0xdd; 50]), "hmac:773ea91e36800e46854db8ebd09181a7");
        assert!(!format!("{key:?}").contains("170"));
    }

    #[test]
    fn names_tell_secrets() {
        for name in
            ["DB_PASSWORD", "github_token", "tls/server.key", "AWS_SECRET_ACCESS_KEY", "ssh_host_rsa_key"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "LANG", "keyboard", "monkey.conf"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
