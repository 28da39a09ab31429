//! What a stage tells while it works. Libraries send events; only `xtask`'s renderer draws them.

/// One thing that happened, in the order it happened within its job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A step began: "build aarch64-linux", "download zig 0.17.1".
    Started {
        /// What the step does, in the imperative.
        step: String,
    },
    /// A part of the step is done; `total` is 0 where it cannot be known.
    Advanced {
        /// The step it belongs to, as in `Started`.
        step: String,
        /// Units done so far (bytes, crates).
        done: u64,
        /// Units in all, or 0.
        total: u64,
    },
    /// A line of an external program's own output, passed on unchanged.
    Output {
        /// The step it belongs to.
        step: String,
        /// One line, without its line end.
        line: String,
    },
    /// The step ended well.
    Finished {
        /// The step, as in `Started`.
        step: String,
        /// What came of it, in a few words; may be empty.
        result: String,
    },
}

/// Where events go. Shared by jobs that run side by side.
pub type Events<'a> = &'a (dyn Fn(Event) + Sync);

/// For callers who do not draw progress.
pub fn ignore_events(_: Event) {}
