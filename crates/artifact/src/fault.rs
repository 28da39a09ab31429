//! The one shape of an error in the house: a kind to match on, a sentence with its subject, the next step, the cause.

use std::error::Error as StdError;
use std::fmt;

/// A crate's list of reasons. Kinds are stable; messages are for people.
pub trait FaultKind: Copy + fmt::Debug + Send + Sync + 'static {}

/// An error of kind `K`.
///
/// `Display` gives one lowercase sentence that names the file or target; [`Fault::hint`] is what to do next.
/// A crate writes `pub type Error = artifact::Fault<ErrorKind>;`.
pub struct Fault<K> {
    kind: K,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl<K: FaultKind> Fault<K> {
    /// A fault whose `message` is a lowercase sentence naming its subject.
    pub fn new(kind: K, message: impl Into<String>) -> Fault<K> {
        Fault { kind, message: message.into(), hint: None, source: None }
    }

    /// Adds the next step, in the imperative: "run `cargo xtask doctor`".
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Fault<K> {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Fault<K> {
        self.source = Some(source.into());
        self
    }

    /// Why, for code.
    pub fn kind(&self) -> K {
        self.kind
    }

    /// What to do next, for people.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<K: FaultKind> fmt::Display for Fault<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<K: FaultKind> fmt::Debug for Fault<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.message)?;
        if let Some(source) = &self.source {
            write!(formatter, ": {source}")?;
        }
        Ok(())
    }
}

impl<K: FaultKind> StdError for Fault<K> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
