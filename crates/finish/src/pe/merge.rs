//! A section merged into the one before it, as `/MERGE` of Microsoft's linker does, but after linking.
//!
//! Addresses cannot move any more, so only neighbours in memory can be merged; what was between them becomes zeros in
//! the file. One section header and one page's protection are saved, and data becomes as executable as the code.

use artifact::Edit;
use object::pe::{
    IMAGE_SCN_CNT_CODE, IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_CNT_UNINITIALIZED_DATA, IMAGE_SCN_MEM_WRITE,
};

use super::image::{ENDIAN, Image};
use crate::{Error, ErrorKind, Job, edit, saved};

/// Merges what `merge-sections` names, in the order of names. A section that is not there is no matter.
pub(super) fn sections(job: &Job<'_>, image: &mut Image) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    for (from, into) in &job.options.merge_sections {
        let named = image.sections.iter().position(|section| section.name == from.as_bytes());
        if let Some(index) = named {
            edits.push(merge(job, image, index, into)?);
        }
    }
    Ok(edits)
}

fn merge(job: &Job<'_>, image: &mut Image, index: usize, into: &str) -> Result<Edit, Error> {
    let name = image.name_text(index);
    let apart = |why: &str, hint: &str| {
        let message = format!("{}: section `{name}` cannot be merged into `{into}`: {why}", job.subject);
        Error::new(ErrorKind::SectionsApart, message).with_hint(hint.to_owned())
    };
    let neighbour = index.checked_sub(1).filter(|before| image.sections[*before].name == into.as_bytes());
    let Some(before) = neighbour else {
        return Err(apart(
            "it does not lie right behind it",
            "only a linker can bring them together; the zig builder's places `.rdata` behind `.text`",
        ));
    };
    let flags = |at: usize| image.sections[at].header.characteristics.get(ENDIAN);
    if flags(before).contains(IMAGE_SCN_MEM_WRITE) != flags(index).contains(IMAGE_SCN_MEM_WRITE) {
        return Err(apart("one of them can be written to", "merge read-only sections only"));
    }
    if flags(before).contains(IMAGE_SCN_CNT_UNINITIALIZED_DATA) {
        return Err(apart("it has no bytes in the file", "merge sections with bytes only"));
    }

    let alignment = image.optional.file_alignment.get(ENDIAN) as usize;
    let on_disk = |size: usize| size.next_multiple_of(alignment);
    let gone = image.sections.remove(index);
    let kept = &mut image.sections[before];
    let (old, size) = (on_disk(kept.data.len()) + on_disk(gone.data.len()), gone.data.len());
    kept.data.resize((gone.address() - kept.address()) as usize, 0);
    kept.data.extend(&gone.data);
    kept.header.virtual_size.set(ENDIAN, gone.end() - kept.address());
    let new = on_disk(kept.data.len());
    let content = IMAGE_SCN_CNT_CODE | IMAGE_SCN_CNT_INITIALIZED_DATA;
    let added = gone.header.characteristics.get(ENDIAN) & content;
    let flags = kept.header.characteristics.get(ENDIAN) | added;
    kept.header.characteristics.set(ENDIAN, flags);
    let detail = format!("{name} into {into}: {size} bytes took its permissions");
    Ok(edit("merge-sections", detail, saved(old, new)))
}
