//! What this process has: its token and its handles, by bare system calls, so that the daemon is not believed.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{
    GetTokenInformation, LookupPrivilegeNameW, PSID, SID_AND_ATTRIBUTES, TOKEN_GROUPS, TOKEN_MANDATORY_LABEL,
    TOKEN_PRIVILEGES, TOKEN_QUERY, TokenGroups, TokenIntegrityLevel, TokenPrivileges,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use crate::os::wide::text_at;

/// Prints each privilege with its attributes, each group with its own, and the integrity level.
pub(crate) fn print_token() {
    let privileges = information(TokenPrivileges);
    // SAFETY: the answer begins with a number, and so many privileges follow.
    let privileges = unsafe {
        let list: *const TOKEN_PRIVILEGES = privileges.as_ptr().cast();
        let first = (&raw const (*list).Privileges).cast();
        std::slice::from_raw_parts::<windows_sys::Win32::Security::LUID_AND_ATTRIBUTES>(
            first,
            (*list).PrivilegeCount as usize,
        )
    };
    for privilege in privileges {
        let (mut name, mut length) = ([0; 64], 64);
        // SAFETY: pointer and length describe `name`, which ends with a NUL afterwards.
        let name = unsafe {
            LookupPrivilegeNameW(null(), &raw const privilege.Luid, name.as_mut_ptr(), &raw mut length);
            text_at(name.as_ptr())
        };
        println!("privilege {name}");
    }
    let groups = information(TokenGroups);
    // SAFETY: as above.
    let groups = unsafe {
        let list: *const TOKEN_GROUPS = groups.as_ptr().cast();
        let first: *const SID_AND_ATTRIBUTES = (&raw const (*list).Groups).cast();
        std::slice::from_raw_parts(first, (*list).GroupCount as usize)
    };
    for group in groups {
        // SE_GROUP_USE_FOR_DENY_ONLY
        let kind = if group.Attributes & 0x10 != 0 { "deny-only" } else { "group" };
        println!("{kind} {}", text(group.Sid));
    }
    let label = information(TokenIntegrityLevel);
    // SAFETY: the answer begins with this structure.
    println!("integrity {}", text(unsafe { (*label.as_ptr().cast::<TOKEN_MANDATORY_LABEL>()).Label.Sid }));
}

/// Prints how many handles lead to pipes.
pub(crate) fn print_handles() {
    // Handles are small multiples of four.
    // SAFETY: any number may be asked about.
    let is_pipe = |number: &usize| unsafe { GetFileType((number * 4) as HANDLE) } == FILE_TYPE_PIPE;
    println!("{} pipes", (1..4096).filter(is_pipe).count());
}

fn information(class: i32) -> Vec<u64> {
    let (mut token, mut answer, mut length): (HANDLE, _, _) = (null_mut(), vec![0_u64; 8192], 0);
    let buffer: *mut c_void = answer.as_mut_ptr().cast();
    // SAFETY: the pseudo handle needs no closing; pointer and size describe `answer`.
    let done = unsafe {
        OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token);
        GetTokenInformation(token, class, buffer, 65_536, &raw mut length)
    };
    assert_ne!(done, 0, "information {class}");
    answer
}

fn text(sid: PSID) -> String {
    let mut text = null_mut();
    // SAFETY: the SID is the system's; the text is never freed by this short program.
    unsafe {
        ConvertSidToStringSidW(sid, &raw mut text);
        text_at(text)
    }
}
