//! Reports for other people's programs: SARIF for code scanning, JUnit for test views, annotations for a workflow log.

use std::fmt::Write;

use artifact::{Finding, Outcome, Report};
use serde_json::{Value, json};

/// SARIF 2.1.0 (OASIS), one run: every rule once, every finding a result. A path with `archive!member` in it is the
/// archive's, with the member as the logical location.
pub(super) fn sarif(reports: &[Report]) -> Value {
    let rules: Vec<_> = verify::all_rules()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "fullDescription": { "text": rule.why },
                "help": { "text": format!("{}. See {}.", rule.fix, rule.references.join("; ")) },
            })
        })
        .collect();
    let ids: Vec<_> = verify::all_rules().map(|rule| rule.id).collect();
    let findings =
        reports.iter().flat_map(|report| report.findings.iter().map(move |finding| (report, finding)));
    let results: Vec<_> = findings
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

fn result(report: &Report, finding: &Finding, index: Option<usize>) -> Value {
    let (kind, level) = match finding.outcome {
        Outcome::Pass => ("pass", "none"),
        Outcome::NotApplicable => ("notApplicable", "none"),
        Outcome::Fail => ("fail", "error"),
        // SARIF knows no answer that counts as a failure without being one; a gate refuses, so an error it is.
        Outcome::CannotTell => ("fail", "error"),
    };
    let (file, member) = report.path.split_once('!').unwrap_or((&report.path, ""));
    let region = finding
        .evidence
        .first()
        .map(|place| json!({ "byteOffset": place.offset, "byteLength": place.bytes.len() / 2 }));
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
    if let Some(region) = region {
        location["physicalLocation"]["region"] = region;
    }
    if !member.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": member, "kind": "member" }]);
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "kind": kind,
        "level": level,
        "message": { "text": sentence(finding) },
        "locations": [location],
        "partialFingerprints": { "ruleAndPath/v1": format!("{}:{}", finding.rule, report.path) },
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if let Some(waiver) = &finding.waived {
        let why = format!("{} ({}, until {})", waiver.reason, waiver.ticket, waiver.expires);
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    result
}

/// A path as a URI reference (RFC 3986): what is not unreserved, or a slash, is written in percent form.
fn uri(path: &str) -> String {
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
        for finding in report.findings.iter().filter(|finding| finding.outcome.refuses()) {
            let command = if finding.refuses() { "error" } else { "warning" };
            let file = property(report.path.split('!').next().unwrap_or(&report.path));
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

    fn reports() -> Vec<Report> {
        let finding = |rule: &'static str, outcome, observed: &'static str| Finding {
            rule: rule.into(),
            outcome,
            observed: observed.into(),
            expected: "".into(),
            why: "Because.".into(),
            fix: "mend <it> & go".into(),
            evidence: vec![Evidence { offset: 64, bytes: "0102".to_owned() }],
            waived: None,
        };
        let waiver = Waiver {
            rule: "SW-STRIPPED".to_owned(),
            path: "ship".to_owned(),
            target: None,
            reason: "known".to_owned(),
            ticket: "SHIP-7".to_owned(),
            expires: "2999-12-31".to_owned(),
        };
        let waived =
            Finding { waived: Some(Box::new(waiver)), ..finding("SW-STRIPPED", Outcome::Fail, "a table") };
        let findings = vec![
            finding("SW-CLASS", Outcome::Pass, "64-bit"),
            finding("SW-ELF-RELRO", Outcome::Fail, "a \"b\" <c> 100%\nd\u{1}"),
            finding("SW-PE-NX", Outcome::NotApplicable, "an ELF file"),
            finding("SW-ELF-PIE", Outcome::CannotTell, "?"),
            waived,
        ];
        vec![Report { subject: None, path: "dist/a b,c.zip!ship".to_owned(), findings }]
    }

    #[test]
    fn sarif_has_a_result_a_finding_with_its_place_and_its_waiver() {
        let log = sarif(&reports());
        let results = log["runs"][0]["results"].as_array().unwrap();
        let told: Vec<_> = results.iter().map(|result| (&result["kind"], &result["level"])).collect();
        let expected = [
            ("pass", "none"),
            ("fail", "error"),
            ("notApplicable", "none"),
            ("fail", "error"),
            ("fail", "error"),
        ];
        assert_eq!(
            told,
            expected.map(|(kind, level)| (json!(kind), json!(level))).each_ref().map(|(a, b)| (a, b))
        );
        let place = &results[1]["locations"][0];
        assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "dist/a%20b%2Cc.zip");
        assert_eq!(place["physicalLocation"]["region"], json!({ "byteOffset": 64, "byteLength": 2 }));
        assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "ship");
        assert_eq!(results[4]["suppressions"][0]["justification"], "known (SHIP-7, until 2999-12-31)");
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        for result in results {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        }
    }

    #[test]
    fn sarif_is_what_its_schema_says() {
        // The published schema has one pattern that is no regular expression: a bracket too many.
        let schema = include_str!("../../../tests/fixtures/sarif-schema-2.1.0.json");
        let schema = schema.replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}?$");
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let log = sarif(&reports());
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
