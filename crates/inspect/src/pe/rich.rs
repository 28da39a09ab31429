//! The "Rich" header: which tools made the objects. Microsoft's linker writes it, undocumented, behind the DOS stub.

use super::Image;
use crate::facts::{Pe, RichHeader};

/// Where it is looked for: behind the DOS header, which is small in every file that has one.
const FARTHEST: u32 = 4096;

/// Reads it, where it is there whole.
pub(super) fn read(image: Image<'_>, pe: &Pe) -> Option<RichHeader> {
    let end = pe.header_offset.min(FARTHEST);
    let word = |offset: u32| image.bytes.u32(offset.into());
    let mark = |text: &[u8; 4]| u32::from_le_bytes(*text);
    let rich = (0x40..end.saturating_sub(7)).step_by(4).find(|at| word(*at) == Some(mark(b"Rich")))?;
    let key = word(rich + 4)?;
    let offset =
        (0x40..rich).step_by(4).rev().find(|at| word(*at).is_some_and(|word| word ^ key == mark(b"DanS")))?;
    // Three words of padding, then pairs.
    let pairs = (offset + 16..rich).step_by(8);
    let tools = pairs.filter_map(|at| {
        let tool = word(at)? ^ key;
        Some(((tool >> 16) as u16, tool as u16, word(at + 4)? ^ key))
    });
    Some(RichHeader { offset, key, tools: tools.collect() })
}
