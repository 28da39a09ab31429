//! The load configuration directory: what the loader is told about mitigations.

use schemars::JsonSchema;
use serde::Serialize;

/// `IMAGE_LOAD_CONFIG_DIRECTORY`; a field that the directory's size does not reach is 0. Addresses are absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "PE/COFF specification, The Load Configuration Structure"))]
pub struct LoadConfig {
    /// File offset of the directory.
    pub offset: u64,
    /// Its size in bytes, from its own first field.
    pub size: u32,
    /// `DependentLoadFlags`: where `LoadLibrary` searches for the DLLs this file imports.
    pub dependent_load_flags: u16,
    /// `SecurityCookie`: where the stack protector's cookie is.
    pub security_cookie: u64,
    /// `SEHandlerTable`: where the list of safe exception handlers is (32-bit x86).
    pub se_handler_table: u64,
    /// `SEHandlerCount`: how many handlers are listed.
    pub se_handler_count: u64,
    /// `GuardCFCheckFunctionPointer`: where the pointer to control flow guard's check is.
    pub guard_check: u64,
    /// `GuardCFDispatchFunctionPointer`: where the pointer to its check with a jump is.
    pub guard_dispatch: u64,
    /// `GuardCFFunctionTable`: where the list of functions that may be called indirectly is.
    pub guard_functions: u64,
    /// `GuardCFFunctionCount`: how many functions are listed.
    pub guard_function_count: u64,
    /// `GuardFlags`: 0x100 instrumented, 0x400 has a function table, 0x800 uses no cookie.
    pub guard_flags: u32,
    /// `CodeIntegrity.Flags` and `CodeIntegrity.Catalog`.
    pub code_integrity: (u16, u16),
    /// `GuardLongJumpTargetCount`: how many targets of `longjmp` are listed.
    pub long_jump_count: u64,
    /// `CHPEMetadataPointer`: a file that also holds another processor's code (Arm64EC, Arm64X).
    pub hybrid_metadata: u64,
    /// `EnclaveConfigurationPointer`: what an enclave is set up with; 0 where it is none.
    pub enclave: u64,
    /// `VolatileMetadataPointer`: which instructions access memory that emulation must keep in order.
    pub volatile_metadata: u64,
    /// `GuardEHContinuationTable`: where the list of places that exceptions may continue at is (CET).
    pub eh_continuations: u64,
    /// `GuardEHContinuationCount`: how many places are listed.
    pub eh_continuation_count: u64,
    /// `GuardXFGCheckFunctionPointer`: where the pointer to the check by function types (XFG) is.
    pub extended_guard_check: u64,
}
