//! How a new process tells, before its program runs, which step failed.
#![expect(unsafe_code, reason = "between fork and exec only the raw write may be used")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::pipe::PipeFlags;

/// What a new process does to itself, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Limits,
    Namespaces,
    Groups,
    Group,
    BoundingSet,
    User,
    Capabilities,
    UserBack,
    GroupBack,
    Ambient,
    DeathSignal,
    NoNewPrivileges,
    Landlock,
    Seccomp,
}

impl Step {
    const ALL: [Self; 14] = [
        Self::Limits,
        Self::Namespaces,
        Self::Groups,
        Self::Group,
        Self::BoundingSet,
        Self::User,
        Self::Capabilities,
        Self::UserBack,
        Self::GroupBack,
        Self::Ambient,
        Self::DeathSignal,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Begins with the configuration's key.
    fn text(self) -> &'static str {
        match self {
            Self::Limits => "limits: setting resource limits",
            Self::Namespaces => "namespaces: creating them",
            Self::Groups => "groups: setting supplementary groups",
            Self::Group => "group: changing it",
            Self::BoundingSet => "capabilities: leaving the bounding set",
            Self::User => "user: changing it",
            Self::Capabilities => "capabilities: giving them up",
            Self::UserBack => "user: it could change back",
            Self::GroupBack => "group: it could change back",
            Self::Ambient => "capabilities: keeping them over the start of the program",
            Self::DeathSignal => "the death signal: asking for it",
            Self::NoNewPrivileges => "no_new_privileges: setting it",
            Self::Landlock => "landlock: entering it",
            Self::Seccomp => "seccomp: installing the filter",
        }
    }
}

/// Tells the daemon which step failed, or was gone without: an error number alone would not.
pub(super) struct Report {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Report {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { reader, writer })
    }

    /// In the new process: two bytes, step and error number, of which Linux has fewer than 256.
    pub(super) fn send(&self, step: Step, error: &io::Error) {
        let bytes = [step as u8, error.raw_os_error().unwrap_or_default() as u8];
        // SAFETY: `bytes` is readable for its length; the descriptor is open.
        unsafe { libc::write(self.writer.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    }

    /// In the daemon, once the program runs or could not be started: what was sent, in words.
    pub(super) fn receive(&self) -> Vec<String> {
        let mut bytes = [0; 64];
        let read = self.reader.try_clone().and_then(|reader| File::from(reader).read(&mut bytes));
        let sent = bytes[..read.unwrap_or(0)].chunks_exact(2);
        sent.map(|pair| {
            let step = Step::ALL
                .iter()
                .find(|step| **step as u8 == pair[0])
                .map_or("an unknown step", |step| step.text());
            format!("{step}: {}", io::Error::from_raw_os_error(i32::from(pair[1])))
        })
        .collect()
    }
}
