//! What can happen, by number, name and level; the rows are in `catalogue.in`.

/// How much a record matters; the five types of the Windows Event Log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
    /// A privileged action that was done.
    AuditSuccess,
    /// A privileged action that was refused.
    AuditFailure,
}

impl Level {
    /// The word in a record.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::AuditSuccess => "audit-success",
            Self::AuditFailure => "audit-failure",
        }
    }

    /// Whether it matters at least as much as `least`; an audit record always does.
    pub(crate) fn reaches(self, least: Self) -> bool {
        let weight = |level| match level {
            Self::Info => 0,
            Self::Warning => 1,
            Self::Error => 2,
            Self::AuditSuccess | Self::AuditFailure => 3,
        };
        weight(self) >= weight(least)
    }
}

macro_rules! catalogue {
    ($($variant:ident = $number:literal, $name:literal, $level:ident, $text:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(dead_code, reason = "some events are of one system only")]
        pub(crate) enum Event {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Event {
            /// Every event, in the catalogue's order.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number, in records and in the Windows Event Log.
            pub(crate) fn id(self) -> u16 {
                self as u16
            }

            /// Its lasting name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How much it matters.
            pub(crate) fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }

            /// What it says.
            #[cfg(test)]
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

include!("catalogue.in");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_used_once_and_in_order() {
        let ids: Vec<u16> = Event::ALL.iter().map(|event| event.id()).collect();
        assert!(ids.is_sorted_by(|left, right| left < right), "{ids:?}");
        let names: std::collections::BTreeSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), ids.len());
    }

    /// Written with `SEAWORTHYD_BLESS=1`.
    #[test]
    fn the_readme_lists_them_all() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).expect("the README");
        let (before, rest) = readme.split_once("<!-- events -->\n").expect("a mark before the table");
        let (_, after) = rest.split_once("<!-- end of events -->").expect("a mark after the table");
        let mut table = "| Id | Event | Level | What it says |\n|---|---|---|---|\n".to_owned();
        for event in Event::ALL {
            let level = event.level().name();
            table += &format!("| {} | {} | {level} | {} |\n", event.id(), event.name(), event.text());
        }
        let wanted = format!("{before}<!-- events -->\n{table}<!-- end of events -->{after}");
        if std::env::var_os("SEAWORTHYD_BLESS").is_some() {
            std::fs::write(path, &wanted).expect("written");
        }
        assert!(readme == wanted, "the table of events is old: run this test with SEAWORTHYD_BLESS=1");
    }
}
