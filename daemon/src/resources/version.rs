//! RT_VERSION: what the file's properties show ("VS_VERSIONINFO").

use super::directory::LANGUAGE;

/// UTF-16 (code page 1200), in which the strings are.
const UNICODE: u16 = 1200;

/// A version resource for `version` such as `1.2.3` (also `1.2.3-beta.1`), with further lines `(key, value)`.
pub(crate) fn version(version: &str, lines: &[(&str, &str)]) -> Vec<u8> {
    let own = [("FileVersion", version), ("ProductVersion", version)];
    let strings: Vec<u8> = lines.iter().chain(&own).fold(Vec::new(), |mut out, (key, value)| {
        let units: Vec<u8> = utf16(value);
        append(&mut out, &block(key, true, units.len() / 2, &units, &[]));
        out
    });
    let table = block(&format!("{LANGUAGE:04x}{UNICODE:04x}"), true, 0, &[], &strings);
    let translation = [LANGUAGE.to_le_bytes(), UNICODE.to_le_bytes()].concat();
    let mut children = block("StringFileInfo", true, 0, &[], &table);
    let translation = block("Translation", false, translation.len(), &translation, &[]);
    append(&mut children, &block("VarFileInfo", false, 0, &[], &translation));
    let fixed = fixed(version);
    block("VS_VERSION_INFO", false, fixed.len(), &fixed, &children)
}

/// VS_FIXEDFILEINFO of a program for Windows NT.
fn fixed(version: &str) -> Vec<u8> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = plain.split('.').map(|number| number.parse::<u16>().unwrap_or(0));
    let mut two = || {
        let (high, low) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        u32::from(high) << 16 | u32::from(low)
    };
    let (high, low) = (two(), two());
    let is_prerelease = u32::from(version.contains('-'));
    // Signature, structure version, file and product version, mask, VS_FF_PRERELEASE, VOS_NT_WINDOWS32, VFT_APP.
    let fields =
        [0xfeef_04bd, 0x1_0000, high, low, high, low, 0x3f, is_prerelease << 1, 0x4_0004, 1, 0, 0, 0];
    fields.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Length, length of the value, type, key; value and children each begin at a multiple of four bytes.
fn block(key: &str, is_text: bool, value_length: usize, value: &[u8], children: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 6];
    out.extend(utf16(key));
    for part in [value, children] {
        if !part.is_empty() {
            append(&mut out, part);
        }
    }
    let fields = [out.len() as u16, value_length as u16, u16::from(is_text)];
    for (at, field) in fields.into_iter().enumerate() {
        out[at * 2..at * 2 + 2].copy_from_slice(&field.to_le_bytes());
    }
    out
}

fn append(out: &mut Vec<u8>, part: &[u8]) {
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(part);
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
