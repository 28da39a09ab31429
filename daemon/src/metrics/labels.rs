//! The values that labels can have. Each set is closed, so that no client and no workload can add series.

/// A label's values.
pub(super) trait LabelValue: Copy + 'static {
    const ALL: &'static [Self];
    fn name(self) -> &'static str;
    fn index(self) -> usize;
}

macro_rules! label_values {
    ($($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant,)* }

        impl LabelValue for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

label_values! {
    /// How a command to the daemon ended.
    ControlOutcome {
        /// It did what was asked.
        Done = "done",
        /// There was nothing to do.
        Already = "already",
        /// The state or the configuration forbids it.
        Refused = "refused",
        /// The client may not.
        Denied = "denied",
        /// It was begun and did not succeed.
        Failed = "failed",
    }
    /// Why a workload's process ended.
    ExitReason {
        /// Exit code 0.
        Success = "success",
        /// Another exit code.
        Failure = "failure",
        /// A signal that the daemon did not send.
        Signal = "signal",
        /// Asked to stop, and did.
        Stopped = "stopped",
        /// Asked to stop, and did not in time.
        Killed = "killed",
        /// Ended because its liveness probe failed.
        Probe = "probe",
        /// Ended because it used more memory than it may.
        Memory = "memory",
    }
    /// Which probe ran.
    Probe {
        /// Whether the workload still works.
        Liveness = "liveness",
        /// Whether it can take work.
        Readiness = "readiness",
    }
    /// Whether something succeeded.
    Outcome {
        /// It did.
        Success = "success",
        /// It did not.
        Failure = "failure",
    }
    /// How an export of metrics ended.
    ExportOutcome {
        /// The collector took all of it.
        Success = "success",
        /// The collector took it and left some data points out.
        Partial = "partial",
        /// It did not arrive, or was refused.
        Failure = "failure",
    }
    /// How a try to do a task ended.
    AttemptOutcome {
        /// The receiver acknowledged.
        Success = "success",
        /// It will be tried again.
        Retry = "retry",
        /// It will not.
        Failure = "failure",
    }
    /// Why a task was not taken.
    TaskRefusal {
        /// The queue is full.
        Full = "full",
        /// The task is larger than one may be.
        TooLarge = "too-large",
        /// It is not a task.
        Invalid = "invalid",
        /// It could not be brought to the disk.
        Error = "error",
    }
    /// How a task left the queue without being acknowledged.
    TaskEnd {
        /// Given up.
        DeadLetter = "dead-letter",
        /// Its deadline came.
        Expired = "expired",
        /// The policy of a full queue took it.
        Dropped = "dropped",
    }
}

/// The states of the service and of a workload, as `State::name` has them.
pub(super) const STATES: [&str; 9] = [
    "stopped",
    "start-pending",
    "running",
    "pause-pending",
    "paused",
    "continue-pending",
    "stop-pending",
    "backoff",
    "failed",
];

/// Commands that are counted by name; all others together are `other`.
pub(super) const COMMANDS: [&str; 10] =
    ["start", "stop", "restart", "pause", "resume", "reload", "status", "push", "replay", "other"];
