//! When an installed service starts.

/// When the Windows service starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StartWhen {
    /// With the system.
    #[default]
    Automatic,
    /// With the system, after the automatic ones.
    Delayed,
    /// When somebody starts it.
    Demand,
}
