//! Facts about ELF and PE files, read from hostile bytes in bounded time and memory.
//!
//! ```
//! let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
//! let facts = inspect::inspect(&bytes).unwrap();
//! assert!(facts.anomalies.is_empty());
//! println!("{}", inspect::dump(&facts));
//! ```
//!
//! [`inspect`] reads the bytes itself and never outside of them; [`second_opinion()`] asks goblin,
//! which shares no code with it. Where bytes come from is the subject of the crate `inputs`.

mod bytes;
mod constants;
mod dump;
mod elf;
mod error;
pub mod facts;
mod limits;
mod linker;
mod names;
mod pe;
mod second_opinion;

pub use dump::{dump, headline};
pub use error::{Error, ErrorKind};
pub use facts::Facts;
pub use linker::{LinkerMark, linker};
pub use pe::PeChecksum;
pub use second_opinion::{Disagreement, second_opinion};

use facts::{Binary, Names};

/// The checksum that a PE file of these `bytes` should have (the algorithm of `CheckSumMappedFile`).
///
/// Apart from [`inspect`], which reads headers and tables only: this reads all bytes.
pub fn pe_checksum(bytes: &[u8], pe: &facts::Pe) -> u32 {
    let mut sum = PeChecksum::default();
    sum.add(0, bytes);
    sum.finish(bytes, pe.header_offset)
}

/// The digest of a PE file's first Authenticode signature as it should be for these `bytes`; `None`: no such signature,
/// or its algorithm is not known.
///
/// Apart from [`inspect`]: this reads all bytes.
pub fn pe_authenticode_digest(bytes: &[u8], pe: &facts::Pe) -> Option<Vec<u8>> {
    pe::authenticode::program_digest(bytes, pe)
}

/// Whether the keys that a PE file's first Authenticode signature names made it; `None`: no such signature.
///
/// Apart from [`inspect`]: computing with keys costs more than reading all headers.
pub fn pe_signature_check(bytes: &[u8], pe: &facts::Pe) -> Option<facts::SignatureCheck> {
    pe::authenticode::check(bytes, pe)
}

/// Reads everything that is asked of a program from its bytes.
///
/// An unreadable header is an error; a damaged, cut-off or too large part is an anomaly among the facts.
pub fn inspect(bytes: &[u8]) -> Result<Facts, Error> {
    read(bytes, true)
}

/// The same without the names of an ELF file's exports, which some libraries have by the ten thousand and few ask for: over 300
/// files of Debian they took a fifth of the time.
pub fn inspect_without_exports(bytes: &[u8]) -> Result<Facts, Error> {
    read(bytes, false)
}

/// The names that the ELF file of these `bytes` exports; `None`: it is none.
pub fn elf_exports(bytes: &[u8]) -> Option<Names> {
    match read(bytes, true).ok()?.binary {
        Binary::Elf(elf) => elf.exports,
        Binary::Pe(_) => None,
    }
}

fn read(bytes: &[u8], with_exports: bool) -> Result<Facts, Error> {
    let (binary, anomalies) = match bytes {
        [0x7f, b'E', b'L', b'F', ..] => {
            let (elf, anomalies) = elf::read(bytes, with_exports)?;
            (Binary::Elf(Box::new(elf)), anomalies)
        }
        [b'M', b'Z', ..] => {
            let (pe, anomalies) = pe::read(bytes)?;
            (Binary::Pe(Box::new(pe)), anomalies)
        }
        _ => {
            return Err(Error::new(ErrorKind::NotAProgram, "neither an ELF nor a PE file")
                .with_hint("name a program, a shared library, or an archive or folder that holds some"));
        }
    };
    Ok(Facts { size: bytes.len() as u64, binary, anomalies })
}

/// Reads what binds an ELF file to others: libraries, search paths, versions, and every dynamic symbol with its version.
///
/// Apart from [`inspect`], which is asked of every file and does not need to know this of each symbol.
pub fn elf_linkage(bytes: &[u8]) -> Result<facts::ElfLinkage, Error> {
    elf::linkage::read(bytes)
}

/// Reads what a PE file imports, and offers by name and by ordinal.
pub fn pe_linkage(bytes: &[u8]) -> Result<facts::PeLinkage, Error> {
    pe::linkage::read(bytes)
}
