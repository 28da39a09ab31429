//! What the service manager's controls are translated to, without the guardian that hears it.

use crate::state::Control;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Control(Control),
    Reopen,
}
