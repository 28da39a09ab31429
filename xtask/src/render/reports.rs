//! Reports for other people's programs: SARIF for code scanning, JUnit for test views, annotations for a workflow log.

use std::fmt::Write;

use artifact::{Digest, Finding, Outcome, Report};
use serde_json::{Value, json};

use crate::programs::file_and_member;

/// SARIF 2.1.0 (OASIS), one run: every rule once, every refusal a result. A path with `archive!member` in it is the
/// archive's, with the member as the logical location.
///
/// What passed is left out: GitHub's code scanning reads no `kind` and would open an alert for each of those.
pub(super) fn sarif(reports: &[Report]) -> Value {
    let rules: Vec<_> = verify::all_rules()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "fullDescription": { "text": rule.why },
                "defaultConfiguration": { "level": "error" },
                "help": { "text": format!("{}. See {}.", rule.fix, rule.references.join("; ")) },
            })
        })
        .collect();
    let ids: Vec<_> = verify::all_rules().map(|rule| rule.id).collect();
    let results: Vec<_> = reports
        .iter()
        .flat_map(|report| refused(report).map(move |finding| (report, finding)))
        .map(|(report, finding)| {
            let index = ids.iter().position(|id| *id == finding.rule);
            result(report, finding, index)
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "seaworthy",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// What refuses, and what would without its waiver.
fn refused(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.outcome.refuses())
}

fn result(report: &Report, finding: &Finding, index: Option<usize>) -> Value {
    let (file, member) = file_and_member(&report.path);
    // Not everybody shows logical locations.
    let text = match member {
        "" => sentence(finding),
        member => format!("{member}: {}", sentence(finding)),
    };
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
    if !member.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": member, "kind": "member" }]);
    } else if let Some(place) = finding.evidence.first() {
        location["physicalLocation"]["region"] =
            json!({ "byteOffset": place.offset, "byteLength": place.bytes.len() / 2 });
    }
    let mut result = json!({
        "ruleId": finding.rule,
        // SARIF has no answer that counts as a failure without being one; a gate refuses on "cannot tell", so a failure it is.
        "kind": "fail",
        "level": if finding.refuses() { "error" } else { "note" },
        "message": { "text": text },
        "locations": [location],
        "partialFingerprints": {
            "ruleAndPath/v1": format!("{}:{}", finding.rule, report.path),
            // The only one that GitHub's code scanning reads; without it, two members of one archive are one alert.
            "primaryLocationLineHash": format!("{}:1", Digest::of(report.path.as_bytes()).short()),
        },
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if let Some(waiver) = finding.waived.as_ref().filter(|_| !finding.refuses()) {
        let why = format!("{} ({}, until {})", waiver.reason, waiver.ticket, waiver.expires);
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    result
}

/// A path as a URI reference (RFC 3986): what is not unreserved, or a slash, is written in percent form. `./` at its beginning
/// says nothing, and who looks the file up in a repository does not always read it so.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// JUnit's XML, as CI systems read it: a suite a file, a case a rule.
pub(super) fn junit(reports: &[Report]) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"seaworthy verify\">\n".to_owned();
    for report in reports {
        let skipped = report.findings.iter().filter(|finding| is_skipped(finding)).count();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{skipped}\">",
            xml(&report.path),
            report.findings.len(),
            report.refusals().count(),
        );
        for finding in &report.findings {
            let _ =
                write!(text, "    <testcase classname=\"{}\" name=\"{}\"", xml(&report.path), finding.rule);
            let told = xml(&sentence(finding));
            let _ = if finding.refuses() {
                let more = xml(&format!("{}\nfix: {}", finding.why, finding.fix));
                writeln!(text, "><failure message=\"{told}\">{more}</failure></testcase>")
            } else if is_skipped(finding) {
                writeln!(text, "><skipped message=\"{told}\"/></testcase>")
            } else {
                writeln!(text, "/>")
            };
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

/// Not asked, or waived.
fn is_skipped(finding: &Finding) -> bool {
    finding.outcome == Outcome::NotApplicable || (finding.outcome.refuses() && !finding.refuses())
}

/// Annotations for what refuses, and for what was waived.
pub(super) fn github(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        for finding in refused(report) {
            let command = if finding.refuses() { "error" } else { "warning" };
            let file = property(file_and_member(&report.path).0);
            let title = property(&finding.rule);
            let told = data(&format!("{}: {}\nfix: {}", report.path, sentence(finding), finding.fix));
            let _ = writeln!(text, "::{command} file={file},title={title}::{told}");
        }
    }
    text
}

fn sentence(finding: &Finding) -> String {
    let expected = match finding.expected.as_ref() {
        "" => String::new(),
        expected => format!("; expected {expected}"),
    };
    let waived =
        finding.waived.as_ref().map(|waiver| format!("; waived: {} ({})", waiver.reason, waiver.ticket));
    format!("{}{expected}{}", finding.observed, waived.unwrap_or_default())
}

/// Text for XML 1.0: five characters escaped, and those that no XML file may hold replaced.
fn xml(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, letter| {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&apos;",
            '\t' | '\n' | '\r' => safe.push(letter),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
        safe
    })
}

/// What GitHub's runner takes as a message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What it takes as the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use artifact::{Evidence, Waiver};

    use super::*;

    fn finding(rule: &'static str, outcome: Outcome, observed: &'static str) -> Finding {
        Finding {
            rule: rule.into(),
            outcome,
            observed: observed.into(),
            expected: "".into(),
            why: "Because.".into(),
            fix: "mend <it> & go".into(),
            evidence: vec![Evidence { offset: 64, bytes: "0102".to_owned() }],
            waived: None,
        }
    }

    fn waived(finding: Finding) -> Finding {
        let waiver = Waiver {
            rule: finding.rule.to_string(),
            path: "ship".to_owned(),
            target: None,
            reason: "known".to_owned(),
            ticket: "SHIP-7".to_owned(),
            expires: "2999-12-31".to_owned(),
        };
        Finding { waived: Some(Box::new(waiver)), ..finding }
    }

    fn reports() -> Vec<Report> {
        let findings = vec![
            finding("SW-CLASS", Outcome::Pass, "64-bit"),
            finding("SW-ELF-RELRO", Outcome::Fail, "a \"b\" <c> 100%\nd\u{1}"),
            finding("SW-PE-NX", Outcome::NotApplicable, "an ELF file"),
            finding("SW-ELF-PIE", Outcome::CannotTell, "?"),
            waived(finding("SW-STRIPPED", Outcome::Fail, "a table")),
        ];
        vec![Report { subject: None, path: "dist/a b,c.zip!ship".to_owned(), findings }]
    }

    /// A file that is in no archive, with a refusal that no waiver helps.
    fn loose() -> Vec<Report> {
        let findings = vec![waived(finding(artifact::READABLE, Outcome::Fail, "cut"))];
        vec![Report { subject: None, path: "./dist/ship".to_owned(), findings }]
    }

    #[test]
    fn sarif_has_a_result_a_refusal_with_its_place_and_its_waiver() {
        let reports = [reports(), loose()].concat();
        let log = sarif(&reports);
        let results = log["runs"][0]["results"].as_array().unwrap();
        let told: Vec<_> = results.iter().map(|result| (&result["ruleId"], &result["level"])).collect();
        let expected = [
            ("SW-ELF-RELRO", "error"),
            ("SW-ELF-PIE", "error"),
            ("SW-STRIPPED", "note"),
            ("SW-READABLE", "error"),
        ];
        assert_eq!(
            told,
            expected.map(|(rule, level)| (json!(rule), json!(level))).each_ref().map(|(a, b)| (a, b))
        );
        assert!(results.iter().all(|result| result["kind"] == "fail"));
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        for result in results {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        }

        let place = &results[1]["locations"][0];
        assert_eq!(place["physicalLocation"], json!({ "artifactLocation": { "uri": "dist/a%20b%2Cc.zip" } }));
        assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "ship");
        assert_eq!(results[1]["message"]["text"], "ship: ?");
        assert_eq!(results[2]["suppressions"][0]["justification"], "known (SHIP-7, until 2999-12-31)");
        // A waiver that nothing comes of suppresses nothing.
        assert_eq!(results[3].get("suppressions"), None);
        let place = &results[3]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "dist/ship");
        assert_eq!(place["region"], json!({ "byteOffset": 64, "byteLength": 2 }));
        assert_eq!(results[3]["message"]["text"], "cut; waived: known (SHIP-7)");

        let hash = |result: &Value| result["partialFingerprints"]["primaryLocationLineHash"].clone();
        assert_eq!(hash(&results[0]), hash(&results[1]), "of one file");
        assert_ne!(hash(&results[0]), hash(&results[3]), "of two");
    }

    #[test]
    fn sarif_is_what_its_schema_says() {
        // The published schema has one pattern that is no regular expression: a bracket too many.
        let schema = include_str!("../../../tests/fixtures/sarif-schema-2.1.0.json");
        let schema = schema.replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}?$");
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let log = sarif(&[reports(), loose()].concat());
        let errors: Vec<_> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let mut wrong = log;
        wrong["runs"][0]["results"][0]["level"] = json!("fatal");
        assert!(!validator.is_valid(&wrong), "the schema can refuse");
    }

    #[test]
    fn junit_is_well_formed_and_counts() {
        let text = junit(&reports());
        assert!(text.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"2\""), "{text}");
        assert!(text.contains("a &quot;b&quot; &lt;c&gt; 100%\nd\u{fffd}"), "{text}");
        assert!(text.contains("mend &lt;it&gt; &amp; go"), "{text}");
        let (mut open, mut rest) = (0i32, text.as_str());
        while let Some(at) = rest.find('<') {
            let end = at + rest[at..].find('>').expect("every tag ends");
            let tag = &rest[at..=end];
            open += if tag.starts_with("</") {
                -1
            } else {
                i32::from(!tag.ends_with("/>") && !tag.starts_with("<?"))
            };
            rest = &rest[end + 1..];
        }
        assert_eq!(open, 0, "{text}");
    }

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it() {
        let text = github(&reports());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("::error file=dist/a b%2Cc.zip,title=SW-ELF-RELRO::"), "{text}");
        assert!(lines[0].contains("100%25%0Ad"), "{text}");
        assert!(lines[2].starts_with("::warning ") && lines[2].contains("waived: known (SHIP-7)"), "{text}");
    }
}
