//! Edits what cargo built into what ships: provenance, subsystem, symbols, stamps, checksum. Every edit is listed.
//!
//! The same input and request give the same bytes, always. Nothing is written before every edit has succeeded, and the
//! built file is never touched. Any 64-bit little-endian ELF or PE32+ program is taken, whoever built it.
//!
//! **ELF.** What the loader maps stays byte for byte where it is, apart from the provenance slot and the three fields of
//! the file header that locate the section table; the finished file is compared with the built one before it is
//! written. A missing build-id is not invented: `verify` judges it.
//!
//! **PE.** Kept sections keep their addresses; their file offsets move down, and the debug directory's with them.
//! `TimeDateStamp` of the COFF header becomes the commit's time; those of the export and debug directories do where they
//! are not zero. ASLR, NX and high-entropy bits are set only where a relocation table with entries makes them true.
//! Signed files, and files with bytes behind their last section, are refused.

mod elf;
mod error;
mod options;
mod output;
mod pe;
mod slot;

pub use error::{Error, ErrorKind};
pub use options::{FinishOptions, Strip, Subsystem};

use std::fs;
use std::path::PathBuf;

use artifact::{Artifact, BinaryFormat, Built, Digest, Edit, Finished, Source};
use provenance::Provenance;

/// What is asked of [`finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishRequest {
    /// Which edits to make.
    pub options: FinishOptions,
    /// What the provenance slot says; its commit time is every stamp's.
    pub source: Source,
    /// The build key for the provenance slot: a digest over everything that determines the build.
    pub build_key: String,
    /// The folder for `<binary><suffix>` and `<binary><suffix>.debug`; made where it is missing.
    pub out_dir: PathBuf,
}

/// Makes the program that ships, and its symbols file, in `request.out_dir`.
pub fn finish(built: Artifact<Built>, request: &FinishRequest) -> Result<Artifact<Finished>, Error> {
    let subject = built.path().display().to_string();
    let bytes = fs::read(built.path())
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot read {subject}")).with_source(error))?;
    if Digest::of(&bytes) != built.digest() {
        return Err(Error::new(ErrorKind::Changed, format!("{subject} changed after it was built"))
            .with_hint("build again, and let nothing else write there"));
    }
    let row = built.target().row();
    let name = format!("{}{}", built.binary(), row.executable_suffix);
    let job = Job {
        subject: &subject,
        bytes: &bytes,
        options: &request.options,
        slot: slot_bytes(&subject, &built, request)?,
        stamp: request.source.commit_time,
        symbols_name: format!("{name}.debug"),
    };
    let rewritten = match row.format {
        BinaryFormat::Elf => elf::rewrite(&job)?,
        BinaryFormat::Pe => pe::rewrite(&job)?,
    };
    let (path, symbols) =
        output::write(built.path(), &request.out_dir, &name, &job.symbols_name, &rewritten)?;
    built
        .finished(path, rewritten.edits, symbols)
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot read finished {name}")).with_source(error))
}

/// One file's work, read once.
struct Job<'a> {
    /// The file's name, for errors.
    subject: &'a str,
    bytes: &'a [u8],
    options: &'a FinishOptions,
    slot: [u8; provenance::SLOT_SIZE],
    /// Seconds since 1970-01-01 UTC.
    stamp: i64,
    symbols_name: String,
}

/// What is to be written.
struct Rewritten {
    program: Vec<u8>,
    symbols: Option<Vec<u8>>,
    edits: Vec<Edit>,
}

impl Job<'_> {
    /// A file that is not what its format says.
    fn malformed(&self, what: &str) -> Error {
        Error::new(ErrorKind::Malformed, format!("{}: {what}", self.subject))
            .with_hint("build it again; if the builder wrote it so, report the builder")
    }

    /// A file that is valid, and that finishing would damage.
    fn unsupported(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("{}: {what}", self.subject))
    }
}

fn slot_bytes(
    subject: &str,
    built: &Artifact<Built>,
    request: &FinishRequest,
) -> Result<[u8; provenance::SLOT_SIZE], Error> {
    let source = request.source.clone();
    let said = Provenance {
        product: source.product,
        version: source.version,
        commit: source.commit,
        dirty: source.dirty,
        commit_time: source.commit_time,
        target: built.target().name().to_owned(),
        build: request.build_key.clone(),
    };
    provenance::encode(&said).map_err(|error| {
        Error::new(ErrorKind::Request, format!("{subject}: {error}")).with_hint("shorten the product's name")
    })
}

fn edit(name: &str, detail: impl Into<String>, bytes_saved: i64) -> Edit {
    Edit { name: name.to_owned(), detail: detail.into(), bytes_saved }
}

/// Signed difference of two sizes in bytes; files are far smaller than 2^63.
fn saved(before: usize, after: usize) -> i64 {
    before as i64 - after as i64
}

/// The content of `.gnu_debuglink` (GDB manual, "Separate Debug Files"): name, NUL, padding to 4 bytes, CRC-32.
fn debug_link(name: &str, symbols: &[u8]) -> Vec<u8> {
    let mut content = name.as_bytes().to_vec();
    content.push(0);
    content.resize(content.len().next_multiple_of(4), 0);
    content.extend(crc32fast::hash(symbols).to_le_bytes());
    content
}

/// Sections that only debuggers read, under the names compilers give them in either format.
fn is_debug_name(name: &[u8]) -> bool {
    [&b".debug_"[..], b".zdebug_", b".stab", b".gdb_index", b".gnu_debuglink", b".gnu_debugaltlink"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
