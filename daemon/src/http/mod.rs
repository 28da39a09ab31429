//! HTTP/1.1 as far as a supervisor needs it: a client for deliveries and probes, a server for metrics and health.
//!
//! Both are plain blocking code over [`httparse`], the head parser that hyper uses: no dependency of its own, no C, no
//! async, and the one part worth taking from others. The whole clients were weighed and left: `ureq` 3 brings nine more
//! crates even without its features, `minreq` brings none but follows redirects and looks names up without a bound of its
//! own, and a server's side would still be missing.
//!
//! TLS is not spoken: every pure-Rust way costs megabytes of code or a C compiler. A collector that wants it is reached
//! through a proxy on the same machine that speaks TLS outwards (see `daemon/README.md`).

mod body;
mod client;
mod error;
mod head;
mod resolve;
mod server;
mod url;

pub use client::{Answer, IDEMPOTENCY_KEY, Status, check_header, get, post, post_and_read};
pub use error::Error;
pub use head::{read_request_head, read_response_head};
pub use server::{BindError, Health, Limits, Page, Route, Routes, Server};
pub use url::{Url, UrlError};
