//! Where bytes come from: files, folders, archives in archives, container images; read under hard caps.
//!
//! [`list`] finds what there is at a path, [`Source::visit`] gives the programs in it, each whole. Everything else in an
//! archive flows by, so that memory stays bounded and every checksum is still checked. What cannot be looked at
//! (damaged, cut off, over a limit, packed in a way that is not read here) is an [`Item::Unreadable`]: a gate counts it
//! as a refusal. No name found in an archive is ever used as a path to write to.
//!
//! ```
//! # fn main() -> Result<(), inputs::Error> {
//! let limits = inputs::Limits::default();
//! let mut found = 0;
//! for source in inputs::list(&std::env::current_exe().unwrap(), &limits)? {
//!     source.visit(&limits, &mut |item| found += usize::from(matches!(item, inputs::Item::File(_))));
//! }
//! assert_eq!(found, 1);
//! # Ok(())
//! # }
//! ```

mod bytes;
mod cabinet;
mod cpio;
mod deb;
mod engine;
mod error;
mod format;
mod image;
mod installer;
mod limits;
mod rpm;
mod source;
mod tar;
mod unpack;
mod visit;
mod zip;

pub use bytes::Bytes;
pub use error::{Error, ErrorKind};
pub use format::looks_like_a_program;
pub use limits::Limits;
pub use source::{Source, list, members, visit_bytes};

/// One file's bytes and where they were found.
#[derive(Debug)]
pub struct Input {
    /// A path, or `archive!member`, or `archive!member!member`.
    pub name: String,
    /// All its bytes.
    pub bytes: Bytes,
    /// Unix permission bits, where the place it was found in has them.
    pub mode: Option<u32>,
}

/// What a source gives.
#[derive(Debug)]
pub enum Item {
    /// A file, whole.
    File(Input),
    /// What cannot be looked at.
    Unreadable {
        /// A path, or `archive!member`.
        name: String,
        /// Why.
        error: Error,
    },
}
