//! PE: sections are edited in memory and laid out anew; addresses stay, file offsets move.

mod checksum;
mod directories;
mod image;
mod merge;

use std::collections::BTreeSet;

use artifact::Edit;
use object::pe::{
    IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
    IMAGE_DLLCHARACTERISTICS_NX_COMPAT, IMAGE_FILE_DEBUG_STRIPPED, IMAGE_FILE_LARGE_ADDRESS_AWARE,
    IMAGE_FILE_LINE_NUMS_STRIPPED, IMAGE_FILE_LOCAL_SYMS_STRIPPED, IMAGE_FILE_RELOCS_STRIPPED,
    IMAGE_SCN_MEM_DISCARDABLE, IMAGE_SUBSYSTEM_WINDOWS_CUI, IMAGE_SUBSYSTEM_WINDOWS_GUI,
};

use self::image::{ENDIAN, Image};
use crate::{
    Error, ErrorKind, Job, Rewritten, Strip, Subsystem, debug_link, edit, is_debug_name, saved, slot,
};

/// Makes every edit on a PE.
pub(crate) fn rewrite(job: &Job<'_>) -> Result<Rewritten, Error> {
    let mut image = Image::parse(job, job.bytes)?;
    let mut edits = vec![slot::fill(job, image.section_data(provenance::PE_SECTION))?];
    edits.extend(subsystem(job, &mut image));
    edits.push(stamps(job, &mut image)?);
    edits.extend(mitigations(job, &mut image)?);

    let asked = asked_for(job, &image)?;
    let stripped =
        if job.options.strip == Strip::Symbols { debug_sections(job, &image)? } else { BTreeSet::new() };
    let strips = job.options.strip == Strip::Symbols && (!stripped.is_empty() || image.has_symbols());
    let symbols = match strips && job.options.split_symbols {
        true => Some(symbols(job, &image, &stripped)?),
        false => None,
    };

    for index in &asked {
        let size = image.sections[*index].data.len();
        edits.push(edit("drop-section", format!("removed {}", image.name_text(*index)), saved(size, 0)));
    }
    let mut removed: Vec<_> = stripped.difference(&asked).map(|index| image.name_text(*index)).collect();
    image.remove(job, &asked.union(&stripped).copied().collect())?;
    if strips {
        removed.push(format!("{} COFF symbols", image.remove_symbols()));
        let stripped =
            IMAGE_FILE_LINE_NUMS_STRIPPED | IMAGE_FILE_LOCAL_SYMS_STRIPPED | IMAGE_FILE_DEBUG_STRIPPED;
        image.file.characteristics.set(ENDIAN, image.file.characteristics.get(ENDIAN) | stripped);
        edits.push(edit("strip-symbols", format!("removed {}", removed.join(" ")), 0));
    }
    edits.extend(merge::sections(job, &mut image)?);
    if let Some(symbols) = &symbols {
        edits.push(link(job, &mut image, symbols));
    }
    let mut program = image.write(job)?;
    edits.push(checksum(&image, &mut program));
    // What padding and string table came to is the stripping's, so that the edits add up to the whole.
    let left = saved(job.bytes.len(), program.len()) - edits.iter().map(|edit| edit.bytes_saved).sum::<i64>();
    let takers = ["strip-symbols", "drop-section", "checksum"];
    let taker = takers.iter().find_map(|name| edits.iter().position(|edit| edit.name == *name));
    edits[taker.expect("the checksum is always there")].bytes_saved += left;
    Ok(Rewritten { program, symbols, edits })
}

fn subsystem(job: &Job<'_>, image: &mut Image) -> Option<Edit> {
    let wanted = match job.options.subsystem? {
        Subsystem::Console => IMAGE_SUBSYSTEM_WINDOWS_CUI,
        Subsystem::Gui => IMAGE_SUBSYSTEM_WINDOWS_GUI,
    };
    let old = image.optional.subsystem.get(ENDIAN);
    image.optional.subsystem.set(ENDIAN, wanted);
    (old != wanted).then(|| edit("subsystem", format!("{} -> {}", old.0, wanted.0), 0))
}

/// Every stamp becomes the commit's time. A directory's zero stays: it says that there is none.
fn stamps(job: &Job<'_>, image: &mut Image) -> Result<Edit, Error> {
    let stamp = u32::try_from(job.stamp).map_err(|_| {
        let message = format!("{}: commit time {} does not fit into a PE's 32 bits", job.subject, job.stamp);
        Error::new(ErrorKind::Request, message)
    })?;
    let old = image.file.time_date_stamp.get(ENDIAN);
    image.file.time_date_stamp.set(ENDIAN, stamp);
    directories::set_stamps(job, image, stamp)?;
    Ok(edit("timestamp", format!("{old} -> {stamp}"), 0))
}

/// Sets the bits that make Windows place the program at random and keep data from being run, where they are true.
fn mitigations(job: &Job<'_>, image: &mut Image) -> Result<Option<Edit>, Error> {
    let characteristics = image.file.characteristics.get(ENDIAN);
    if characteristics.contains(IMAGE_FILE_RELOCS_STRIPPED) || directories::relocation_count(job, image)? == 0
    {
        let message =
            format!("{}: has no base relocations, so Windows cannot place it at random", job.subject);
        return Err(Error::new(ErrorKind::NoRelocations, message)
            .with_hint("link with `-Wl,--dynamicbase` and keep the `.reloc` section"));
    }
    let old = image.optional.dll_characteristics.get(ENDIAN);
    let mut new = old | IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | IMAGE_DLLCHARACTERISTICS_NX_COMPAT;
    if characteristics.contains(IMAGE_FILE_LARGE_ADDRESS_AWARE) {
        new |= IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA;
    }
    image.optional.dll_characteristics.set(ENDIAN, new);
    Ok((old != new).then(|| edit("mitigations", format!("{:#06x} -> {:#06x}", old.0, new.0), 0)))
}

/// The sections that the options name. Only those that the loader may discard can go: of others nobody can tell.
fn asked_for(job: &Job<'_>, image: &Image) -> Result<BTreeSet<usize>, Error> {
    let mut asked = BTreeSet::new();
    for (index, section) in image.sections.iter().enumerate() {
        if !job.options.drop_sections.iter().any(|name| name.as_bytes() == section.name) {
            continue;
        }
        if !is_discardable(image, index) || image.is_referenced(index) {
            let message = format!(
                "{}: section `{}` cannot be dropped, the program needs it",
                job.subject,
                image.name_text(index)
            );
            return Err(
                Error::new(ErrorKind::SectionNeeded, message).with_hint("remove it from `drop-sections`")
            );
        }
        asked.insert(index);
    }
    Ok(asked)
}

fn debug_sections(job: &Job<'_>, image: &Image) -> Result<BTreeSet<usize>, Error> {
    let found: BTreeSet<usize> = (0..image.sections.len())
        .filter(|index| is_debug_name(&image.sections[*index].name) && is_discardable(image, *index))
        .collect();
    if found.iter().any(|index| image.is_referenced(*index)) {
        return Err(job.malformed("has a directory inside a debug section"));
    }
    Ok(found)
}

fn is_discardable(image: &Image, index: usize) -> bool {
    image.sections[index].header.characteristics.get(ENDIAN).contains(IMAGE_SCN_MEM_DISCARDABLE)
}

/// The symbols file: what `objcopy --only-keep-debug` makes.
fn symbols(job: &Job<'_>, image: &Image, stripped: &BTreeSet<usize>) -> Result<Vec<u8>, Error> {
    let mut kept = image.clone();
    for (index, section) in kept.sections.iter_mut().enumerate() {
        if !stripped.contains(&index) && section.name != provenance::PE_SECTION.as_bytes() {
            section.empty();
        }
    }
    let mut file = kept.write(job)?;
    checksum(&kept, &mut file);
    Ok(file)
}

fn link(job: &Job<'_>, image: &mut Image, symbols: &[u8]) -> Edit {
    let content = debug_link(&job.symbols_name, symbols);
    let alignment = image.optional.file_alignment.get(ENDIAN) as usize;
    let size = content.len().next_multiple_of(alignment);
    if image.add_discardable(b".gnu_debuglink", content) {
        edit("debuglink", format!("symbols are in {}", job.symbols_name), saved(0, size))
    } else {
        edit("no-debuglink", format!("symbols are in {}; no room for a section header", job.symbols_name), 0)
    }
}

fn checksum(image: &Image, file: &mut [u8]) -> Edit {
    let at = image.checksum_offset();
    let sum = checksum::of(file, at);
    file[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    edit("checksum", format!("{:#010x} -> {sum:#010x}", image.optional.check_sum.get(ENDIAN)), 0)
}
