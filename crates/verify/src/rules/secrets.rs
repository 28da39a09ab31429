//! SW-SECRETS: no key or token of the makers inside.

use crate::policy::Secret;
use crate::rule::{Check, Judgement, Rule};
use crate::search::Texts;
use crate::{Policy, Subject};

/// A list of ten is enough to act on.
const MOST: usize = 10;
/// How many bytes behind its beginning are looked at to tell whether it is a secret.
const WINDOW: usize = 256;

pub(crate) const RULE: Rule = Rule {
    id: "SW-SECRETS",
    summary: "no key or token of the makers inside",
    why: "Whoever has the program has the secret, and may do with it what its owner may.",
    fix: "revoke it first, then take it out of the source: a program gets its secrets where it runs",
    references: &["CWE-798: Use of Hard-coded Credentials", "RFC 7468: Textual Encodings of PKIX Structures"],
    check: Check::Either(check),
};

fn check(subject: &Subject, policy: &Policy) -> Judgement {
    if policy.secrets.is_empty() {
        return Judgement::not_applicable("the policy names none to look for");
    }
    let forms: Vec<_> = policy.secrets.iter().flat_map(|kind| forms(*kind)).collect();
    let texts = Texts::new(forms.iter().map(|(start, _)| start.as_bytes().to_vec()));
    let mut found = Vec::new();
    let searched = texts.each(subject, WINDOW, &mut |offset, which, text| {
        let (start, is_secret) = forms[which];
        if found.len() < MOST && is_secret(&text[start.len()..]) {
            found.push((offset, *start));
        }
    });
    const EXPECTED: &str = "no secret of the kinds the policy names";
    if let Err(error) = searched {
        return Judgement::cannot_tell(format!("the file cannot be read again: {error}"), EXPECTED);
    }
    // The beginning alone: a report is read by more people than the secret is meant for.
    let wrong: Vec<_> =
        found.iter().map(|(offset, start)| format!("`{start}…` at offset {offset:#x}")).collect();
    let judgement = Judgement::none_wrong(&wrong, "none", EXPECTED);
    found.iter().fold(judgement, |judgement, (offset, start)| {
        judgement.at(subject.bytes, *offset as u64, start.len() as u64)
    })
}

/// How secrets of a kind begin, and what must follow: at least so much, for compilers lay texts side by side without an end.
type Form = (&'static str, fn(&[u8]) -> bool);

fn forms(kind: Secret) -> &'static [Form] {
    match kind {
        // A program that reads keys has the first line alone, and then the end of the text or another line.
        Secret::PrivateKey => &[
            ("-----BEGIN PRIVATE KEY-----", key_follows),
            ("-----BEGIN RSA PRIVATE KEY-----", key_follows),
            ("-----BEGIN EC PRIVATE KEY-----", key_follows),
            ("-----BEGIN DSA PRIVATE KEY-----", key_follows),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", key_follows),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----", key_follows),
        ],
        Secret::AwsKey => &[("AKIA", |tail| run(tail, upper) >= 16), ("ASIA", |tail| run(tail, upper) >= 16)],
        Secret::GithubToken => &[
            ("ghp_", |tail| run(tail, alphanumeric) >= 36),
            ("gho_", |tail| run(tail, alphanumeric) >= 36),
            ("ghu_", |tail| run(tail, alphanumeric) >= 36),
            ("ghs_", |tail| run(tail, alphanumeric) >= 36),
            ("ghr_", |tail| run(tail, alphanumeric) >= 36),
            ("github_pat_", |tail| run(tail, word) >= 82),
        ],
        Secret::GitlabToken => &[("glpat-", |tail| run(tail, word) >= 20)],
        Secret::SlackToken => &[
            ("xoxb-", |tail| run(tail, |byte| byte.is_ascii_digit()) >= 10),
            ("xoxp-", |tail| run(tail, |byte| byte.is_ascii_digit()) >= 10),
            ("xoxa-", |tail| run(tail, |byte| byte.is_ascii_digit()) >= 10),
            ("xoxr-", |tail| run(tail, |byte| byte.is_ascii_digit()) >= 10),
            ("xoxs-", |tail| run(tail, |byte| byte.is_ascii_digit()) >= 10),
        ],
        Secret::GoogleKey => &[("AIza", |tail| run(tail, word) >= 35)],
    }
}

/// A line's end, and base64: at least half of a line of it.
fn key_follows(tail: &[u8]) -> bool {
    let line = tail.strip_prefix(b"\r\n").or_else(|| tail.strip_prefix(b"\n"));
    // A key written into a string may have its line ends as backslash and letter.
    let line = line.or_else(|| tail.strip_prefix(b"\\n"));
    line.is_some_and(|line| run(line, |byte| alphanumeric(byte) || matches!(byte, b'+' | b'/')) >= 32)
}

fn run(tail: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    tail.iter().take_while(|byte| belongs(**byte)).count()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn word(byte: u8) -> bool {
    alphanumeric(byte) || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use artifact::{Outcome, Target};

    use super::*;
    use crate::testing::*;

    fn judge_text(kind: Secret, text: &str) -> Judgement {
        let mut policy = Policy::for_target(Target::Aarch64Linux);
        policy.secrets = vec![kind];
        judge(&RULE, &elf_facts(), format!("\0{text}\0").as_bytes(), &policy)
    }

    #[test]
    fn a_key_counts_with_its_text_and_not_by_its_first_line() {
        let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".repeat(2));
        assert_ends(
            &judge_text(Secret::PrivateKey, &key),
            Outcome::Fail,
            "`-----BEGIN PRIVATE KEY-----…` at offset 0x1",
        );
        let reader = "-----BEGIN PRIVATE KEY-----\0-----END PRIVATE KEY-----";
        assert_ends(&judge_text(Secret::PrivateKey, reader), Outcome::Pass, "none");
    }

    #[test]
    fn a_token_is_found_and_not_repeated_in_the_report() {
        // Put together here, so that no scanner takes the source for a leak.
        let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        let judgement = judge_text(Secret::AwsKey, &key);
        assert_ends(&judgement, Outcome::Fail, "`AKIA…` at offset 0x1");
        assert!(!format!("{judgement:?}").contains("IOSFODNN"));
        // As rustc lays texts side by side.
        let judgement = judge_text(Secret::AwsKey, &format!("{key}Authorization"));
        assert_ends(&judgement, Outcome::Fail, "`AKIA…` at offset 0x1");
    }

    #[test]
    fn each_form_counts_from_its_length_on() {
        let forms = [
            (Secret::AwsKey, "AKIA", 16),
            (Secret::AwsKey, "ASIA", 16),
            (Secret::GithubToken, "ghp_", 36),
            (Secret::GithubToken, "gho_", 36),
            (Secret::GithubToken, "ghu_", 36),
            (Secret::GithubToken, "ghs_", 36),
            (Secret::GithubToken, "ghr_", 36),
            (Secret::GithubToken, "github_pat_", 82),
            (Secret::GoogleKey, "AIza", 35),
            (Secret::GitlabToken, "glpat-", 20),
            (Secret::SlackToken, "xoxb-", 10),
            (Secret::SlackToken, "xoxp-", 10),
            (Secret::SlackToken, "xoxa-", 10),
            (Secret::SlackToken, "xoxr-", 10),
            (Secret::SlackToken, "xoxs-", 10),
        ];
        for (kind, start, length) in forms {
            let judged = |length| judge_text(kind, &[start, &"7".repeat(length)].concat());
            assert_ends(&judged(length), Outcome::Fail, start);
            assert_ends(&judged(length - 1), Outcome::Pass, "none");
            assert_ends(&judged(length + 1), Outcome::Fail, start);
        }
    }

    #[test]
    fn a_report_names_so_many_and_no_more() {
        let many = ["AKIA", "IOSFODNN7EXAMPLE", " "].concat().repeat(MOST + 1);
        let judgement = judge_text(Secret::AwsKey, &many);
        let last = format!("offset {:#x}", 1 + (MOST - 1) * 21);
        assert!(judgement.observed.ends_with(&last), "{judgement:?}");
    }

    #[test]
    fn nothing_is_looked_for_unless_the_policy_says_so() {
        assert_ends(&judge_elf(&RULE, |_, _| ()), Outcome::NotApplicable, "policy");
    }
}
