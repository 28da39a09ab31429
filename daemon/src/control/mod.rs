//! How others talk with the running daemon: one request a connection, one line of JSON each way, over a Unix socket or a
//! named pipe that only its owner, its group and the administrator may use.

pub mod protocol;
pub mod status;

#[cfg(unix)]
pub(crate) mod client;
#[cfg(unix)]
pub(crate) mod server;
