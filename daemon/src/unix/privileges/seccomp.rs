//! The seccomp filter (seccomp(2)): a classic BPF program made of a list of system calls.
#![expect(unsafe_code, reason = "asking for seccomp has no safe interface")]

use std::io;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter,
};

use crate::privileges::Seccomp;

/// `AUDIT_ARCH_*` of linux/audit.h: the machine's ELF number, 64-bit, little-endian.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// libc has it for x86-64 alone; the other number is asm-generic/unistd.h's.
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// Offsets in `struct seccomp_data`; an argument's low half comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE_FIELD: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
/// Numbers from here on are of the x32 interface, which nothing needs.
const X32: u32 = 0x4000_0000;

/// Administration of the system, and reaching into other processes.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    libc::SYS_acct, libc::SYS_add_key, libc::SYS_adjtimex, libc::SYS_bpf, libc::SYS_chroot, libc::SYS_clock_adjtime,
    libc::SYS_clock_settime, libc::SYS_delete_module, libc::SYS_fanotify_init, libc::SYS_finit_module,
    libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fsopen, libc::SYS_fspick, libc::SYS_init_module,
    libc::SYS_io_uring_setup, libc::SYS_kcmp, KEXEC_FILE_LOAD, libc::SYS_kexec_load, libc::SYS_keyctl,
    libc::SYS_mount, libc::SYS_mount_setattr, libc::SYS_move_mount, libc::SYS_nfsservctl, libc::SYS_open_by_handle_at,
    libc::SYS_open_tree, libc::SYS_perf_event_open, libc::SYS_pidfd_getfd, libc::SYS_pivot_root,
    libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_ptrace, libc::SYS_quotactl, libc::SYS_reboot,
    libc::SYS_request_key, libc::SYS_setdomainname, libc::SYS_sethostname, libc::SYS_setns, libc::SYS_settimeofday,
    libc::SYS_swapoff, libc::SYS_swapon, libc::SYS_syslog, libc::SYS_umount2, libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")] libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")] libc::SYS_iopl,
];

/// `clone` and `unshare` are refused with one of these. A child made with CLONE_PARENT would be the daemon's own.
const REFUSED_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PARENT) as u32
    | 0x80; // CLONE_NEWTIME, of unshare alone: in clone's flags the low byte is the exit signal, never that high

/// The program; `Err` says why this system cannot have it.
pub(super) fn prepare(wanted: Option<Seccomp>) -> Result<Option<Vec<sock_filter>>, String> {
    let Some(Seccomp::Default) = wanted else { return Ok(None) };
    let Some(architecture) = ARCHITECTURE else {
        return Err(format!("seccomp: no list of system calls for {}", std::env::consts::ARCH));
    };
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the pointer is to a readable `u32`, as SECCOMP_GET_ACTION_AVAIL wants; the call changes nothing.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    if result == -1 {
        return Err(format!("seccomp: {}", io::Error::last_os_error()));
    }
    Ok(Some(program(architecture)))
}

fn program(architecture: u32) -> Vec<sock_filter> {
    let refused = return_(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let mut program = vec![
        load(ARCHITECTURE_FIELD),
        jump(BPF_JEQ, architecture, 1, 0),
        return_(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        jump(BPF_JGE, X32, 0, 1),
        refused,
    ];
    for number in REFUSED {
        program.extend([jump(BPF_JEQ, *number as u32, 0, 1), refused]);
    }
    // Its flags are behind a pointer, which a filter cannot follow; C libraries go back to clone.
    let missing = return_(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
    program.extend([jump(BPF_JEQ, libc::SYS_clone3 as u32, 0, 1), missing]);
    program.extend([
        jump(BPF_JEQ, libc::SYS_clone as u32, 1, 0),
        jump(BPF_JEQ, libc::SYS_unshare as u32, 0, 3),
        load(FIRST_ARGUMENT),
        jump(BPF_JSET, REFUSED_FLAGS, 0, 1),
        refused,
        return_(libc::SECCOMP_RET_ALLOW),
    ]);
    program
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

/// Skips `yes` or `no` instructions.
fn jump(test: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt: yes, jf: no, k: value }
}

fn return_(action: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
}
