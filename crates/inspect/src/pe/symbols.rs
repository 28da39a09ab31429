//! COFF symbols, asked for the stack protector's only: the table of a program is a linker's leftover.

use super::{Image, SYMBOL, string_table};
use crate::constants::pe as constants;
use crate::facts::Pe;

/// What GCC's and Clang's `-fstack-protector` calls and reads; the third is the pointer that the compiler makes beside code for
/// 64 bits that checks the guard. The last is called by `_FORTIFY_SOURCE`, and GCC's libssp has it in one object with the first
/// two. `__security_cookie` is not among them: mingw's start code has one whether anybody checks it or not.
const PROTECTOR: [&[u8]; 4] =
    [b"__stack_chk_fail", b"__stack_chk_guard", b".refptr.__stack_chk_guard", b"__chk_fail"];

/// Those of the protector's symbols that are in the table.
pub(super) fn of_the_protector(image: Image<'_>, pe: &Pe) -> Vec<String> {
    let Some(strings) = string_table(pe) else { return Vec::new() };
    let mut found = Vec::new();
    let mut offset = u64::from(pe.symbol_table_offset);
    while offset + SYMBOL <= strings && found.len() < PROTECTOR.len() {
        let Some(symbol) = image.bytes.slice(offset, SYMBOL) else { break };
        // Names of more than eight bytes: four zeros, then an offset into the string table.
        if symbol[..4] == [0; 4] {
            let name = u32::from_le_bytes([symbol[4], symbol[5], symbol[6], symbol[7]]);
            let mut name = strings + u64::from(name);
            // C's names have an underscore in front there.
            if pe.machine == constants::IMAGE_FILE_MACHINE_I386 && image.bytes.u8(name) == Some(b'_') {
                name += 1;
            }
            let is = |text: &&&[u8]| {
                let length = text.len() as u64;
                image.bytes.slice(name, length) == Some(**text) && image.bytes.u8(name + length) == Some(0)
            };
            if let Some(text) = PROTECTOR.iter().find(is) {
                let text = String::from_utf8_lossy(text).into_owned();
                if !found.contains(&text) {
                    found.push(text);
                }
            }
        }
        offset += SYMBOL * (1 + u64::from(symbol[17]));
    }
    found
}
