//! Reads who may change the program that is to be a service.
#![expect(unsafe_code, reason = "access lists have no safe interface")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW,
    SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, DACL_SECURITY_INFORMATION, GetAce, GetTokenInformation, INHERIT_ONLY_ACE,
    LookupAccountNameW, OWNER_SECURITY_INFORMATION, PSID, RevertToSelf, SECURITY_ATTRIBUTES, TOKEN_QUERY,
    TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Pipes::ImpersonateNamedPipeClient;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken,
};

use super::wide::{check, check_number, text_at, wide};
use crate::service_manager::{AccessEntry, Descriptor, Place, writers};

/// ACCESS_ALLOWED_ACE_TYPE and ACCESS_ALLOWED_CALLBACK_ACE_TYPE, which allow the same way ([MS-DTYP] 2.4.4).
const ALLOWS: [u8; 2] = [0, 9];

/// Whether others may change a program.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// Only administrators and whoever installs it.
    Closed,
    /// These may, at this place.
    Open { path: PathBuf, who: Vec<String> },
    /// The access list cannot be read.
    Unknown(String),
}

/// Looks at the program, its folder and every folder above.
pub(crate) fn judge(program: &Path) -> Judgement {
    let unknown = |path: &Path, error: io::Error| {
        Judgement::Unknown(format!("cannot tell who may change {}: {error}", path.display()))
    };
    let ourselves = match own_sid() {
        Ok(sid) => sid,
        Err(error) => return unknown(program, error),
    };
    // Symbolic links are followed: what counts is where the program lies.
    let program = match std::fs::canonicalize(program) {
        Ok(path) => path,
        Err(error) => return unknown(program, error),
    };
    for (depth, path) in program.ancestors().enumerate() {
        let place = if depth < 2 { Place::Program } else { Place::Above };
        match descriptor(path) {
            Ok(descriptor) => {
                let who = writers(&descriptor, place, &ourselves);
                if !who.is_empty() {
                    return Judgement::Open { path: path.to_owned(), who };
                }
            }
            Err(error) => return unknown(path, error),
        }
    }
    Judgement::Closed
}

fn descriptor(path: &Path) -> io::Result<Descriptor> {
    let name = wide(path.to_str().ok_or_else(|| io::Error::other("the path is not Unicode"))?);
    let (mut owner, mut list) = (ptr::null_mut(), ptr::null_mut());
    let mut whole = ptr::null_mut();
    // SAFETY: the name ends with a NUL; every other pointer is null or leads to a pointer of ours.
    check_number(unsafe {
        GetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            ptr::null_mut(),
            &raw mut list,
            ptr::null_mut(),
            &raw mut whole,
        )
    })?;
    let _whole = Local(whole);
    // SAFETY: both lie in the descriptor that was just made for us, and lives until the end of this function.
    unsafe { Ok(Descriptor { owner: sid_text(owner)?, entries: read_list(list)? }) }
}

/// # Safety
/// `list` is null or leads to an access list of the system.
unsafe fn read_list(list: *const ACL) -> io::Result<Option<Vec<AccessEntry>>> {
    if list.is_null() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    // SAFETY: our caller promises the list.
    for index in 0..u32::from(unsafe { (*list).AceCount }) {
        let mut entry: *mut c_void = ptr::null_mut();
        // SAFETY: as above; the call checks the index.
        check(unsafe { GetAce(list, index, &raw mut entry) })?;
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: every entry begins with this header.
        let header = unsafe { (*entry).Header };
        if !ALLOWS.contains(&header.AceType) {
            continue;
        }
        // SAFETY: an entry of these two types has a mask, and a SID from `SidStart` on.
        let (mask, sid) =
            unsafe { ((*entry).Mask, sid_text((&raw const (*entry).SidStart).cast_mut().cast())?) };
        let inherit_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
        entries.push(AccessEntry { sid, mask, inherit_only });
    }
    Ok(Some(entries))
}

/// Makes the folder in which the service of `account` keeps its files, closed to everyone but it and administrators.
/// Answers with a warning where that is not so, as in a folder that was there before.
pub(super) fn make_data_folder(folder: &Path, account: &str) -> io::Result<Option<String>> {
    let account_sid = sid_of(account);
    if !folder.exists() {
        let service =
            account_sid.as_ref().map_or_else(|_| String::new(), |sid| format!("(A;OICI;0x1301bf;;;{sid})"));
        create_folder(folder, &format!("D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){service}"))?;
    }
    let found = descriptor(folder)?;
    let (ourselves, service) = (own_sid()?, account_sid.as_deref().unwrap_or_default());
    let others: Vec<_> =
        writers(&found, Place::Program, &ourselves).into_iter().filter(|sid| sid != service).collect();
    let warning = match account_sid {
        _ if !others.is_empty() => format!("may be written to by {}", others.join(", ")),
        Err(error) => format!("is closed to {account}, whose SID is not known: {error}"),
        Ok(_) => return Ok(None),
    };
    Ok(Some(format!("{} {warning}", folder.display())))
}

fn create_folder(folder: &Path, access: &str) -> io::Result<()> {
    let name = wide(folder.to_str().ok_or_else(|| io::Error::other("the path is not Unicode"))?);
    let descriptor = Local::descriptor(access)?;
    let attributes = descriptor.attributes();
    // SAFETY: the name ends with a NUL; the attributes and their descriptor outlive the call.
    check(unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) })
}

/// The SID of an account, as text.
fn sid_of(account: &str) -> io::Result<String> {
    let name = wide(account);
    // A SID has at most 68 bytes; nothing looks at the name of the domain.
    let (mut sid, mut size) = ([0_u64; 16], 128);
    let (mut domain, mut length, mut kind) = ([0_u16; 512], 512, 0);
    // SAFETY: the name ends with a NUL; pointers and sizes describe `sid` and `domain`.
    unsafe {
        check(LookupAccountNameW(
            ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &raw mut size,
            domain.as_mut_ptr(),
            &raw mut length,
            &raw mut kind,
        ))?;
        sid_text(sid.as_mut_ptr().cast())
    }
}

/// The SID of whoever runs this program.
pub(crate) fn own_sid() -> io::Result<String> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; `token` is writable.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the token was just opened for us, and nobody else closes it.
    user_of(&unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The SID of the process at the other end of a pipe, which it proves by being connected.
pub(super) fn client_sid(pipe: &OwnedHandle) -> io::Result<String> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the pipe is open; the pseudo handle needs no closing; `token` is writable.
    let opened = unsafe {
        check(ImpersonateNamedPipeClient(pipe.as_raw_handle()))?;
        let opened = check(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &raw mut token));
        // Going on as the client would give away its rights or take ours.
        if RevertToSelf() == 0 {
            std::process::abort();
        }
        opened
    };
    opened?;
    // SAFETY: the token was just opened for us, and nobody else closes it.
    user_of(&unsafe { OwnedHandle::from_raw_handle(token) })
}

fn user_of(token: &OwnedHandle) -> io::Result<String> {
    // A SID has at most 68 bytes.
    let mut answer = [0_u64; 32];
    const { assert!(size_of::<TOKEN_USER>() + 68 <= 256) };
    let mut length = 0;
    // SAFETY: the token is open; pointer and size describe `answer`, which begins with the structure afterwards, and
    // in which its SID lies.
    unsafe {
        check(GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            answer.as_mut_ptr().cast(),
            size_of_val(&answer) as u32,
            &raw mut length,
        ))?;
        sid_text((*answer.as_ptr().cast::<TOKEN_USER>()).User.Sid)
    }
}

/// # Safety
/// `sid` is null or leads to a SID.
pub(super) unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    if sid.is_null() {
        return Err(io::Error::other("there is no owner"));
    }
    let mut text = ptr::null_mut();
    // SAFETY: our caller promises the SID; `text` is writable.
    check(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let _text = Local(text.cast());
    // SAFETY: the call succeeded, so `text` leads to a text that lives until the end of this function.
    Ok(unsafe { text_at(text) })
}

/// Memory that the system gave us to free.
pub(super) struct Local(pub(super) *mut c_void);

impl Local {
    /// A security descriptor from its text ("Security Descriptor String Format").
    pub(super) fn descriptor(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends with a NUL; `descriptor` is writable; the size is not asked for.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        })?;
        Ok(Self(descriptor))
    }

    /// For a new object that is not inherited by children; it must not outlive this descriptor.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the system, which says to free it so, and nobody else does.
        unsafe { LocalFree(self.0) };
    }
}
