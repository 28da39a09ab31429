//! SW-PE-TIMESTAMPS: no clock of the build machine inside.

use inspect::facts::Pe;

use crate::rule::{Check, Judgement, Rule};
use crate::{Policy, Subject};

/// `IMAGE_DEBUG_TYPE_REPRO`: the stamps are a hash of the contents.
const REPRO: u32 = 16;

pub(crate) const RULE: Rule = Rule {
    id: "SW-PE-TIMESTAMPS",
    summary: "no clock of the build machine inside",
    why: "A clock in the file makes every build differ, so nobody can show that a released file came from its source.",
    fix: "let `finish` set the stamps; a linker takes `-Wl,--no-insert-timestamp` or SOURCE_DATE_EPOCH",
    references: &[
        "PE/COFF specification, Export Directory Table: Time/Date Stamp",
        "PE/COFF specification, COFF File Header: TimeDateStamp",
        "PE/COFF specification, Debug Type: IMAGE_DEBUG_TYPE_REPRO",
        "reproducible-builds.org, SOURCE_DATE_EPOCH",
    ],
    check: Check::Pe(check),
};

fn check(pe: &Pe, _: &Subject, policy: &Policy) -> Judgement {
    let allowed = policy.timestamps.iter().map(u32::to_string).collect::<Vec<_>>();
    let expected = format!("one of {}, or a content hash marked by a Repro entry", allowed.join(", "));
    // Who marks stamps as a hash writes the same into all of them; a tool that writes the clock later leaves the mark.
    let hash = pe.debug.iter().find(|entry| entry.kind == REPRO).map(|entry| entry.timestamp);
    // That of a directory may be 0, which says that there is none, and beside a hash all ones.
    let none = [Some(0), hash.map(|_| u32::MAX)];
    let exports = (!none.contains(&Some(pe.export_timestamp)))
        .then(|| ("export directory".to_owned(), pe.export_timestamp));
    let stamps = [("TimeDateStamp".to_owned(), pe.timestamp)]
        .into_iter()
        .chain(exports)
        .chain(pe.debug.iter().map(|entry| (format!("debug entry of type {}", entry.kind), entry.timestamp)));
    let wrong: Vec<_> = stamps
        .filter(|(_, stamp)| !policy.timestamps.contains(stamp) && hash != Some(*stamp))
        .map(|(place, stamp)| format!("{place} {stamp}"))
        .collect();
    let right = match hash.filter(|hash| *hash == pe.timestamp) {
        Some(hash) => format!("content hash {hash:#x}, marked by a Repro entry"),
        None => format!("TimeDateStamp {}", pe.timestamp),
    };
    Judgement::none_wrong(&wrong, right, expected)
}

#[cfg(test)]
mod tests {
    use artifact::Outcome;
    use inspect::facts::PeDebug;

    use super::*;
    use crate::testing::*;

    fn entry(kind: u32, timestamp: u32) -> PeDebug {
        PeDebug { kind, timestamp, ..PeDebug::default() }
    }

    #[test]
    fn a_clock_in_the_header_or_a_debug_entry_fails() {
        assert_ends(&judge_pe(&RULE, |_, _| ()), Outcome::Pass, "TimeDateStamp 0");
        assert_ends(&judge_pe(&RULE, |pe, _| pe.timestamp = 1_700_000_000), Outcome::Fail, "1700000000");
        let debug = judge_pe(&RULE, |pe, _| pe.debug.push(entry(2, 1_700_000_000)));
        assert_ends(&debug, Outcome::Fail, "debug entry of type 2 1700000000");
        let exports = judge_pe(&RULE, |pe, _| pe.export_timestamp = 1_700_000_000);
        assert_ends(&exports, Outcome::Fail, "export directory 1700000000");
    }

    #[test]
    fn the_callers_epoch_and_a_marked_hash_pass() {
        let epoch = judge_pe(&RULE, |pe, policy| {
            pe.timestamp = 1_700_000_000;
            *policy = policy.clone().with_timestamp(1_700_000_000);
        });
        assert_ends(&epoch, Outcome::Pass, "1700000000");
        let hash = judge_pe(&RULE, |pe, _| {
            pe.timestamp = 0x9abc_def0;
            pe.debug.push(entry(16, 0x9abc_def0));
        });
        assert_ends(&hash, Outcome::Pass, "content hash 0x9abcdef0");
        // As GNU strip leaves it: the mark, and the clock.
        let marked = |change: fn(&mut Pe)| {
            judge_pe(&RULE, |pe, _| {
                pe.timestamp = 0x9abc_def0;
                pe.debug = vec![entry(16, 0x9abc_def0), entry(2, 0x9abc_def0)];
                change(pe);
            })
        };
        assert_ends(&marked(|pe| pe.export_timestamp = u32::MAX), Outcome::Pass, "content hash");
        let stripped = marked(|pe| pe.timestamp = 1_700_000_000);
        assert_ends(&stripped, Outcome::Fail, "TimeDateStamp 1700000000");
        let debug = marked(|pe| pe.debug[1].timestamp = 1_700_000_000);
        assert_ends(&debug, Outcome::Fail, "debug entry of type 2 1700000000");
        let exports = marked(|pe| pe.export_timestamp = 1_700_000_000);
        assert_ends(&exports, Outcome::Fail, "export directory 1700000000");
        // Without a mark all ones are a stamp as any.
        let ones = judge_pe(&RULE, |pe, _| pe.export_timestamp = u32::MAX);
        assert_ends(&ones, Outcome::Fail, "export directory 4294967295");
    }
}
