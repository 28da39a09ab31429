//! The static itself: the one place that names a link section.

use std::hint::black_box;

use crate::note::{EMPTY_SLOT, SLOT_SIZE};

/// Notes are aligned to 4 bytes (ELF gABI, "Note Section").
#[repr(C, align(4))]
struct Slot([u8; SLOT_SIZE]);

// SAFETY: both sections hold plain read-only data of any length. No linker script, runtime or loader gives them a
// meaning other than the note that these bytes are, and nothing else in the program is placed there.
#[expect(unsafe_code, reason = "naming a link section is an unsafe attribute")]
#[used]
#[cfg_attr(windows, unsafe(link_section = ".xprov"))]
#[cfg_attr(not(any(windows, target_vendor = "apple")), unsafe(link_section = ".note.package"))]
static SLOT: Slot = Slot(EMPTY_SLOT);

/// The slot's bytes as they are in the running program.
///
/// The compiler knows only the empty slot it wrote. `black_box` hides where the reference comes from, so the bytes are
/// read when the program runs; `tests/patched.rs` proves it on optimised programs.
pub(crate) fn bytes() -> &'static [u8; SLOT_SIZE] {
    &black_box(&SLOT).0
}
