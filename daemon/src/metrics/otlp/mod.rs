//! The same metrics by OTLP, the protocol of OpenTelemetry: sent to a collector instead of asked for.
//!
//! It is OTLP over HTTP in its JSON encoding, which every collector takes beside Protobuf, and which needs nothing that the
//! daemon does not have. The crates of OpenTelemetry were weighed and left: they bring an SDK with a registry of its own,
//! Protobuf, and a client on an async runtime.

mod config;
mod encode;
mod instance;
mod pusher;

pub use config::OtlpConfig;
pub use pusher::Pusher;
