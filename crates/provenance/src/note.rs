//! The slot's layout, written and read. Reading takes bytes from anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Provenance;

/// Bytes of the description, NUL-padded.
const DESCRIPTION_SIZE: usize = 1024;

/// Bytes of the note's header and name.
const HEADER_SIZE: usize = 16;

/// Bytes of the whole slot: the note with header, name and description.
pub const SLOT_SIZE: usize = HEADER_SIZE + DESCRIPTION_SIZE;

/// `n_namesz` 4, `n_descsz` 1024, `n_type` `0xcafe1a7e` (`NT_FDO_PACKAGING_METADATA`), name `FDO\0`. Little-endian, as
/// every target is.
const HEADER: [u8; HEADER_SIZE] = *b"\x04\0\0\0\0\x04\0\0\x7e\x1a\xfe\xcaFDO\0";

/// The slot as the compiler leaves it: a header and nothing said.
pub(crate) const EMPTY_SLOT: [u8; SLOT_SIZE] = {
    let mut slot = [0; SLOT_SIZE];
    let mut at = 0;
    while at < HEADER_SIZE {
        slot[at] = HEADER[at];
        at += 1;
    }
    slot
};

/// The value of `type` in the description: who wrote it. Distributions write `deb` or `rpm`.
const WRITER: &str = "seaworthy";

/// The slot's bytes that say `provenance`. Fails only where it does not fit.
pub fn encode(provenance: &Provenance) -> Result<[u8; SLOT_SIZE], Error> {
    let text = serde_json::to_vec(&Description::from(provenance)).map_err(|_| Error::NotProvenance)?;
    let mut slot = EMPTY_SLOT;
    match slot[HEADER_SIZE..].get_mut(..text.len()) {
        Some(space) => space.copy_from_slice(&text),
        None => return Err(Error::TooLong { size: text.len() }),
    }
    Ok(slot)
}

/// What a slot's bytes say; `None` where it was never written. The bytes may be hostile.
pub fn decode(slot: &[u8]) -> Result<Option<Provenance>, Error> {
    let description = match slot.strip_prefix(&HEADER) {
        Some(description) if description.len() == DESCRIPTION_SIZE => description,
        _ => return Err(Error::NotASlot),
    };
    let length = description.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if length == 0 {
        return Ok(None);
    }
    let said: Description =
        serde_json::from_slice(&description[..length]).map_err(|_| Error::NotProvenance)?;
    if said.writer != WRITER {
        return Err(Error::NotProvenance);
    }
    Ok(Some(said.into()))
}

/// Where slots begin within the bytes of a section. A distribution may have put its own package note beside ours.
pub fn offsets(section: &[u8]) -> Vec<usize> {
    let last = section.len().saturating_sub(SLOT_SIZE - 1);
    (0..last).step_by(4).filter(|at| section[*at..].starts_with(&HEADER)).collect()
}

/// The description: systemd's keys first, ours after them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    #[serde(rename = "type")]
    writer: String,
    name: String,
    version: String,
    architecture: String,
    vcs_revision: String,
    vcs_dirty: bool,
    vcs_time: i64,
    target: String,
    build: String,
}

impl From<&Provenance> for Description {
    fn from(provenance: &Provenance) -> Description {
        let architecture = provenance.target.split('-').next().unwrap_or_default();
        Description {
            writer: WRITER.to_owned(),
            name: provenance.product.clone(),
            version: provenance.version.clone(),
            architecture: architecture.to_owned(),
            vcs_revision: provenance.commit.clone(),
            vcs_dirty: provenance.dirty,
            vcs_time: provenance.commit_time,
            target: provenance.target.clone(),
            build: provenance.build.clone(),
        }
    }
}

impl From<Description> for Provenance {
    fn from(said: Description) -> Provenance {
        Provenance {
            product: said.name,
            version: said.version,
            commit: said.vcs_revision,
            dirty: said.vcs_dirty,
            commit_time: said.vcs_time,
            target: said.target,
            build: said.build,
        }
    }
}

/// Why bytes are not a slot, or a provenance does not fit into one. Its own type, so that the daemon, which links this
/// crate, links nothing of the toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not have the slot's size and header.
    NotASlot,
    /// The description is not what [`encode`] writes.
    NotProvenance,
    /// The description would need this many bytes.
    TooLong {
        /// Bytes of JSON.
        size: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotASlot => write!(formatter, "not a provenance slot: its header or size differs"),
            Error::NotProvenance => write!(formatter, "the provenance slot holds something else"),
            Error::TooLong { size } => {
                write!(formatter, "the provenance takes {size} bytes, the slot has {DESCRIPTION_SIZE}")
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            product: "seaworthyd".to_owned(),
            version: "1.2.3-rc.1+\"é\"".to_owned(),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            dirty: true,
            commit_time: -1,
            target: "aarch64-linux".to_owned(),
            build: "0123456789abcdef".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let slot = encode(&provenance()).unwrap();
        assert_eq!(decode(&slot), Ok(Some(provenance())));
        assert_eq!(decode(&EMPTY_SLOT), Ok(None));
    }

    #[test]
    fn the_layout_is_systemds() {
        let slot = encode(&provenance()).unwrap();
        let word = |at: usize| u32::from_le_bytes(slot[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(8), &slot[12..16]), (4, 1024, 0xcafe_1a7e, &b"FDO\0"[..]));
        let text = str::from_utf8(&slot[16..]).unwrap().trim_end_matches('\0');
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!((&json["type"], &json["name"]), (&"seaworthy".into(), &"seaworthyd".into()));
        assert_eq!(json["architecture"], "aarch64");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_cut() {
        let mut long = provenance();
        long.version = "9".repeat(DESCRIPTION_SIZE);
        assert!(matches!(encode(&long), Err(Error::TooLong { size }) if size > DESCRIPTION_SIZE));
    }

    #[test]
    fn hostile_slots_are_errors() {
        let good = encode(&provenance()).unwrap();
        for length in 0..SLOT_SIZE {
            assert_eq!(decode(&good[..length]), Err(Error::NotASlot), "cut to {length} bytes");
        }
        for at in 0..HEADER_SIZE {
            let mut slot = good;
            slot[at] ^= 1;
            assert_eq!(decode(&slot), Err(Error::NotASlot), "header byte {at}");
        }
        for text in [&b"{"[..], b"\xff", b"[[[[", b"{\"type\":\"deb\"}", b"null", &[b'['; DESCRIPTION_SIZE]] {
            let mut slot = EMPTY_SLOT;
            slot[HEADER_SIZE..HEADER_SIZE + text.len()].copy_from_slice(text);
            assert_eq!(decode(&slot), Err(Error::NotProvenance), "{text:?}");
        }
        let mut tail = good;
        tail[SLOT_SIZE - 1] = b'!';
        assert_eq!(decode(&tail), Err(Error::NotProvenance), "bytes behind the padding");
        let mut foreign = good;
        let writer = good.windows(WRITER.len()).position(|window| window == WRITER.as_bytes()).unwrap();
        foreign[writer..writer + WRITER.len()].copy_from_slice(b"otherwise");
        assert_eq!(decode(&foreign), Err(Error::NotProvenance), "another writer's note");
    }

    #[test]
    fn slots_are_found_beside_other_notes() {
        let other = b"\x04\0\0\0\x04\0\0\0\x7e\x1a\xfe\xcaFDO\0{}\0\0";
        let section = [&other[..], &EMPTY_SLOT, &[0; 64]].concat();
        assert_eq!(offsets(&section), [other.len()]);
        assert_eq!(offsets(&section[..other.len() + SLOT_SIZE]), [other.len()]);
        assert_eq!(offsets(&section[..other.len() + SLOT_SIZE - 1]), [0; 0]);
        assert_eq!(offsets(&[&EMPTY_SLOT[..], &EMPTY_SLOT].concat()), [0, SLOT_SIZE]);
        assert_eq!(offsets(b""), [0; 0]);
    }
}
