//! A landlock ruleset (landlock(7)): which files a process can reach, whoever it is. Made before the fork; the new process
//! only enters it.
#![expect(unsafe_code, reason = "landlock's three system calls have no safe interface here")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

use crate::privileges::Landlock;

/// `LANDLOCK_ACCESS_FS_*` of linux/landlock.h.
const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// The highest right that each version of the interface knows, from 1; later ones add none for files.
const HIGHEST: [u32; 5] = [12, 13, 14, 14, 15];
/// The rights that can be given on a file that is no folder.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;

const VERSION: u32 = 1; // LANDLOCK_CREATE_RULESET_VERSION
const PATH_BENEATH: u32 = 1; // LANDLOCK_RULE_PATH_BENEATH

/// The ruleset. The inner `Err` says why this system cannot have it; the outer is a mistake in the paths.
pub(super) fn prepare(
    wanted: Option<&Landlock>,
    command: &Path,
) -> io::Result<Result<Option<OwnedFd>, String>> {
    let Some(wanted) = wanted else { return Ok(Ok(None)) };
    let version = match version() {
        Ok(version) => version,
        Err(error) => return Ok(Err(format!("landlock: {error}"))),
    };
    let highest = HIGHEST[version.clamp(1, HIGHEST.len()) - 1];
    let all = (1_u64 << (highest + 1)) - 1;
    let ruleset = create(all)?;
    for path in &wanted.read {
        allow(&ruleset, path, READ)?;
    }
    for path in &wanted.write {
        allow(&ruleset, path, all)?;
    }
    // What is started must be reachable; what it needs itself (its loader and libraries) is for the list to say.
    if command.is_absolute() && command.is_file() {
        allow(&ruleset, command, EXECUTE | READ_FILE)?;
    }
    Ok(Ok(Some(ruleset)))
}

fn version() -> io::Result<usize> {
    // SAFETY: with this flag there is no attribute to read (landlock_create_ruleset(2)).
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u64>(), 0_usize, VERSION) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn create(handled: u64) -> io::Result<OwnedFd> {
    // SAFETY: the attribute's first field, of 8 bytes, is all that the size announces.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of::<u64>(), 0_u32)
    };
    match i32::try_from(result) {
        // SAFETY: the descriptor was just opened for us, and nobody else closes it. It is close-on-exec.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn allow(ruleset: &OwnedFd, path: &Path, rights: u64) -> io::Result<()> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("landlock: cannot allow {}: {error}", path.display()))
    };
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).map_err(explain)?;
    let is_folder = file.metadata().map_err(explain)?.is_dir();
    let rights = if is_folder { rights } else { rights & OF_FILES };
    // `struct landlock_path_beneath_attr` is packed: 8 bytes of rights, 4 of the descriptor.
    let mut attribute = [0; 12];
    attribute[..8].copy_from_slice(&rights.to_ne_bytes());
    attribute[8..].copy_from_slice(&file.as_raw_fd().to_ne_bytes());
    // SAFETY: the attribute is laid out as the kind of rule says; both descriptors are open.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            PATH_BENEATH,
            attribute.as_ptr(),
            0_u32,
        )
    };
    if result == -1 { Err(explain(io::Error::last_os_error())) } else { Ok(()) }
}
