//! The load configuration directory: what the loader is told about mitigations.

use serde::Serialize;

/// `IMAGE_LOAD_CONFIG_DIRECTORY`; a field that the directory's size does not reach is 0. Addresses are absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadConfig {
    /// File offset of the directory.
    pub offset: u64,
    /// Its size in bytes, from its own first field.
    pub size: u32,
    /// `DependentLoadFlags`.
    pub dependent_load_flags: u16,
    /// `SecurityCookie`.
    pub security_cookie: u64,
    /// `SEHandlerTable` (32-bit x86).
    pub se_handler_table: u64,
    /// `SEHandlerCount`.
    pub se_handler_count: u64,
    /// `GuardCFCheckFunctionPointer`.
    pub guard_check: u64,
    /// `GuardCFDispatchFunctionPointer`.
    pub guard_dispatch: u64,
    /// `GuardCFFunctionTable`.
    pub guard_functions: u64,
    /// `GuardCFFunctionCount`.
    pub guard_function_count: u64,
    /// `GuardFlags`: 0x100 instrumented, 0x400 has a function table, 0x800 uses no cookie.
    pub guard_flags: u32,
    /// `CodeIntegrity.Flags` and `CodeIntegrity.Catalog`.
    pub code_integrity: (u16, u16),
    /// `GuardLongJumpTargetCount`.
    pub long_jump_count: u64,
    /// `CHPEMetadataPointer`: a file that also holds another processor's code (Arm64EC, Arm64X).
    pub hybrid_metadata: u64,
    /// `EnclaveConfigurationPointer`.
    pub enclave: u64,
    /// `VolatileMetadataPointer`.
    pub volatile_metadata: u64,
    /// `GuardEHContinuationTable`.
    pub eh_continuations: u64,
    /// `GuardEHContinuationCount`.
    pub eh_continuation_count: u64,
    /// `GuardXFGCheckFunctionPointer`.
    pub extended_guard_check: u64,
}
