//! What the daemon itself has, and so can give up.

use std::io;

use super::Identity;
use crate::os::procfs;

/// Numbers from capabilities(7), a bit each.
pub(super) const CAP_SETGID: u64 = 1 << 6;
pub(super) const CAP_SETUID: u64 = 1 << 7;
pub(super) const CAP_SETPCAP: u64 = 1 << 8;

/// What the daemon has, from proc(5).
pub(super) struct Own {
    pub(super) user_ids: Vec<u32>,
    pub(super) group_ids: Vec<u32>,
    pub(super) groups: Vec<u32>,
    pub(super) inheritable: u64,
    pub(super) permitted: u64,
    pub(super) effective: u64,
    pub(super) bounding: u64,
    pub(super) ambient: u64,
}

impl Own {
    pub(super) fn read() -> io::Result<Self> {
        let status = procfs::own_status()?;
        let missing = |name: &str| io::Error::other(format!("/proc/self/status has no readable {name}"));
        let line = |name: &str| procfs::status_line(&status, name).ok_or_else(|| missing(name));
        let ids = |name: &str| {
            let ids = line(name)?.split_whitespace().map(|id| id.parse().map_err(|_| missing(name)));
            ids.collect::<io::Result<Vec<u32>>>()
        };
        let set = |name: &str| u64::from_str_radix(line(name)?, 16).map_err(|_| missing(name));
        Ok(Self {
            user_ids: ids("Uid")?,
            group_ids: ids("Gid")?,
            groups: ids("Groups")?,
            inheritable: set("CapInh")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            ambient: set("CapAmb")?,
        })
    }

    /// A daemon that may not change groups and is not asked to keeps its own.
    pub(super) fn groups_to_set(&self, identity: &Identity) -> Option<Vec<u32>> {
        let asked = identity.user.is_some() || identity.group.is_some() || !identity.groups.is_empty();
        let may = self.effective & CAP_SETGID != 0;
        let mut wanted = identity.groups.clone();
        wanted.sort_unstable();
        ((asked || may) && self.groups != wanted).then_some(wanted)
    }
}
