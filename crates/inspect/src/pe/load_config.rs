//! The load configuration directory (`IMAGE_LOAD_CONFIG_DIRECTORY32` and `64` of the Windows SDK).

use super::{Image, LOAD_CONFIG, directory, locate};
use crate::bytes::Survey;
use crate::facts::{LoadConfig, Pe};

/// Where the fields are, by the width of an address.
struct Layout {
    word: u64,
    dependent_load_flags: u64,
    cookie: u64,
    guard_flags: u64,
    /// `GuardAddressTakenIatEntryTable`, which words follow up to the reference table's offset.
    tables: u64,
    /// `EnclaveConfigurationPointer`, which words follow up to the end.
    enclave: u64,
}

impl Layout {
    fn of(wide: bool) -> &'static Layout {
        if wide { &WIDE } else { &NARROW }
    }
}

const NARROW: Layout =
    Layout { word: 4, dependent_load_flags: 54, cookie: 60, guard_flags: 88, tables: 104, enclave: 156 };
const WIDE: Layout =
    Layout { word: 8, dependent_load_flags: 78, cookie: 88, guard_flags: 144, tables: 160, enclave: 248 };

/// Reads the directory.
pub(super) fn read(image: Image<'_>, pe: &Pe, wide: bool, survey: &mut Survey) -> Option<LoadConfig> {
    const PART: &str = "load configuration";
    let directory = directory(pe, LOAD_CONFIG)?;
    let Some(offset) = locate(pe, directory.address) else {
        survey.anomaly(PART, format!("address {:#x} is in no section", directory.address));
        return None;
    };
    let Some(size) = image.bytes.u32(offset) else {
        survey.anomaly(PART, format!("the directory at {offset:#x} is outside the file"));
        return None;
    };
    if image.bytes.slice(offset, u64::from(size).min(512)).is_none() {
        survey.anomaly(PART, format!("{size:#x} bytes at {offset:#x} end outside the file"));
        return None;
    }
    let layout = Layout::of(wide);
    let field = |at: u64, length: u64| {
        if at + length > u64::from(size) {
            return 0;
        }
        let value = match length {
            2 => image.bytes.u16(offset + at).map(u64::from),
            4 => image.bytes.u32(offset + at).map(u64::from),
            _ => image.bytes.u64(offset + at),
        };
        value.unwrap_or(0)
    };
    let word = |from: u64, index: u64| field(from + index * layout.word, layout.word);
    Some(LoadConfig {
        offset,
        size,
        dependent_load_flags: field(layout.dependent_load_flags, 2) as u16,
        security_cookie: word(layout.cookie, 0),
        se_handler_table: word(layout.cookie, 1),
        se_handler_count: word(layout.cookie, 2),
        guard_check: word(layout.cookie, 3),
        guard_dispatch: word(layout.cookie, 4),
        guard_functions: word(layout.cookie, 5),
        guard_function_count: word(layout.cookie, 6),
        guard_flags: field(layout.guard_flags, 4) as u32,
        code_integrity: (field(layout.guard_flags + 4, 2) as u16, field(layout.guard_flags + 6, 2) as u16),
        long_jump_count: word(layout.tables, 3),
        hybrid_metadata: word(layout.tables, 5),
        enclave: word(layout.enclave, 0),
        volatile_metadata: word(layout.enclave, 1),
        eh_continuations: word(layout.enclave, 2),
        eh_continuation_count: word(layout.enclave, 3),
        extended_guard_check: word(layout.enclave, 4),
    })
}

/// Where in the directory addresses are, and which.
pub(super) fn pointers(config: &LoadConfig, wide: bool) -> [(u64, u64); 10] {
    let Layout { word, cookie, tables, enclave, .. } = Layout::of(wide);
    let at = |from: &u64, index: u64, address: u64| (from + index * word, address);
    [
        at(cookie, 0, config.security_cookie),
        at(cookie, 1, config.se_handler_table),
        at(cookie, 3, config.guard_check),
        at(cookie, 4, config.guard_dispatch),
        at(cookie, 5, config.guard_functions),
        at(tables, 5, config.hybrid_metadata),
        at(enclave, 0, config.enclave),
        at(enclave, 1, config.volatile_metadata),
        at(enclave, 2, config.eh_continuations),
        at(enclave, 4, config.extended_guard_check),
    ]
}
