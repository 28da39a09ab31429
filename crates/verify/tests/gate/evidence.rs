//! Evidence is the very bytes that were judged: read here by hand, at the offset that the finding names.

use artifact::Finding;
use seaworthy_verify::{Requirement, Subject, verify};

use crate::support::Fixture;

/// The little-endian number in the evidence, and the one in what was observed.
fn numbers(finding: &Finding, bytes: &[u8]) -> (u64, u64) {
    let place = finding.evidence.first().unwrap_or_else(|| panic!("no evidence: {finding:?}"));
    let size = place.bytes.len() / 2;
    let start = place.offset as usize;
    let there =
        bytes[start..start + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let text = &finding.observed;
    let digits = |text: &str| text.chars().take_while(char::is_ascii_hexdigit).collect::<String>();
    let told = match text.split_once("0x") {
        Some((_, rest)) => u64::from_str_radix(&digits(rest), 16),
        None => digits(&text[text.find('(').expect("a number in parentheses") + 1..]).parse(),
    };
    (there, told.unwrap_or_else(|error| panic!("{error}: {finding:?}")))
}

#[test]
fn header_fields_are_where_the_finding_says() {
    let bytes = Fixture::Console.bytes();
    let mut policy = Fixture::Console.policy();
    policy.control_flow_guard = Requirement::Required;
    let facts = inspect::inspect_without_exports(&bytes).unwrap();
    let report = verify(&Subject::new("fixture", &bytes, &facts), &policy);
    for rule in ["SW-PE-ALIGNMENT", "SW-PE-IMAGE-BASE", "SW-PE-SUBSYSTEM", "SW-PE-CFG"] {
        let finding =
            report.findings.iter().find(|finding| finding.rule == rule).expect("every rule is judged");
        let (there, told) = numbers(finding, &bytes);
        assert_eq!(there, told, "{finding:?}");
        assert_ne!(there, 0, "{finding:?}");
    }
}
