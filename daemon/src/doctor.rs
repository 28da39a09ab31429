//! `seaworthyd doctor`: what is wrong with this installation, and how each of it is cured. What is looked at differs between
//! the systems.

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) cure: &'static str,
}

/// A paragraph for each finding, or a sentence that there is none.
pub(crate) fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing is wrong with this installation\n".to_owned();
    }
    findings.iter().map(|Finding { what, cure }| format!("{what}\n  next: {cure}\n")).collect()
}
