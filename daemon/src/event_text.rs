//! The two strings of an event in the Windows Event Log: its message, and its fields in one line.

use std::fmt::Write as _;

/// The system takes 31,839 characters for one string and 61,440 bytes for an event ("ReportEventW"); a message is cut
/// before. UTF-16 units.
const LONGEST: usize = 12_000;

/// The insertion strings `%1` and `%2` of the message table: always both, because the Event Viewer shows the number of
/// one that is missing.
pub(crate) fn strings<'a>(message: &str, fields: impl IntoIterator<Item = (&'a str, String)>) -> [String; 2] {
    let mut line = String::new();
    for (name, value) in fields {
        let separator = if line.is_empty() { "" } else { ", " };
        let _ = write!(line, "{separator}{name}={value}");
    }
    [plain(message), plain(&line)]
}

/// Escapes what could end the text, start a line of its own, or be replaced (`%%` and a number stands for a text of the
/// system); cuts what is too long.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let (mut units, mut before) = (0, ' ');
    for character in text.chars() {
        let length = out.len();
        match character {
            _ if character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}')
                || (character == '%' && before == '%') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
        before = character;
        units += out[length..].encode_utf16().count();
        if units > LONGEST {
            out.truncate(length);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_one_line() {
        let fields = [("workload", "web".to_owned()), ("pid", "7".to_owned())];
        assert_eq!(strings("workload ended", fields), ["workload ended", "workload=web, pid=7"]);
        assert_eq!(strings("", []), ["", ""]);
    }

    #[test]
    fn hostile_texts_stay_texts() {
        let hostile: String = (0..0x3000).filter_map(char::from_u32).collect();
        let [message, _] = strings(&hostile, []);
        assert!(!message.chars().any(|it| it.is_control() || it == '\u{2028}'), "{message}");
        let [message, _] = strings("%%4096 %%%1 100%", []);
        assert!(!message.contains("%%"), "{message}");
        let [message, line] = strings(&"\u{1f600}".repeat(100_000), [("a", "\0".repeat(100_000))]);
        assert!(message.encode_utf16().count() <= LONGEST + 1 && line.encode_utf16().count() <= LONGEST + 1);
        assert!(message.ends_with("\u{1f600}…"));
    }
}
