//! How others talk with the running daemon: one request a connection, one line of JSON each way, over a Unix socket or a
//! named pipe that only its owner, its group and the administrator may use.

pub mod protocol;
pub mod status;

pub(crate) mod client;
pub(crate) mod server;
