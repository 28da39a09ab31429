//! The page about the rules says what the rules say.

use seaworthy_verify::{all_rules, rules_page};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");

#[test]
fn the_committed_page_is_the_one_the_rules_make() {
    let made = rules_page();
    if std::env::var_os("SEAWORTHY_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(COMMITTED, &made).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == made,
        "docs/rules.md is not what the rules say; make it again with\n\
         SEAWORTHY_BLESS=1 cargo test -p seaworthy-verify --test rules_page"
    );
}

#[test]
fn each_rule_has_its_place_on_the_page() {
    let page = rules_page();
    for rule in all_rules() {
        assert_eq!(page.matches(&format!("\n## {}\n", rule.id)).count(), 1, "{}", rule.id);
        assert!(page.contains(rule.why) && page.contains(rule.fix), "{}", rule.id);
        assert!(rule.references.iter().all(|reference| page.contains(reference)), "{}", rule.id);
    }
}
