//! `docs/rules.md`, made from the rules themselves: what they hold, why, what to do, where it is written.

use std::fmt::Write;

use artifact::{Outcome, nearest};

use crate::{Error, ErrorKind, Rule, regression_rules, rules};

/// What each outcome means, whichever rule ends with it.
pub const OUTCOMES: [(Outcome, &str, &str); 4] = [
    (Outcome::Pass, "pass", "the file is as the policy wants it"),
    (Outcome::Fail, "fail", "the file is not as the policy wants it; `fix` says what to change"),
    (
        Outcome::NotApplicable,
        "not-applicable",
        "the rule says nothing about such a file, or the policy does not ask; `observed` says why",
    ),
    (
        Outcome::CannotTell,
        "cannot-tell",
        "the bytes do not tell: damaged, capped or contradictory; a gate refuses the file as for a failure",
    ),
];

/// Every rule that can stand in a report: those of one file, then those of a file beside its older version.
pub fn all_rules() -> impl Iterator<Item = &'static Rule> {
    rules().iter().chain(regression_rules())
}

/// The rule called `id`.
///
/// # Errors
/// [`ErrorKind::UnknownRule`], with the nearest one.
pub fn known_rule(id: &str) -> Result<&'static Rule, Error> {
    all_rules().find(|rule| rule.id == id).ok_or_else(|| {
        let ids: Vec<_> = all_rules().map(|rule| rule.id).collect();
        let error = Error::new(ErrorKind::UnknownRule, format!("no rule is called `{id}`"));
        match nearest(&id.to_uppercase(), &ids) {
            Some(nearest) => error.with_hint(format!("did you mean `{nearest}`?")),
            None => error.with_hint("`cargo xtask verify --rules` lists them all"),
        }
    })
}

/// The page about all rules, in Markdown. Equal rules give equal bytes.
pub fn rules_page() -> String {
    let mut page = "# Rules\n\n\
         The rules of `cargo xtask verify`, in the order of a report. This page is made from the rules\n\
         (`cargo xtask verify --rules-page`); `cargo xtask verify --explain ID` says the same about one of them.\n\n\
         Each rule ends in one of four ways:\n\n"
        .to_owned();
    for (_, name, meaning) in OUTCOMES {
        let _ = writeln!(page, "- `{name}`: {meaning}.");
    }
    page += "\n| Rule | Looks at | Holds when |\n|---|---|---|\n";
    for rule in all_rules() {
        let anchor = rule.id.to_lowercase();
        let _ = writeln!(page, "| [{}](#{anchor}) | {} | {} |", rule.id, rule.looks_at(), rule.summary);
    }
    all_rules().fold(page, |page, rule| page + &section(rule))
}

fn section(rule: &Rule) -> String {
    let mut text = format!(
        "\n## {}\n\nHolds when: {}. Looks at {}.\n\n**Why.** {}\n\n**Fix.** {}.\n\n**References.**\n\n",
        rule.id,
        rule.summary,
        rule.looks_at(),
        rule.why,
        rule.fix
    );
    for reference in rule.references {
        let _ = writeln!(text, "- {reference}");
    }
    text
}
