//! What a workload may do: the portable description, read from the configuration. The default keeps nothing.

use std::path::PathBuf;

use serde::Deserialize;

use crate::token::Token;

/// Linux's capabilities in the order of their numbers (capabilities(7)).
#[rustfmt::skip]
const CAPABILITIES: [&str; 41] = [
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
];
/// More entries in one list are a mistake.
const LONGEST_LIST: usize = 64;

/// The privileges of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Privileges {
    /// A name or number; the daemon's own user when `None`.
    pub(crate) user: Option<String>,
    /// A name or number; the user's primary group when `None`.
    pub(crate) group: Option<String>,
    /// Names or numbers. Nothing is added for being a member in `/etc/group`.
    pub(crate) supplementary_groups: Vec<String>,
    /// Capabilities to keep, by name (`net_bind_service`); all others leave every set.
    capabilities: Vec<String>,
    /// Whether set-user-ID and file capabilities lose their meaning.
    pub(crate) no_new_privileges: bool,
    /// The only paths that are reachable, when set.
    pub(crate) landlock: Option<Landlock>,
    /// Which system calls are refused, when set.
    pub(crate) seccomp: Option<Seccomp>,
    /// Namespaces of its own.
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) limits: Limits,
    /// What it keeps of the daemon's access token (Windows).
    pub(crate) token: Option<Token>,
    /// Permission bits that new files never get, such as `0o027`.
    pub(crate) umask: Option<u32>,
    /// What to do where the system lacks something that is asked for here.
    pub(crate) when_unsupported: WhenUnsupported,
}

/// Paths and everything below them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Landlock {
    /// To read and execute.
    pub(crate) read: Vec<PathBuf>,
    /// To read, execute, write, create and delete.
    pub(crate) write: Vec<PathBuf>,
}

/// A list of system calls to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Seccomp {
    /// Those that administer the system or reach into other processes.
    Default,
}

/// A kind of namespace (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Namespace {
    Mount,
    Uts,
    Ipc,
    Net,
    Cgroup,
}

/// Resource limits: soft and hard alike (getrlimit(2)), or of the job object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) open_files: Option<u64>,
    /// On Linux of the user, on Windows of the workload.
    pub(crate) processes: Option<u64>,
    pub(crate) core_bytes: Option<u64>,
    pub(crate) address_space_bytes: Option<u64>,
}

/// What to do where the system lacks something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhenUnsupported {
    /// The workload is not started.
    #[default]
    Refuse,
    /// It is started without, and the log says so.
    Continue,
}

impl Default for Privileges {
    fn default() -> Self {
        Self {
            user: None,
            group: None,
            supplementary_groups: Vec::new(),
            capabilities: Vec::new(),
            no_new_privileges: true,
            landlock: None,
            seccomp: None,
            namespaces: Vec::new(),
            limits: Limits::default(),
            token: None,
            umask: None,
            when_unsupported: WhenUnsupported::Refuse,
        }
    }
}

impl Privileges {
    /// Names the key and the limit that it breaks.
    pub(crate) fn check(&self) -> Result<(), String> {
        let lists = [
            ("supplementary_groups", self.supplementary_groups.len()),
            ("capabilities", self.capabilities.len()),
            ("namespaces", self.namespaces.len()),
            ("landlock.read", self.landlock.as_ref().map_or(0, |landlock| landlock.read.len())),
            ("landlock.write", self.landlock.as_ref().map_or(0, |landlock| landlock.write.len())),
        ];
        if let Some((key, length)) = lists.into_iter().find(|(_, length)| *length > LONGEST_LIST) {
            return Err(format!("{key} has {length} entries, more than {LONGEST_LIST}"));
        }
        let accounts = self.user.iter().chain(&self.group).chain(&self.supplementary_groups);
        for account in accounts {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.$".contains(c);
            if account.is_empty() || account.len() > 32 || !account.chars().all(is_plain) {
                return Err(format!(
                    "{account:?} must be a user's or group's name (1 to 32 letters, digits, '-', '_', '.', '$') or number"
                ));
            }
        }
        if let Some(unknown) = self.capabilities.iter().find(|name| number_of(name).is_none()) {
            return Err(format!("capability {unknown:?} is unknown; write it as in \"net_bind_service\""));
        }
        for path in self.landlock.iter().flat_map(|landlock| landlock.read.iter().chain(&landlock.write)) {
            // A path below `/` is absolute on the system that has landlock, whatever the one that checks.
            if !path.has_root() {
                return Err(format!("landlock path {} must be absolute", path.display()));
            }
        }
        if !self.no_new_privileges && (self.landlock.is_some() || self.seccomp.is_some()) {
            return Err("landlock and seccomp need no_new_privileges = true".to_owned());
        }
        if let Some(token) = &self.token {
            token.check()?;
        }
        match self.umask {
            Some(umask) if umask > 0o777 => Err(format!("umask must be 0o000 to 0o777, not {umask:#o}")),
            _ => Ok(()),
        }
    }

    /// The capabilities to keep, a bit each.
    #[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no capabilities"))]
    pub(crate) fn kept_capabilities(&self) -> u64 {
        self.capabilities.iter().filter_map(|name| number_of(name)).fold(0, |set, number| set | 1 << number)
    }

    /// The keys that ask for something that only Linux has; the defaults do not count.
    #[cfg(any(windows, test))]
    pub(crate) fn of_linux(&self) -> Vec<&'static str> {
        let keys = [
            ("user", self.user.is_some()),
            ("group", self.group.is_some()),
            ("supplementary_groups", !self.supplementary_groups.is_empty()),
            ("capabilities", !self.capabilities.is_empty()),
            ("landlock", self.landlock.is_some()),
            ("seccomp", self.seccomp.is_some()),
            ("namespaces", !self.namespaces.is_empty()),
            ("limits.open_files", self.limits.open_files.is_some()),
            ("limits.core_bytes", self.limits.core_bytes.is_some()),
            ("umask", self.umask.is_some()),
        ];
        keys.into_iter().filter(|(_, asked)| *asked).map(|(key, _)| key).collect()
    }
}

/// The names of the capabilities in `set`.
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "Windows has no capabilities"))]
pub(crate) fn names_of(set: u64) -> Vec<&'static str> {
    (0..).zip(CAPABILITIES).filter(|(number, _)| set & (1_u64 << number) != 0).map(|(_, name)| name).collect()
}

fn number_of(name: &str) -> Option<u32> {
    (0..).zip(CAPABILITIES).find(|(_, known)| *known == name).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Privileges, String> {
        let privileges: Privileges = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        privileges.check().map(|()| privileges)
    }

    #[test]
    fn everything_can_be_said_and_nothing_is_kept_by_default() {
        let privileges = parse(
            "user = \"nobody\"\ngroup = \"65534\"\nsupplementary_groups = [\"adm\"]\n\
             capabilities = [\"net_bind_service\", \"chown\"]\nseccomp = \"default\"\n\
             namespaces = [\"net\", \"mount\"]\numask = 0o027\nwhen_unsupported = \"continue\"\n\
             [landlock]\nread = [\"/usr\"]\nwrite = [\"/tmp\"]\n[limits]\nopen_files = 64\n",
        )
        .expect("valid");
        assert_eq!(privileges.kept_capabilities(), 1 << 10 | 1);
        assert_eq!(names_of(1 << 10 | 1), ["chown", "net_bind_service"]);
        assert_eq!(privileges.umask, Some(0o027));
        assert_eq!(privileges.limits.open_files, Some(64));
        let of_linux = "user group supplementary_groups capabilities landlock seccomp namespaces limits.open_files umask";
        assert_eq!(privileges.of_linux().join(" "), of_linux);
        assert_eq!(
            parse("limits.processes = 3\n[token]\nrestricted = true").expect("valid").of_linux(),
            [""; 0]
        );
        let default = parse("").expect("valid");
        assert_eq!(default.kept_capabilities(), 0);
        assert!(default.no_new_privileges);
        assert_eq!(default.when_unsupported, WhenUnsupported::Refuse);
    }

    #[test]
    fn each_mistake_is_named() {
        let many = format!("supplementary_groups = [{}]", "\"a\",".repeat(65));
        for (text, expected) in [
            ("usr = \"a\"", "unknown field `usr`"),
            ("user = \"\"", "\"\" must be"),
            ("user = \"a:b\"", "\"a:b\" must be"),
            ("group = \"a\\n\"", "must be"),
            ("capabilities = [\"cap_chown\"]", "capability \"cap_chown\" is unknown"),
            ("umask = 0o1000", "umask must be"),
            ("namespaces = [\"pid\"]", "unknown variant `pid`"),
            ("seccomp = \"strict\"", "unknown variant `strict`"),
            ("[landlock]\nread = [\"usr\"]", "landlock path usr must be absolute"),
            ("no_new_privileges = false\nseccomp = \"default\"", "need no_new_privileges"),
            ("[token]\nprivileges = [\"Debug\"]", "privilege \"Debug\" is unknown"),
            ("when_unsupported = \"maybe\"", "unknown variant `maybe`"),
            (&many, "supplementary_groups has 65 entries, more than 64"),
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains(expected), "{message:?} for {text:?}");
        }
    }
}
