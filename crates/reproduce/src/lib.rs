//! Whether two builds of one release are the same, and why they are not.
//!
//! [`compare()`] takes a published file and the same one built again, and gives a [`Verdict`] with its [`Cause`]s: not
//! "bytes 4,312 to 90,772 differ", but "the folder `/home/a` is in there, remap it". Whoever built again says so in a
//! [`Statement`], and signs it; [`challenge()`] sets the statements of several rebuilders side by side.
//!
//! A cause is named only on evidence that is in the files. Two programs whose contents differ by a folder's name also
//! differ in every address behind it: what follows from a cause is told apart from what does not by undoing the cause
//! on both sides (the folder, the date, the random name), and by comparing code without the addresses and numbers in it.
//!
//! ```
//! let verdict = reproduce::compare("notes.txt", b"built on Nov 24 2026", b"built on Dec 25 2026");
//! assert_eq!(verdict.verdict, reproduce::Verdict::Explained);
//! assert_eq!(verdict.causes[0].kind, reproduce::CauseKind::DateString);
//! ```

mod archive;
mod challenge;
mod code;
mod compare;
mod dates;
mod error;
mod fields;
mod functions;
mod order;
mod paths;
mod program;
mod random_names;
mod release;
mod signature;
mod statement;
mod texts;
mod toolmarks;
mod verdict;
mod view;

pub use challenge::{Agreement, Challenge, Dissent, Sworn, challenge};
pub use compare::compare;
pub use error::{Error, ErrorKind};
pub use release::{FileComparison, compare_archives, compare_files, compare_release, worst};
pub use signature::{Signers, sign, verify_signature};
pub use statement::{Rebuild, Rebuilder, Statement, Subject};
pub use verdict::{Cause, CauseKind, Compared, Span, Verdict};
