//! What a worker says to its guardian, a line each.

use std::time::Duration;

use crate::crashes::{self, Crash, Folder, Panic};
use crate::state::State;

/// What a worker says of itself, each a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Alive,
    Reloading,
    State(State, Duration),
    /// Why it ends, in the words that stand on standard error too.
    Failed(String),
    /// Where crashes are kept, if anywhere.
    Crashes(Option<Folder>),
    Panicked(Panic),
    Crashed(Crash),
}

impl Word {
    /// The line without its end.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Alive => "alive".to_owned(),
            Self::Reloading => "reloading".to_owned(),
            Self::State(state, patience) => format!("state {} {}", state.name(), patience.as_millis()),
            Self::Failed(words) => format!("failed {}", json(words)),
            Self::Crashes(folder) => format!("crashes {}", json(folder)),
            Self::Panicked(panic) => format!("panicked {}", json(panic)),
            Self::Crashed(crash) => {
                String::from_utf8_lossy(crash.line(&mut [0; crashes::LONGEST_LINE])).trim().to_owned()
            }
        }
    }

    /// From a line without its end.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some(("failed", words)) => return serde_json::from_str(words).ok().map(Self::Failed),
            Some(("crashes", words)) => return serde_json::from_str(words).ok().map(Self::Crashes),
            Some(("panicked", words)) => return serde_json::from_str(words).ok().map(Self::Panicked),
            Some(("crashed", words)) => return Crash::parse(words).map(Self::Crashed),
            _ => {}
        }
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["alive"] => Some(Self::Alive),
            ["reloading"] => Some(Self::Reloading),
            ["state", name, patience] => {
                let state = State::ALL.into_iter().find(|state| state.name() == *name)?;
                Some(Self::State(state, Duration::from_millis(patience.parse().ok()?)))
            }
            _ => None,
        }
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and paths that were configured always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_pipe() {
        let states = State::ALL.map(|state| Word::State(state, Duration::from_millis(1500)));
        for word in states.into_iter().chain([
            Word::Alive,
            Word::Reloading,
            Word::Failed("it's \"x\" in C:\\né\n  next: y".to_owned()),
            Word::Crashes(None),
            Word::Crashes(Some(Folder { directory: "/a b".into(), keep: 5, max_bytes: 1 << 30 })),
            Word::Panicked(Panic { message: "\n".to_owned(), place: "a.rs:1:2".to_owned(), thread: None }),
            Word::Crashed(Crash { code: -6, address: u64::MAX, ..Crash::default() }),
        ]) {
            assert_eq!(Word::parse(&word.line()), Some(word));
        }
        for line in [
            "",
            "state",
            "state running",
            "state dancing 1",
            "state running -1",
            "alive alive",
            "crashed 1 2 3",
            "crashed 1 2 3 4 5 6 7",
            "crashes 1",
        ] {
            assert_eq!(Word::parse(line), None, "{line}");
        }
    }
}
