//! Writes the provenance slot.

use artifact::Edit;

use crate::{Error, Job, edit};

/// Fills the one slot within `section`, the bytes of the section that holds it, where the file has one.
pub(crate) fn fill(job: &Job<'_>, section: Option<&mut [u8]>) -> Result<Edit, Error> {
    let absent =
        || edit("no-provenance", "the program has no provenance slot, so it cannot say what it is", 0);
    let Some(section) = section else { return Ok(absent()) };
    match provenance::offsets(section)[..] {
        [] => Ok(absent()),
        [at] => {
            section[at..at + job.slot.len()].copy_from_slice(&job.slot);
            let said = provenance::decode(&job.slot).ok().flatten();
            let detail = said.map(|said| format!("{} {} {}", said.product, said.version, said.commit));
            Ok(edit("provenance", detail.unwrap_or_default(), 0))
        }
        _ => Err(job.malformed("has more than one provenance slot")),
    }
}
