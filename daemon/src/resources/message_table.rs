//! RT_MESSAGETABLE: a text for each event number ("MESSAGE_RESOURCE_DATA", "MESSAGE_RESOURCE_BLOCK",
//! "MESSAGE_RESOURCE_ENTRY").

/// The text is UTF-16.
const UNICODE: u16 = 1;

/// The table for events `(number, name, what it says)`, in ascending order of numbers. Neighbours share a block.
pub(crate) fn message_table(events: &[(u32, &str, &str)]) -> Vec<u8> {
    let blocks: Vec<_> = events.chunk_by(|left, right| left.0 + 1 == right.0).collect();
    let mut header = (blocks.len() as u32).to_le_bytes().to_vec();
    let mut entries = Vec::new();
    let entries_begin = 4 + blocks.len() * 12;
    for block in blocks {
        let offset = (entries_begin + entries.len()) as u32;
        let (low, high) = (block[0].0, block[block.len() - 1].0);
        for field in [low, high, offset] {
            header.extend(field.to_le_bytes());
        }
        for (number, name, says) in block {
            entries.extend(entry(&text(*number, name, says)));
        }
    }
    header.extend(entries);
    header
}

/// `%1` is the message and `%2` the fields of the record; the last line explains them. `%n` is a line's end.
fn text(number: u32, name: &str, says: &str) -> String {
    let says = says.replace('%', "%%").replace('`', "");
    format!("%1%n%2%n%nEvent {number} {name}: {says}\r\n")
}

/// Length and flags, then the text with a NUL, up to a multiple of four bytes.
fn entry(text: &str) -> Vec<u8> {
    let mut units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    units.resize(units.len().next_multiple_of(4), 0);
    let length = (4 + units.len()) as u16;
    [length.to_le_bytes(), UNICODE.to_le_bytes()].concat().into_iter().chain(units).collect()
}
