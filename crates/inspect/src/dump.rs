//! Facts as stable text: what `file`, `readelf -hdlV` and `objdump -p` would tell, in one form for both formats.

mod elf;
mod pe;

use std::fmt::Write;

use crate::facts::{Binary, Facts};

/// One line, as `file` would say it.
pub fn headline(facts: &Facts) -> String {
    match &facts.binary {
        Binary::Elf(elf) => elf::headline(elf),
        Binary::Pe(pe) => pe::headline(pe),
    }
}

/// Everything, a part a paragraph.
pub fn dump(facts: &Facts) -> String {
    let mut text = format!("{}\nsize {} bytes\n", headline(facts), facts.size);
    for anomaly in &facts.anomalies {
        line(&mut text, format_args!("ANOMALY {}: {}", anomaly.part, anomaly.detail));
    }
    match &facts.binary {
        Binary::Elf(elf) => elf::dump(&mut text, elf),
        Binary::Pe(pe) => pe::dump(&mut text, pe),
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Names come from hostile files: nothing of theirs may move the cursor or begin a line.
    let written = arguments.to_string();
    let shown = written.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    text.extend(shown);
    text.push('\n');
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
