//! What was built again, as text for people.

use reproduce::{Cause, Challenge, Compared, FileComparison, Rebuild, Span, Verdict};

use super::{BAD, FAINT, GOOD, NOTE};

/// Every file with its verdict and causes, then how many are the same.
pub(crate) fn reproduced(rebuild: &Rebuild) -> String {
    let mut text = differences(&rebuild.files);
    let same = rebuild.files.iter().filter(|file| file.file.verdict.is_same()).count();
    let style = if same == rebuild.files.len() { GOOD } else { BAD };
    let varied: Vec<_> = rebuild.varied.iter().map(String::as_str).collect();
    text += &format!(
        "{style}{same} of {} files are the same{style:#}  {FAINT}varied: {}{FAINT:#}\n",
        rebuild.files.len(),
        varied.join(", ")
    );
    text
}

/// Every file with its verdict and causes.
pub(crate) fn differences(files: &[FileComparison]) -> String {
    let mut text = String::new();
    for file in files {
        text += &compared(&file.file, "");
        for member in &file.members {
            text += &compared(member, "  ");
        }
    }
    text
}

fn compared(compared: &Compared, indent: &str) -> String {
    let style = match compared.verdict {
        verdict if verdict.is_same() => GOOD,
        Verdict::Explained => NOTE,
        _ => BAD,
    };
    let mut text = format!("{indent}{style}{:<20}{style:#}  {}\n", compared.verdict.name(), compared.name);
    if let Some(missing) = &compared.missing {
        text += &format!("{indent}  {NOTE}missing:{NOTE:#} {missing}\n");
    }
    for cause in &compared.causes {
        text += &told(cause, indent);
    }
    for span in &compared.unexplained {
        text += &format!("{indent}  {BAD}unexplained{BAD:#}         {}\n", place(span));
    }
    text
}

fn told(cause: &Cause, indent: &str) -> String {
    let mut text = format!("{indent}  {NOTE}{:<18}{NOTE:#}  {}\n", cause.kind.name(), cause.detail);
    let more = cause.span_count.saturating_sub(1);
    if let Some(span) = cause.spans.first() {
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        text += &format!("{indent}  {:<18}  {FAINT}{}{more}{FAINT:#}\n", "", place(span));
    }
    text + &format!("{indent}  {:<18}  {FAINT}cure:{FAINT:#} {}\n", "", cause.cure)
}

fn place(span: &Span) -> String {
    let (offset, size) = match span.published_size {
        0 => (span.rebuilt_offset, span.rebuilt_size),
        size => (span.published_offset, size),
    };
    let unit = if size == 1 { "byte" } else { "bytes" };
    format!("{} at {offset:#x}, {size} {unit}", span.section)
}

/// Who agrees on each file, and what sets the others apart.
pub(crate) fn challenged(challenge: &Challenge) -> String {
    let mut text = String::new();
    for file in &challenge.files {
        let (word, style) = if file.accepted { ("accepted", GOOD) } else { ("REFUSED", BAD) };
        text += &format!(
            "{style}{word:<9}{style:#} {}  {FAINT}{} of {} built the same, {} needed{FAINT:#}\n",
            file.name,
            file.agree.len(),
            challenge.rebuilders.len(),
            challenge.needed
        );
        if !file.agree.is_empty() {
            text += &format!("  same    {}\n", file.agree.join(", "));
        }
        for dissent in &file.dissent {
            let causes = if dissent.causes.is_empty() {
                String::new()
            } else {
                format!(" ({})", dissent.causes.join(", "))
            };
            text += &format!("  {BAD}other{BAD:#}   {}: {}{causes}\n", dissent.by, dissent.verdict);
            for input in &dissent.inputs {
                text += &format!("          {FAINT}input:{FAINT:#} {input}\n");
            }
        }
    }
    text
}
