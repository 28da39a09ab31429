//! The catalogue of events as a table to count by.

/// An event that is counted.
pub(super) struct CountedEvent {
    pub(super) id: u16,
    pub(super) name: &'static str,
    pub(super) level: &'static str,
}

macro_rules! catalogue {
    ($($variant:ident = $number:literal, $name:literal, $level:ident, $text:literal;)*) => {
        /// Every event, by number.
        pub(super) static EVENTS: &[CountedEvent] =
            &[$(CountedEvent { id: $number, name: $name, level: level!($level) }),*];
    };
}

/// The word for a level in records.
macro_rules! level {
    (Info) => {
        "info"
    };
    (Warning) => {
        "warning"
    };
    (Error) => {
        "error"
    };
    (AuditSuccess) => {
        "audit-success"
    };
    (AuditFailure) => {
        "audit-failure"
    };
}

include!("../log/catalogue.rs");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Event;

    #[test]
    fn the_table_is_the_catalogue_and_in_order() {
        assert!(EVENTS.is_sorted_by(|left, right| left.id < right.id));
        let ready = EVENTS.iter().find(|event| event.id == Event::Ready.id()).expect("in the table");
        assert_eq!((ready.name, ready.level), (Event::Ready.name(), Event::Ready.level().name()));
    }
}
