//! What a workload's access token may hold on Windows: as the configuration says it, as a plan for a token that there is,
//! and as a comparison with the token of the process that runs.

use serde::Deserialize;

/// Windows' privileges ("Privilege Constants").
#[rustfmt::skip]
const PRIVILEGES: [&str; 36] = [
    "SeAssignPrimaryTokenPrivilege", "SeAuditPrivilege", "SeBackupPrivilege", "SeChangeNotifyPrivilege",
    "SeCreateGlobalPrivilege", "SeCreatePagefilePrivilege", "SeCreatePermanentPrivilege",
    "SeCreateSymbolicLinkPrivilege", "SeCreateTokenPrivilege", "SeDebugPrivilege",
    "SeDelegateSessionUserImpersonatePrivilege", "SeEnableDelegationPrivilege", "SeImpersonatePrivilege",
    "SeIncreaseBasePriorityPrivilege", "SeIncreaseQuotaPrivilege", "SeIncreaseWorkingSetPrivilege",
    "SeLoadDriverPrivilege", "SeLockMemoryPrivilege", "SeMachineAccountPrivilege", "SeManageVolumePrivilege",
    "SeProfileSingleProcessPrivilege", "SeRelabelPrivilege", "SeRemoteShutdownPrivilege", "SeRestorePrivilege",
    "SeSecurityPrivilege", "SeShutdownPrivilege", "SeSyncAgentPrivilege", "SeSystemEnvironmentPrivilege",
    "SeSystemProfilePrivilege", "SeSystemtimePrivilege", "SeTakeOwnershipPrivilege", "SeTcbPrivilege",
    "SeTimeZonePrivilege", "SeTrustedCredManAccessPrivilege", "SeUndockPrivilege",
    "SeUnsolicitedInputPrivilege",
];

/// To walk through folders; everybody has it, and little works without.
#[cfg(any(windows, test))]
const ALWAYS_KEPT: &str = "SeChangeNotifyPrivilege";
/// The last numbers of groups that lead to administration, those that User Account Control takes from an administrator:
/// of the machine (`S-1-5-32-…`), then of a domain (`S-1-5-21-…-…`). The first are Administrators, and Domain Admins.
#[cfg(any(windows, test))]
const POWERFUL: [&[u32]; 2] =
    [&[544, 547, 548, 549, 550, 551, 552, 556, 569, 578], &[512, 498, 516, 517, 518, 519, 520, 521]];
/// A local account that is an administrator.
#[cfg(any(windows, test))]
const LOCAL_ADMINISTRATOR: &str = "S-1-5-114";
/// Whom a write-restricted token may write as, besides itself: Everyone, and whoever opens something to all of its kind.
#[cfg(any(windows, test))]
const RESTRICTING: [&str; 2] = ["S-1-1-0", "S-1-5-33"];

/// What a workload's token keeps; by default as little as there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Token {
    /// Privileges to keep, by name; all others but `SeChangeNotifyPrivilege` are removed for good.
    privileges: Vec<String>,
    /// Whether Administrators and the like still open anything; without, they only close.
    administrator: bool,
    /// Whether it may only write what is open to the service itself, to its logon or to everyone.
    restricted: bool,
    /// It may write nothing of a higher level; the daemon's own when `None`.
    pub(crate) integrity: Option<Integrity>,
}

/// Mandatory integrity levels, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Integrity {
    Low,
    Medium,
}

impl Token {
    /// Names the key that is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.privileges.len() > PRIVILEGES.len() {
            return Err(format!("token.privileges has more than {} entries", PRIVILEGES.len()));
        }
        match self.privileges.iter().find(|name| !PRIVILEGES.contains(&name.as_str())) {
            Some(name) => Err(format!("privilege {name:?} is unknown; write it as in \"SeBackupPrivilege\"")),
            None => Ok(()),
        }
    }
}

#[cfg(windows)]
pub(crate) use held::Plan;
#[cfg(any(windows, test))]
pub(crate) use held::{Group, Held};

#[cfg(any(windows, test))]
mod held {
    use super::{ALWAYS_KEPT, Integrity, LOCAL_ADMINISTRATOR, POWERFUL, RESTRICTING, Token};

    /// What a token holds. SIDs are texts such as `S-1-5-18`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Held {
        pub(crate) user: String,
        /// By name, whether enabled or not: a process may enable what it has.
        pub(crate) privileges: Vec<String>,
        pub(crate) groups: Vec<Group>,
        /// Without any the token is not restricted.
        pub(crate) restricting: Vec<String>,
        /// The number of its integrity level ([MS-DTYP] 2.4.4.11: 4096 is low, 8192 medium, 12288 high).
        pub(crate) integrity: u32,
    }

    /// A group of a token.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Group {
        pub(crate) sid: String,
        /// Whether it only counts where it is denied something.
        pub(crate) is_deny_only: bool,
        /// Whether it stands for this one logon.
        pub(crate) is_logon: bool,
    }

    /// What is to be taken from a token.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Plan {
        /// Privileges to remove.
        pub(crate) remove: Vec<String>,
        /// Groups to make deny-only.
        pub(crate) deny: Vec<String>,
        /// SIDs of which one must allow each write; none: as before.
        pub(crate) restrict: Vec<String>,
    }

    impl Plan {
        /// Of the SIDs that allow writes, those that nobody else has.
        pub(crate) fn own(&self) -> impl Iterator<Item = &str> {
            self.restrict.iter().map(String::as_str).filter(|sid| !RESTRICTING.contains(sid))
        }
    }

    impl Integrity {
        /// Its number.
        pub(crate) fn level(self) -> u32 {
            match self {
                Self::Low => 0x1000,
                Self::Medium => 0x2000,
            }
        }
    }

    impl Token {
        fn keeps(&self, privilege: &str) -> bool {
            privilege == ALWAYS_KEPT || self.privileges.iter().any(|name| name == privilege)
        }
    }

    impl Held {
        /// What to take from this token.
        pub(crate) fn plan(&self, asked: &Token) -> Plan {
            let remove = self.privileges.iter().filter(|name| !asked.keeps(name)).cloned().collect();
            let deny = if asked.administrator { Vec::new() } else { self.powerful() };
            let logon = self.groups.iter().filter(|group| group.is_logon).map(|group| group.sid.as_str());
            let own = logon.chain(self.service()).chain(RESTRICTING);
            let restrict = if asked.restricted { own.map(str::to_owned).collect() } else { Vec::new() };
            Plan { remove, deny, restrict }
        }

        /// The SID of the service that the process is of; a virtual account is that itself.
        pub(crate) fn service(&self) -> Option<&str> {
            // S-1-5-80-0 is every service at once.
            let is_one = |sid: &&str| sid.starts_with("S-1-5-80-") && *sid != "S-1-5-80-0";
            self.groups.iter().map(|group| group.sid.as_str()).chain([self.user.as_str()]).find(is_one)
        }

        /// What of `asked` and of the plan for it this token does not show.
        pub(crate) fn lacks(&self, asked: &Token, plan: &Plan) -> Vec<String> {
            let mut lacks = Vec::new();
            let mut note = |what: &str, which: Vec<String>| {
                if !which.is_empty() {
                    lacks.push(format!("{what} {}", which.join(", ")));
                }
            };
            let left = self.privileges.iter().filter(|name| !asked.keeps(name)).cloned().collect();
            note("token.privileges: still there are", left);
            let absent = asked.privileges.iter().filter(|name| !self.privileges.contains(name));
            note("token.privileges: the daemon itself does not have", absent.cloned().collect());
            note(
                "token.administrator: still open to",
                if asked.administrator { Vec::new() } else { self.powerful() },
            );
            let missing = plan.restrict.iter().filter(|sid| !self.restricting.contains(sid));
            note("token.restricted: without", missing.cloned().collect());
            if asked.integrity.is_some_and(|asked| self.integrity > asked.level()) {
                note("token.integrity: still", vec![self.integrity_name()]);
            }
            lacks
        }

        /// The name of its integrity level.
        pub(crate) fn integrity_name(&self) -> String {
            match self.integrity {
                0 => "untrusted".to_owned(),
                0x1000 => "low".to_owned(),
                0x2000 => "medium".to_owned(),
                0x3000 => "high".to_owned(),
                0x4000 => "system".to_owned(),
                other => other.to_string(),
            }
        }

        /// Its groups that only close.
        pub(crate) fn deny_only(&self) -> Vec<String> {
            self.groups.iter().filter(|group| group.is_deny_only).map(|group| group.sid.clone()).collect()
        }

        /// Its powerful groups that open something.
        fn powerful(&self) -> Vec<String> {
            let open = self.groups.iter().filter(|group| !group.is_deny_only && is_powerful(&group.sid));
            open.map(|group| group.sid.clone()).collect()
        }
    }

    fn is_powerful(sid: &str) -> bool {
        let Some((authority, number)) = sid.rsplit_once('-') else { return false };
        let [of_machine, of_domain] = POWERFUL;
        let is_of = |numbers: &[u32]| number.parse().is_ok_and(|number: u32| numbers.contains(&number));
        sid == LOCAL_ADMINISTRATOR
            || authority == "S-1-5-32" && is_of(of_machine)
            || authority.starts_with("S-1-5-21-") && is_of(of_domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "S-1-5-80-1-2-3-4-5";

    fn token(text: &str) -> Token {
        let token: Token = toml::from_str(text).expect("valid");
        token.check().expect("valid");
        token
    }

    fn group(sid: &str) -> Group {
        Group { sid: sid.to_owned(), is_deny_only: false, is_logon: sid.starts_with("S-1-5-5-") }
    }

    fn administrator() -> Held {
        let privileges = ["SeDebugPrivilege", "SeChangeNotifyPrivilege", "SeBackupPrivilege"];
        let groups = ["S-1-1-0", "S-1-5-21-1-2-3-512", "S-1-5-21-1-2-3-513", "S-1-5-32-544", "S-1-5-32-545"];
        Held {
            user: "S-1-5-21-1-2-3-1001".to_owned(),
            privileges: privileges.map(str::to_owned).to_vec(),
            groups: groups
                .into_iter()
                .chain(["S-1-5-114", "S-1-5-5-0-77", "S-1-5-80-0", SERVICE])
                .map(group)
                .collect(),
            restricting: Vec::new(),
            integrity: 0x3000,
        }
    }

    #[test]
    fn by_default_nothing_is_kept() {
        let plan = administrator().plan(&token(""));
        assert_eq!(plan.remove, ["SeDebugPrivilege", "SeBackupPrivilege"]);
        assert_eq!(plan.deny, ["S-1-5-21-1-2-3-512", "S-1-5-32-544", "S-1-5-114"]);
        assert_eq!(plan.restrict, [""; 0]);
    }

    #[test]
    fn what_is_asked_is_kept() {
        let asked = token("privileges = [\"SeBackupPrivilege\"]\nadministrator = true\nrestricted = true");
        let plan = administrator().plan(&asked);
        assert_eq!(plan.remove, ["SeDebugPrivilege"]);
        assert_eq!(plan.deny, [""; 0]);
        assert_eq!(plan.restrict, ["S-1-5-5-0-77", SERVICE, "S-1-1-0", "S-1-5-33"]);
        assert_eq!(plan.own().collect::<Vec<_>>(), ["S-1-5-5-0-77", SERVICE]);
        // A virtual account's own SID is that of its service.
        let service =
            Held { user: SERVICE.to_owned(), groups: vec![group("S-1-5-5-0-9")], ..administrator() };
        assert_eq!(service.service(), Some(SERVICE));
        assert_eq!(Held { groups: vec![group("S-1-5-80-0")], ..administrator() }.service(), None);
        assert_eq!(service.plan(&asked).restrict, ["S-1-5-5-0-9", SERVICE, "S-1-1-0", "S-1-5-33"]);
    }

    /// A system that takes every call and does nothing.
    #[test]
    fn what_did_not_take_effect_is_named() {
        let asked = token("privileges = [\"SeTcbPrivilege\"]\nrestricted = true\nintegrity = \"medium\"");
        let held = administrator();
        let lacks = held.lacks(&asked, &held.plan(&asked));
        assert_eq!(
            lacks,
            [
                "token.privileges: still there are SeDebugPrivilege, SeBackupPrivilege",
                "token.privileges: the daemon itself does not have SeTcbPrivilege",
                "token.administrator: still open to S-1-5-21-1-2-3-512, S-1-5-32-544, S-1-5-114",
                "token.restricted: without S-1-5-5-0-77, S-1-5-80-1-2-3-4-5, S-1-1-0, S-1-5-33",
                "token.integrity: still high",
            ]
        );
        // One that does it all, and a level that was lower already.
        let mut done = administrator();
        done.privileges = vec!["SeChangeNotifyPrivilege".to_owned(), "SeTcbPrivilege".to_owned()];
        done.groups.iter_mut().for_each(|group| group.is_deny_only = true);
        done.restricting = held.plan(&asked).restrict;
        done.integrity = 0x1000;
        assert_eq!(done.lacks(&asked, &held.plan(&asked)), [""; 0]);
        assert_eq!(done.integrity_name(), "low");
        assert_eq!(done.deny_only().len(), done.groups.len());
    }

    #[test]
    fn each_mistake_is_named() {
        let many = format!("privileges = [{}]", "\"SeTcbPrivilege\",".repeat(37));
        for (text, expected) in [
            ("privileges = [\"SeBackup\"]", "privilege \"SeBackup\" is unknown"),
            ("privileges = [\"SeBackupPrivilege\\u0000\"]", "is unknown"),
            ("integrity = \"high\"", "unknown variant `high`"),
            ("admin = true", "unknown field `admin`"),
            (&many, "token.privileges has more than 36 entries"),
        ] {
            let read = toml::from_str::<Token>(text).map_err(|error| error.message().to_owned());
            let message = read.and_then(|token| token.check()).expect_err(text);
            assert!(message.contains(expected), "{message:?} for {text:?}");
        }
    }
}
