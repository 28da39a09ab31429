//! The daemon's own files for Windows.

#[path = "../../src/windows/access.rs"]
pub(crate) mod access;
#[path = "../../src/windows/event_log.rs"]
pub(crate) mod event_log;
#[path = "../../src/windows/pipe.rs"]
pub(crate) mod pipe;
#[path = "../../src/windows/service_manager.rs"]
pub(crate) mod service_manager;
#[path = "../../src/windows/token.rs"]
pub(crate) mod token;
#[path = "../../src/windows/wide.rs"]
pub(crate) mod wide;
