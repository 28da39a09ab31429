//! What is looked up when somebody asks, instead of being counted. What a system does not tell is left out.

use std::time::SystemTime;

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Over 1, 5 and 15 minutes.
    pub(super) load: Option<[f64; 3]>,
    /// When its times by mode began.
    pub(super) booted: Option<SystemTime>,
    /// Seconds by mode.
    pub(super) cpu: Vec<(&'static str, f64)>,
    /// Bytes.
    pub(super) memory_size: Option<f64>,
    /// Bytes.
    pub(super) memory_available: Option<f64>,
    /// Seconds.
    pub(super) uptime: Option<f64>,
}

/// A file system.
#[derive(Debug)]
pub(super) struct Disk {
    /// Bytes.
    pub(super) size: f64,
    /// Bytes that the daemon may still use.
    pub(super) free: f64,
}

/// A process.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Seconds, in and for it.
    pub(super) cpu: Option<f64>,
    /// Bytes.
    pub(super) resident: Option<f64>,
    pub(super) descriptors: Option<f64>,
    pub(super) descriptors_limit: Option<f64>,
    pub(super) threads: Option<f64>,
}

/// What may become too much of a process; what the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes.
    pub(crate) resident: Option<u64>,
    /// On Windows handles.
    pub(crate) descriptors: Option<u64>,
    pub(crate) threads: Option<u64>,
}
