//! What a service is installed with.

use std::time::Duration;

use crate::start_when::StartWhen;

/// `dwStartType` ([MS-SCMR] 2.2.15). Drivers have two more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum StartType {
    Automatic = 2,
    Demand = 3,
    Disabled = 4,
}

impl StartType {
    /// `None` for a number that no service of our kind has.
    pub(crate) fn from_raw(number: u32) -> Option<Self> {
        [Self::Automatic, Self::Demand, Self::Disabled]
            .into_iter()
            .find(|start_type| *start_type as u32 == number)
    }
}

/// `dwServiceSidType` ([MS-SCMR] 2.2.41).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum SidType {
    /// The process has no SID of its service.
    None = 0,
    /// The process has it, so that folders can be opened to this one service.
    Unrestricted = 1,
    /// And it may write nowhere else; so may its workloads.
    Restricted = 3,
}

impl SidType {
    /// `None` for a number that is none of the three.
    pub(crate) fn from_raw(number: u32) -> Option<Self> {
        [Self::None, Self::Unrestricted, Self::Restricted]
            .into_iter()
            .find(|sid_type| *sid_type as u32 == number)
    }
}

/// `SC_ACTION_TYPE` ([MS-SCMR] 2.2.25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum RecoveryAction {
    Nothing = 0,
    Restart = 1,
    Reboot = 2,
    Command = 3,
}

impl RecoveryAction {
    /// `None` for a number that is none of the four.
    pub(crate) fn from_raw(number: u32) -> Option<Self> {
        [Self::Nothing, Self::Restart, Self::Reboot, Self::Command]
            .into_iter()
            .find(|action| *action as u32 == number)
    }
}

/// The first failure, the second, and every later one; each with the time before it is done.
pub(crate) const DEFAULT_RECOVERY: [(RecoveryAction, Duration); 3] = [
    (RecoveryAction::Restart, Duration::from_secs(1)),
    (RecoveryAction::Restart, Duration::from_secs(10)),
    (RecoveryAction::Restart, Duration::from_secs(60)),
];
/// After this long without a failure the next one is the first again.
const RECOVERY_RESET: Duration = Duration::from_secs(15 * 60);
/// How long the system waits for the service before it shuts down; its default is 10 s since Windows 10.
const PRESHUTDOWN: Duration = Duration::from_secs(60);
/// All that a supervisor uses: to walk through folders. Every other privilege is taken from the process at its start.
const PRIVILEGES: [&str; 1] = ["SeChangeNotifyPrivilege"];

/// One of the settings that are changed one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Description(String),
    /// What the system does when the service fails.
    Recovery {
        reset: Duration,
        actions: Vec<(RecoveryAction, Duration)>,
    },
    /// Only for one that starts with the system.
    DelayedStart(bool),
    /// Whether stopping with an exit code other than 0 is a failure too, as dying is.
    RecoverFromExitCodes(bool),
    SidType(SidType),
    RequiredPrivileges(Vec<String>),
    PreshutdownTimeout(Duration),
}

impl Setting {
    /// `dwInfoLevel` of `ChangeServiceConfig2W` ([MS-SCMR] 3.1.4.28).
    pub(crate) fn level(&self) -> u32 {
        match self {
            Self::Description(_) => 1,
            Self::Recovery { .. } => 2,
            Self::DelayedStart(_) => 3,
            Self::RecoverFromExitCodes(_) => 4,
            Self::SidType(_) => 5,
            Self::RequiredPrivileges(_) => 6,
            Self::PreshutdownTimeout(_) => 7,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Description(_) => "description",
            Self::Recovery { .. } => "recovery actions",
            Self::DelayedStart(_) => "delayed start",
            Self::RecoverFromExitCodes(_) => "recovery after exit codes",
            Self::SidType(_) => "service SID type",
            Self::RequiredPrivileges(_) => "required privileges",
            Self::PreshutdownTimeout(_) => "preshutdown timeout",
        }
    }
}

/// A service to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) settings: Vec<Setting>,
}

/// What `QueryServiceConfigW` reads; the service is always one process of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) display_name: String,
    /// Program and arguments, see [`super::command_line()`].
    pub(crate) command_line: String,
    pub(crate) start_type: StartType,
    /// Whom it runs as. `NT SERVICE\<name>` is an account that the system makes for this service alone.
    pub(crate) account: String,
    /// Names of services that must run before it.
    pub(crate) dependencies: Vec<String>,
}

impl Definition {
    /// With our defaults: a virtual account, no dependency, and the settings of a service that comes back.
    pub(crate) fn new(
        name: &str,
        display_name: &str,
        description: &str,
        command_line: String,
        start: StartWhen,
    ) -> Self {
        let mut settings = vec![
            Setting::Description(description.to_owned()),
            Setting::Recovery { reset: RECOVERY_RESET, actions: DEFAULT_RECOVERY.to_vec() },
            Setting::RecoverFromExitCodes(true),
            Setting::SidType(SidType::Unrestricted),
            Setting::RequiredPrivileges(PRIVILEGES.map(str::to_owned).to_vec()),
            Setting::PreshutdownTimeout(PRESHUTDOWN),
        ];
        // The system takes it only for one that starts automatically.
        if start == StartWhen::Delayed {
            settings.push(Setting::DelayedStart(true));
        }
        let config = Config {
            display_name: display_name.to_owned(),
            command_line,
            start_type: if start == StartWhen::Demand { StartType::Demand } else { StartType::Automatic },
            account: format!(r"NT SERVICE\{name}"),
            dependencies: Vec::new(),
        };
        Self { name: name.to_owned(), config, settings }
    }
}
