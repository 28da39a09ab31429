//! The registry key that tells the Event Log where the texts of our events are ("Event Sources" in the Windows
//! documentation).
#![expect(unsafe_code, reason = "the registry has no safe interface")]

use std::io;
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::ERROR_FILE_NOT_FOUND;
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_WRITE, REG_DWORD, REG_EXPAND_SZ, REG_OPTION_NON_VOLATILE,
    REG_ROUTINE_FLAGS, RRF_NOEXPAND, RRF_RT_REG_EXPAND_SZ, RegCloseKey, RegCreateKeyExW, RegDeleteTreeW,
    RegGetValueW, RegSetValueExW,
};

use super::wide::{check_number, wide};

/// EVENTLOG_ERROR_TYPE, EVENTLOG_WARNING_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_AUDIT_SUCCESS, EVENTLOG_AUDIT_FAILURE.
const TYPES: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x10;

/// The key below HKEY_LOCAL_MACHINE.
pub(crate) fn key(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{name}")
}

/// Names `program` as the file with the texts of `name`'s events.
pub(crate) fn register(name: &str, program: &Path) -> io::Result<()> {
    let file = program.to_str().ok_or_else(|| io::Error::other("the program's path is not Unicode"))?;
    let key = Key::create(&key(name))?;
    let bytes: Vec<u8> = wide(file).iter().flat_map(|unit| unit.to_le_bytes()).collect();
    // The type that the Event Log's documentation asks for; install refuses a path with '%' in it.
    key.set("EventMessageFile", REG_EXPAND_SZ, &bytes)?;
    key.set("TypesSupported", REG_DWORD, &TYPES.to_le_bytes())
}

/// Removes the key; one that is not there is no failure.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let key = wide(&key(name));
    // SAFETY: the root is always open; the name ends with a NUL.
    match unsafe { RegDeleteTreeW(HKEY_LOCAL_MACHINE, key.as_ptr()) } {
        ERROR_FILE_NOT_FOUND => Ok(()),
        number => check_number(number),
    }
}

/// Whether the key names `program`.
pub(crate) fn is_registered(name: &str, program: &Path) -> bool {
    let (key, value) = (wide(&key(name)), wide("EventMessageFile"));
    let mut file = [0_u16; 1024];
    let mut size = size_of_val(&file) as u32;
    let flags: REG_ROUTINE_FLAGS = RRF_RT_REG_EXPAND_SZ | RRF_NOEXPAND;
    // SAFETY: the root is always open; the names end with a NUL; pointer and size describe `file`.
    let number = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            value.as_ptr(),
            flags,
            ptr::null_mut(),
            file.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    let length = file.iter().position(|unit| *unit == 0).unwrap_or(file.len());
    number == 0 && Some(String::from_utf16_lossy(&file[..length]).as_str()) == program.to_str()
}

struct Key(HKEY);

impl Key {
    fn create(name: &str) -> io::Result<Self> {
        let name = wide(name);
        let mut key = ptr::null_mut();
        // SAFETY: the root is always open; the name ends with a NUL; null asks for no class and the usual access list.
        check_number(unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                name.as_ptr(),
                0,
                ptr::null(),
                REG_OPTION_NON_VOLATILE,
                KEY_WRITE,
                ptr::null(),
                &raw mut key,
                ptr::null_mut(),
            )
        })?;
        Ok(Self(key))
    }

    fn set(&self, name: &str, kind: u32, bytes: &[u8]) -> io::Result<()> {
        let name = wide(name);
        // SAFETY: the key is open; the name ends with a NUL; pointer and size describe `bytes`.
        check_number(unsafe {
            RegSetValueExW(self.0, name.as_ptr(), 0, kind, bytes.as_ptr(), bytes.len() as u32)
        })
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is open, and nobody else closes it.
        unsafe { RegCloseKey(self.0) };
    }
}
