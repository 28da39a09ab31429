//! Access tokens: read, and made to hold less.
#![expect(unsafe_code, reason = "tokens have no safe interface")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, LUID};
use windows_sys::Win32::Security::Authorization::ConvertStringSidToSidW;
use windows_sys::Win32::Security::{
    ACL, CreateRestrictedToken, GetLengthSid, GetSecurityDescriptorDacl, GetTokenInformation,
    LUID_AND_ATTRIBUTES, LookupPrivilegeNameW, LookupPrivilegeValueW, SID_AND_ATTRIBUTES,
    SetTokenInformation, TOKEN_ACCESS_MASK, TOKEN_ADJUST_DEFAULT, TOKEN_ASSIGN_PRIMARY, TOKEN_DEFAULT_DACL,
    TOKEN_DUPLICATE, TOKEN_GROUPS, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_PRIVILEGES,
    TOKEN_QUERY, TOKEN_USER, TokenDefaultDacl, TokenGroups, TokenIntegrityLevel, TokenPrivileges,
    TokenRestrictedSids, TokenUser, WRITE_RESTRICTED,
};
use windows_sys::Win32::System::SystemServices::{
    SE_GROUP_INTEGRITY, SE_GROUP_LOGON_ID, SE_GROUP_USE_FOR_DENY_ONLY,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::access::{Local, sid_text};
use super::wide::{check, text_at, wide};
use crate::token::{Group, Held, Integrity, Plan, Token};

/// Our own token with less in it, and what was taken.
pub(super) fn restricted(asked: &Token) -> io::Result<(OwnedHandle, Plan)> {
    let rights = TOKEN_QUERY | TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT;
    // SAFETY: takes nothing; the pseudo handle needs no closing.
    let own = open(unsafe { GetCurrentProcess() }, rights)?;
    let held = read(&own)?;
    let plan = held.plan(asked);
    let token = less(&own, &plan)?;
    set_default_access(&token, &held.user, &plan)?;
    if let Some(integrity) = asked.integrity.filter(|integrity| integrity.level() < held.integrity) {
        set_integrity(&token, integrity)?;
    }
    Ok((token, plan))
}

/// Who we are to an access list: our service, if we are one, else our user. Accounts such as LocalService are shared by
/// many services.
pub(crate) fn own_sid() -> io::Result<String> {
    // SAFETY: takes nothing; the pseudo handle needs no closing.
    let held = read(&open(unsafe { GetCurrentProcess() }, TOKEN_QUERY)?)?;
    Ok(held.service().unwrap_or(&held.user).to_owned())
}

/// What the token of `process` holds.
pub(super) fn held_by(process: &OwnedHandle) -> io::Result<Held> {
    read(&open(process.as_raw_handle(), TOKEN_QUERY)?)
}

fn open(process: HANDLE, rights: TOKEN_ACCESS_MASK) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the process is open, or a pseudo handle; `token` is writable.
    check(unsafe { OpenProcessToken(process, rights, &raw mut token) })?;
    // SAFETY: the token was just opened for us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn less(token: &OwnedHandle, plan: &Plan) -> io::Result<OwnedHandle> {
    // By name: Wine takes DISABLE_MAX_PRIVILEGE and does nothing, and it could keep none.
    let remove = plan.remove.iter().map(|name| luid(name)).collect::<io::Result<Vec<_>>>()?;
    let (deny, restrict) = (sids(&plan.deny)?, sids(&plan.restrict)?);
    let (deny, restrict) = (attributed(&deny), attributed(&restrict));
    let mut made: HANDLE = ptr::null_mut();
    // SAFETY: the token is open for TOKEN_DUPLICATE; numbers and pointers describe the lists, whose SIDs outlive the call.
    check(unsafe {
        CreateRestrictedToken(
            token.as_raw_handle(),
            if restrict.is_empty() { 0 } else { WRITE_RESTRICTED },
            deny.len() as u32,
            pointer(&deny),
            remove.len() as u32,
            pointer(&remove),
            restrict.len() as u32,
            pointer(&restrict),
            &raw mut made,
        )
    })?;
    // SAFETY: the token was just made for us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(made) })
}

/// To the list; null for an empty one.
fn pointer<T>(list: &[T]) -> *const T {
    if list.is_empty() { ptr::null() } else { list.as_ptr() }
}

/// Who may reach what the process makes, unless it says: itself, whatever was taken from it, besides the system and
/// administrators.
fn set_default_access(token: &OwnedHandle, user: &str, plan: &Plan) -> io::Result<()> {
    let own = plan.own().chain([user]).map(|sid| format!("(A;;GA;;;{sid})"));
    let descriptor = Local::descriptor(&format!("D:(A;;GA;;;SY)(A;;GA;;;BA){}", own.collect::<String>()))?;
    let (mut present, mut defaulted, mut list) = (0, 0, ptr::null_mut::<ACL>());
    // SAFETY: the descriptor is the system's own; the other pointers are writable.
    check(unsafe {
        GetSecurityDescriptorDacl(descriptor.0, &raw mut present, &raw mut list, &raw mut defaulted)
    })?;
    set(token, TokenDefaultDacl, &TOKEN_DEFAULT_DACL { DefaultDacl: list }, 0)
}

fn set_integrity(token: &OwnedHandle, integrity: Integrity) -> io::Result<()> {
    let sid = sid(&format!("S-1-16-{}", integrity.level()))?;
    let label = SID_AND_ATTRIBUTES { Sid: sid.0, Attributes: SE_GROUP_INTEGRITY as u32 };
    // SAFETY: the SID is valid.
    let length = unsafe { GetLengthSid(sid.0) };
    set(token, TokenIntegrityLevel, &TOKEN_MANDATORY_LABEL { Label: label }, length)
}

/// `more`: bytes behind pointers of `value`, where the system counts them.
fn set<T>(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS, value: &T, more: u32) -> io::Result<()> {
    let size = size_of::<T>() as u32 + more;
    // SAFETY: the token is open for TOKEN_ADJUST_DEFAULT; `value` is of the type that the class asks for, and what it
    // points to lives in our caller.
    check(unsafe { SetTokenInformation(token.as_raw_handle(), class, ptr::from_ref(value).cast(), size) })
}

fn read(token: &OwnedHandle) -> io::Result<Held> {
    let user = information(token, TokenUser)?;
    // SAFETY: the answer begins with this structure, and its SID lies behind.
    let user = unsafe { sid_text((*user.as_ptr().cast::<TOKEN_USER>()).User.Sid)? };
    let label = information(token, TokenIntegrityLevel)?;
    // SAFETY: as above.
    let label = unsafe { sid_text((*label.as_ptr().cast::<TOKEN_MANDATORY_LABEL>()).Label.Sid)? };
    let level = label.rsplit('-').next().and_then(|number| number.parse().ok());
    // Wine has none and says so with an error: what cannot be read is not there.
    let restricting =
        information(token, TokenRestrictedSids).and_then(|answer| groups(&answer)).unwrap_or_default();
    Ok(Held {
        user,
        privileges: privileges(&information(token, TokenPrivileges)?)?,
        groups: groups(&information(token, TokenGroups)?)?,
        restricting: restricting.into_iter().map(|group| group.sid).collect(),
        integrity: level.ok_or_else(|| io::Error::other(format!("{label} is no integrity level")))?,
    })
}

/// The answer, in memory that is aligned for every structure.
fn information(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    let mut needed = 0;
    // SAFETY: the token is open for TOKEN_QUERY; no buffer is given, only its size is asked for.
    unsafe { GetTokenInformation(token.as_raw_handle(), class, ptr::null_mut(), 0, &raw mut needed) };
    // Room also for a structure that is larger than what the system says it needs.
    let mut answer = vec![0_u64; needed as usize / 8 + 8];
    let size = (answer.len() * 8) as u32;
    // SAFETY: pointer and size describe `answer`.
    check(unsafe {
        GetTokenInformation(token.as_raw_handle(), class, answer.as_mut_ptr().cast(), size, &raw mut needed)
    })?;
    Ok(answer)
}

fn groups(answer: &[u64]) -> io::Result<Vec<Group>> {
    let list = answer.as_ptr().cast::<TOKEN_GROUPS>();
    let has = |attributes: u32, which: i32| attributes & which as u32 == which as u32;
    // SAFETY: the answer begins with the number of groups; so many follow, and their SIDs behind them.
    let list = unsafe {
        let first = (&raw const (*list).Groups).cast::<SID_AND_ATTRIBUTES>();
        std::slice::from_raw_parts(first, (*list).GroupCount as usize)
    };
    let group = |entry: &SID_AND_ATTRIBUTES| {
        Ok(Group {
            // SAFETY: as above.
            sid: unsafe { sid_text(entry.Sid)? },
            is_deny_only: has(entry.Attributes, SE_GROUP_USE_FOR_DENY_ONLY),
            is_logon: has(entry.Attributes, SE_GROUP_LOGON_ID),
        })
    };
    list.iter().map(group).collect()
}

fn privileges(answer: &[u64]) -> io::Result<Vec<String>> {
    let list = answer.as_ptr().cast::<TOKEN_PRIVILEGES>();
    // SAFETY: the answer begins with the number of privileges, and so many follow.
    let list = unsafe {
        let first = (&raw const (*list).Privileges).cast::<LUID_AND_ATTRIBUTES>();
        std::slice::from_raw_parts(first, (*list).PrivilegeCount as usize)
    };
    list.iter().map(|entry| privilege_name(&entry.Luid)).collect()
}

fn privilege_name(luid: &LUID) -> io::Result<String> {
    let (mut name, mut length) = ([0_u16; 128], 128);
    // SAFETY: pointer and length describe `name`, which ends with a NUL afterwards.
    unsafe {
        check(LookupPrivilegeNameW(ptr::null(), luid, name.as_mut_ptr(), &raw mut length))?;
        Ok(text_at(name.as_ptr()))
    }
}

fn luid(name: &str) -> io::Result<LUID_AND_ATTRIBUTES> {
    let (name, mut luid) = (wide(name), LUID::default());
    // SAFETY: the name ends with a NUL; `luid` is writable.
    check(unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &raw mut luid) })?;
    Ok(LUID_AND_ATTRIBUTES { Luid: luid, Attributes: 0 })
}

fn sids(texts: &[String]) -> io::Result<Vec<Local>> {
    texts.iter().map(|text| sid(text)).collect()
}

fn sid(text: &str) -> io::Result<Local> {
    let (text, mut sid) = (wide(text), ptr::null_mut::<c_void>());
    // SAFETY: the text ends with a NUL; `sid` is writable.
    check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut sid) })?;
    Ok(Local(sid))
}

/// The list must not outlive `sids`.
fn attributed(sids: &[Local]) -> Vec<SID_AND_ATTRIBUTES> {
    sids.iter().map(|sid| SID_AND_ATTRIBUTES { Sid: sid.0, Attributes: 0 }).collect()
}
