//! What the new process does to itself between fork and exec: system calls alone, in the one order in which each still has
//! the privilege that it needs.
#![expect(
    unsafe_code,
    reason = "the calls between fork and exec are the raw ones: nothing may allocate or lock"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use libc::{c_int, c_long, c_ulong, sock_filter, sock_fprog};

use super::Identity;
use super::own::{CAP_SETGID, CAP_SETPCAP, CAP_SETUID, Own};
use super::report::{Report, Step};
use crate::os::inheritance;
use crate::privileges::{Namespace, Privileges, WhenUnsupported, names_of};

/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// A finished list of what to do; `None`, zero and empty mean that nothing is to be done.
pub(in crate::os) struct Plan {
    daemon: i32,
    limits: Vec<(c_int, u64)>,
    umask: Option<u32>,
    namespaces: c_int,
    may_miss_namespaces: bool,
    groups: Option<Vec<u32>>,
    group: Option<u32>,
    user: Option<u32>,
    leave_bounding_set: Vec<u32>,
    keeps_bounding_set: bool,
    kept: u64,
    set_capabilities: bool,
    no_new_privileges: bool,
    ruleset: Option<OwnedFd>,
    filter: Option<Vec<sock_filter>>,
    report: Arc<Report>,
}

impl Plan {
    /// Leaves out what is already so: a service manager's own system call filter may refuse even that.
    pub(super) fn new(
        privileges: &Privileges,
        identity: &Identity,
        filter: Option<Vec<sock_filter>>,
        ruleset: Option<OwnedFd>,
        report: Arc<Report>,
    ) -> io::Result<Self> {
        let own = Own::read()?;
        let kept = privileges.kept_capabilities();
        if kept & !own.permitted != 0 {
            let names = names_of(kept & !own.permitted).join(", ");
            return Err(io::Error::other(format!("capabilities: the daemon itself does not have {names}")));
        }
        let surplus = own.bounding & !kept;
        let may_leave = own.effective & CAP_SETPCAP != 0;
        if surplus != 0 && !may_leave && !privileges.no_new_privileges {
            let why = "capabilities: the daemon may not shrink the bounding set (CAP_SETPCAP), and without \
                       no_new_privileges the workload could get them back";
            return Err(io::Error::other(why));
        }
        let limits = privileges.limits;
        let limits = [
            (libc::RLIMIT_NOFILE as c_int, limits.open_files),
            (libc::RLIMIT_NPROC as c_int, limits.processes),
            (libc::RLIMIT_CORE as c_int, limits.core_bytes),
            (libc::RLIMIT_AS as c_int, limits.address_space_bytes),
        ];
        let namespaces = privileges.namespaces.iter().map(|namespace| match namespace {
            Namespace::Mount => libc::CLONE_NEWNS,
            Namespace::Uts => libc::CLONE_NEWUTS,
            Namespace::Ipc => libc::CLONE_NEWIPC,
            Namespace::Net => libc::CLONE_NEWNET,
            Namespace::Cgroup => libc::CLONE_NEWCGROUP,
        });
        Ok(Self {
            daemon: rustix::process::getpid().as_raw_pid(),
            limits: limits.into_iter().filter_map(|(limit, value)| Some((limit, value?))).collect(),
            umask: privileges.umask,
            namespaces: namespaces.fold(0, |flags, flag| flags | flag),
            may_miss_namespaces: privileges.when_unsupported == WhenUnsupported::Continue,
            groups: own.groups_to_set(identity),
            group: identity.group.filter(|group| own.group_ids.iter().any(|own| own != group)),
            user: identity.user.filter(|user| own.user_ids.iter().any(|own| own != user)),
            leave_bounding_set: (0..64).filter(|number| may_leave && surplus & (1 << number) != 0).collect(),
            keeps_bounding_set: surplus != 0 && !may_leave,
            kept,
            set_capabilities: (own.permitted | own.inheritable) != kept || own.ambient != kept,
            no_new_privileges: privileges.no_new_privileges,
            ruleset,
            filter,
            report,
        })
    }

    pub(super) fn user(&self) -> Option<u32> {
        self.user
    }

    pub(super) fn group(&self) -> Option<u32> {
        self.group
    }

    /// Whether the bounding set stays, which means nothing while no program can gain privileges.
    pub(super) fn may_keep_bounding_set(&self) -> bool {
        self.keeps_bounding_set
    }

    /// To be called in the new process only. On an error the program must not be started.
    pub(super) fn carry_out(&self) -> io::Result<()> {
        shed_inheritance();
        if let Some(umask) = self.umask {
            // SAFETY: takes a number and cannot fail.
            unsafe { libc::umask(umask as libc::mode_t) };
        }
        self.steps().map_err(|(step, error)| {
            self.report.send(step, &error);
            error
        })
    }

    fn steps(&self) -> Result<(), (Step, io::Error)> {
        let at = |step: Step| move |error: io::Error| (step, error);
        for (limit, value) in &self.limits {
            let both = [*value, *value];
            // SAFETY: `both` is laid out as `struct rlimit64`, soft then hard; the old value is not asked for.
            let result = unsafe {
                libc::syscall(libc::SYS_prlimit64, 0, *limit, both.as_ptr(), ptr::null_mut::<u64>())
            };
            check(result).map_err(at(Step::Limits))?;
        }
        if self.namespaces != 0
            && let Err(error) = enter_namespaces(self.namespaces)
        {
            if !self.may_miss_namespaces {
                return Err((Step::Namespaces, error));
            }
            self.report.send(Step::Namespaces, &error);
        }
        self.become_identity()?;
        // Changing user clears it, so it comes after.
        die_with_parent(self.daemon).map_err(at(Step::DeathSignal))?;
        if self.no_new_privileges {
            prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(at(Step::NoNewPrivileges))?;
        }
        if let Some(ruleset) = &self.ruleset {
            // SAFETY: takes a descriptor that is open and flags that must be zero.
            let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
            check(result).map_err(at(Step::Landlock))?;
        }
        if let Some(filter) = &self.filter {
            // Last: it refuses some of the calls above.
            let program = sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
            let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
            // The kernel copies the program; `filter` outlives the call.
            prctl(libc::PR_SET_SECCOMP, mode, &raw const program as c_ulong).map_err(at(Step::Seccomp))?;
        }
        Ok(())
    }

    fn become_identity(&self) -> Result<(), (Step, io::Error)> {
        let at = |step: Step| move |error: io::Error| (step, error);
        if let Some(groups) = &self.groups {
            set_groups(groups).map_err(at(Step::Groups))?;
        }
        if let Some(group) = self.group {
            set_group(group).map_err(at(Step::Group))?;
        }
        for number in &self.leave_bounding_set {
            prctl(libc::PR_CAPBSET_DROP, c_ulong::from(*number), 0).map_err(at(Step::BoundingSet))?;
        }
        if let Some(user) = self.user {
            if self.kept != 0 {
                prctl(libc::PR_SET_KEEPCAPS, 1, 0).map_err(at(Step::User))?;
            }
            set_user(user).map_err(at(Step::User))?;
        }
        if self.set_capabilities || self.user.is_some() {
            set_capabilities(self.kept).map_err(at(Step::Capabilities))?;
        }
        let possible = || io::Error::from_raw_os_error(libc::EPERM);
        if self.user.is_some_and(|user| user != 0) && self.kept & CAP_SETUID == 0 && set_user(0).is_ok() {
            return Err((Step::UserBack, possible()));
        }
        if self.group.is_some_and(|group| group != 0) && self.kept & CAP_SETGID == 0 && set_group(0).is_ok() {
            return Err((Step::GroupBack, possible()));
        }
        for number in (0..64).filter(|number| self.kept & (1 << number) != 0) {
            let raise = libc::PR_CAP_AMBIENT_RAISE as c_ulong;
            prctl(libc::PR_CAP_AMBIENT, raise, number).map_err(at(Step::Ambient))?;
        }
        Ok(())
    }
}

fn shed_inheritance() {
    inheritance::default_dispositions(None);
    // Whatever the daemon was started with, or holds by mistake, ends at the program's start. Linux before 5.11 does not
    // know the call; there, descriptors that the daemon itself opened still end.
    // SAFETY: takes numbers only, and closes nothing yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

fn enter_namespaces(flags: c_int) -> io::Result<()> {
    // SAFETY: takes a number; this process has one thread.
    check(unsafe { libc::unshare(flags) }.into())?;
    if flags & libc::CLONE_NEWNS == 0 {
        return Ok(());
    }
    let (none, flags) = (ptr::null(), libc::MS_REC | libc::MS_SLAVE);
    // What the workload mounts stays in its namespace.
    // SAFETY: the target is a C string; the others are not read for a change of propagation (mount(2)).
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, flags, ptr::null()) }.into())
}

/// Also ends the process if its daemon has ended already.
fn die_with_parent(daemon: i32) -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0)?;
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::getppid() } == daemon { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// The raw calls below change this thread only; after a fork there is no other.
pub(in crate::os) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer is readable for the length given.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

pub(in crate::os) fn set_group(id: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, id, id, id) })
}

pub(in crate::os) fn set_user(id: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, id, id, id) })
}

fn set_capabilities(kept: u64) -> io::Result<()> {
    let header = [CAPABILITY_VERSION, 0];
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    let sets = [low, low, low, high, high, high];
    // SAFETY: both are laid out as capset(2) says: version and pid; then effective, permitted, inheritable, twice.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })
}

fn prctl(option: c_int, first: c_ulong, second: c_ulong) -> io::Result<()> {
    let zero: c_ulong = 0;
    // SAFETY: each option used here takes numbers, or a pointer that its caller keeps valid.
    check(unsafe { libc::prctl(option, first, second, zero, zero) }.into())
}

fn check(result: c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
