//! Texts as Windows takes them, and its results as Rust does.
#![expect(unsafe_code, reason = "texts come as pointers")]

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt as _;

/// UTF-16 with a NUL at its end.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The same of what may be no Unicode; whoever reads it would miss what follows a NUL inside.
pub(crate) fn wide_whole(text: &OsStr) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.encode_wide().collect();
    if units.contains(&0) {
        let why = format!("{text:?} has a NUL character in it");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    units.push(0);
    Ok(units)
}

/// A list as Windows takes it: each text with a NUL, then one more.
pub(crate) fn wide_list(texts: &[String]) -> Vec<u16> {
    // An empty list needs both.
    let first = texts.is_empty().then_some(0);
    texts.iter().flat_map(|text| wide(text)).chain(first).chain([0]).collect()
}

/// Reads a text up to its NUL; empty for a null pointer.
///
/// # Safety
/// `text` is null, or leads to UTF-16 that ends with a NUL and is not changed meanwhile.
pub(crate) unsafe fn text_at(text: *const u16) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: our caller promises the NUL; no unit beyond it is read.
    let units = (0..).map(|index| unsafe { *text.add(index) }).take_while(|unit| *unit != 0);
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

/// Reads a list; empty for a null pointer.
///
/// # Safety
/// `list` is null, or leads to texts that end with a NUL each, the last followed by another, not changed meanwhile.
pub(crate) unsafe fn list_at(list: *const u16) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = list;
    // SAFETY: our caller promises an empty text at the end, so `next` leads to a text each time.
    while let text = unsafe { text_at(next) }
        && !text.is_empty()
    {
        // SAFETY: as above: behind the text's own NUL there is another text.
        next = unsafe { next.add(text.encode_utf16().count() + 1) };
        texts.push(text);
    }
    texts
}

/// The result of a call that answers 0 when it fails.
pub(crate) fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The result of a call that answers with an error number.
pub(crate) fn check_number(number: u32) -> io::Result<()> {
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number.cast_signed())) }
}
