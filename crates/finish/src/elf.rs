//! ELF: the loaded part is copied as it is; what follows it is written anew.

mod image;
mod symbols;

use std::collections::BTreeSet;

use artifact::Edit;
use object::elf::{
    SHF_INFO_LINK, SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX, SectionHeader64, SymbolSection,
};
use object::pod;

use self::image::{Header, Image, SECTION_HEADER, Section, range};
use crate::{Error, ErrorKind, Job, Rewritten, Strip, debug_link, edit, is_debug_name, saved, slot};

/// Makes every edit on an ELF.
pub(crate) fn rewrite(job: &Job<'_>) -> Result<Rewritten, Error> {
    let original = Image::parse(job, job.bytes)?;
    let slot_section = original.section_named(provenance::ELF_SECTION).map(range);
    let mut bytes = job.bytes.to_vec();
    let provenance = slot::fill(job, slot_section.clone().map(|range| &mut bytes[range]))?;
    let image = Image { bytes: &bytes, ..original };

    let asked = asked_for(job, &image)?;
    let stripped = if job.options.strip == Strip::Symbols { debug_sections(&image) } else { BTreeSet::new() };
    let symbols = (job.options.split_symbols && !stripped.is_empty()).then(|| symbols::split(&image));
    let link = symbols.as_ref().map(|symbols| debug_link(&job.symbols_name, symbols));
    let dropped: BTreeSet<usize> = asked.union(&stripped).copied().collect();
    let unchanged = dropped.is_empty();
    let program = if unchanged { bytes.clone() } else { write(&image, &dropped, link.as_deref()) };
    check_loaded(job, &program, slot_section)?;

    let mut edits = vec![provenance];
    edits.extend(asked.iter().map(|index| dropping(&image, *index)));
    let asked_bytes: i64 = edits.iter().map(|edit| edit.bytes_saved).sum();
    let link_bytes = link.as_ref().map_or(0, |link| link.len() + SECTION_HEADER + b".gnu_debuglink\0".len());
    if !stripped.is_empty() {
        let names: Vec<_> = stripped.difference(&asked).map(|index| image.name_text(*index)).collect();
        let bytes_saved = saved(bytes.len(), program.len()) - asked_bytes + saved(link_bytes, 0);
        edits.push(edit("strip-symbols", format!("removed {}", names.join(" ")), bytes_saved));
    }
    if link.is_some() {
        let detail = format!("symbols are in {}", job.symbols_name);
        edits.push(edit("debuglink", detail, saved(0, link_bytes)));
    }
    Ok(Rewritten { program, symbols, edits })
}

/// The sections that the options name. One that is loaded is refused: no loader would notice, the program would.
fn asked_for(job: &Job<'_>, image: &Image<'_>) -> Result<BTreeSet<usize>, Error> {
    let mut asked = BTreeSet::new();
    for name in &job.options.drop_sections {
        for index in image.indices_named(name) {
            if image.is_loaded(index) || index == image.names_index {
                let message =
                    format!("{}: section `{name}` cannot be dropped, the program needs it", job.subject);
                return Err(
                    Error::new(ErrorKind::SectionNeeded, message).with_hint("remove it from `drop-sections`")
                );
            }
            asked.insert(index);
        }
    }
    Ok(asked)
}

/// What no loader reads: symbol tables, debug sections, and what serves only those.
fn debug_sections(image: &Image<'_>) -> BTreeSet<usize> {
    let unloaded = || (1..image.sections.len()).filter(|index| !image.is_loaded(*index));
    let mut found: BTreeSet<usize> = unloaded()
        .filter(|index| {
            let kind = image.sections[*index].sh_type.get(image::ENDIAN);
            kind == SHT_SYMTAB || kind == SHT_SYMTAB_SHNDX || is_debug_name(image.names[*index])
        })
        .collect();
    let link = |index: usize| image.sections[index].sh_link.get(image::ENDIAN) as usize;
    let kind = |index: usize| image.sections[index].sh_type.get(image::ENDIAN);
    let relocations =
        |index: &usize| matches!(kind(*index), SHT_REL | SHT_RELA) && found.contains(&link(*index));
    let relocations: Vec<usize> = unloaded().filter(relocations).collect();
    found.extend(relocations);
    let used: BTreeSet<usize> =
        (1..image.sections.len()).filter(|index| !found.contains(index)).map(link).collect();
    let strings = unloaded()
        .filter(|index| kind(*index) == SHT_STRTAB && *index != image.names_index && !used.contains(index));
    found.extend(strings.collect::<Vec<_>>());
    found
}

fn dropping(image: &Image<'_>, index: usize) -> Edit {
    let size = range(&image.sections[index]).len() + SECTION_HEADER + image.names[index].len() + 1;
    edit("drop-section", format!("removed {}", image.name_text(index)), saved(size, 0))
}

/// The loaded part as it is, kept sections behind it, then the link, the names and the section table.
fn write(image: &Image<'_>, dropped: &BTreeSet<usize>, link: Option<&[u8]>) -> Vec<u8> {
    let mut file = image.bytes[..image.loaded_end].to_vec();
    let kept = new_indices(image, dropped);
    let renamed = |index: u32| kept.iter().position(|old| *old == Some(index as usize)).unwrap_or(0) as u32;
    let mut names = vec![0];
    let mut table: Vec<Section> = Vec::new();
    for old in &kept {
        let Some(old) = *old else {
            table.push(empty_header());
            continue;
        };
        let mut section = image.sections[old];
        if !image.is_loaded(old) {
            move_behind(image, &mut section, &mut file);
        }
        section.sh_link.set(image::ENDIAN, renamed(section.sh_link.get(image::ENDIAN)));
        let kind = section.sh_type.get(image::ENDIAN);
        let info_is_index = section.sh_flags.get(image::ENDIAN).contains(SHF_INFO_LINK);
        if info_is_index || matches!(kind, SHT_REL | SHT_RELA) {
            section.sh_info.set(image::ENDIAN, renamed(section.sh_info.get(image::ENDIAN)));
        }
        if old != 0 {
            section.sh_name.set(image::ENDIAN, add_name(&mut names, image.names[old]));
        }
        table.push(section);
    }
    if let Some(link) = link {
        let name = add_name(&mut names, b".gnu_debuglink");
        table.push(append(&mut file, name, SHT_PROGBITS, 4, link));
    }
    let name = add_name(&mut names, b".shstrtab");
    table.push(append(&mut file, name, SHT_STRTAB, 1, &names));
    close(file, &table, table.len() - 1)
}

/// Old indices in their new order. Dynamic symbols name loaded sections by index, so none of those may move: a dropped
/// section before one leaves an inactive entry (`SHT_NULL`) behind.
fn new_indices(image: &Image<'_>, dropped: &BTreeSet<usize>) -> Vec<Option<usize>> {
    let last_loaded = (0..image.sections.len()).rfind(|index| image.is_loaded(*index)).unwrap_or(0);
    let mut kept = Vec::new();
    for index in 0..image.sections.len() {
        if !dropped.contains(&index) && index != image.names_index {
            kept.push(Some(index));
        } else if index < last_loaded {
            kept.push(None);
        }
    }
    kept
}

/// Copies an unloaded section's bytes to the end of `file`, unless they lie within the loaded part.
fn move_behind(image: &Image<'_>, section: &mut Section, file: &mut Vec<u8>) {
    let old = range(section);
    if old.end <= image.loaded_end || section.sh_type.get(image::ENDIAN) == SHT_NOBITS {
        return;
    }
    image::align(file, section.sh_addralign.get(image::ENDIAN));
    section.sh_offset.set(image::ENDIAN, file.len() as u64);
    file.extend(&image.bytes[old]);
}

fn append(
    file: &mut Vec<u8>,
    name: u32,
    kind: object::elf::SectionType,
    alignment: u64,
    content: &[u8],
) -> Section {
    image::align(file, alignment);
    let mut section = empty_header();
    section.sh_name.set(image::ENDIAN, name);
    section.sh_type.set(image::ENDIAN, kind);
    section.sh_offset.set(image::ENDIAN, file.len() as u64);
    section.sh_size.set(image::ENDIAN, content.len() as u64);
    section.sh_addralign.set(image::ENDIAN, alignment);
    file.extend(content);
    section
}

fn add_name(names: &mut Vec<u8>, name: &[u8]) -> u32 {
    let at = names.len() as u32;
    names.extend(name);
    names.push(0);
    at
}

fn empty_header() -> Section {
    let zeros = [0; size_of::<Section>()];
    let (header, _) = pod::from_bytes::<SectionHeader64<_>>(&zeros).expect("as many zeros as it takes");
    let mut header = *header;
    header.sh_type.set(image::ENDIAN, SHT_NULL);
    header
}

/// Appends the section table and makes the file header point at it.
fn close(mut file: Vec<u8>, table: &[Section], names_index: usize) -> Vec<u8> {
    image::align(&mut file, 8);
    let at = file.len() as u64;
    file.extend(pod::bytes_of_slice(table));
    let (header, _) = pod::from_bytes_mut::<Header>(&mut file).expect("the file begins with its header");
    header.e_shoff.set(image::ENDIAN, at);
    header.e_shnum.set(image::ENDIAN, table.len() as u16);
    header.e_shstrndx.set(image::ENDIAN, SymbolSection(names_index as u16));
    file
}

/// Compares what is mapped in both files, apart from the slot and the fields that locate the section table.
fn check_loaded(
    job: &Job<'_>,
    finished: &[u8],
    slot_section: Option<std::ops::Range<usize>>,
) -> Result<(), Error> {
    let (before, after) = (Image::parse(job, job.bytes)?, Image::parse(job, finished)?);
    let may_differ = |at: usize| {
        let table_fields = [40..48, 60..64]; // e_shoff; e_shnum and e_shstrndx (ELF-64 object file format)
        table_fields.iter().chain(&slot_section).any(|range| range.contains(&at))
    };
    let same_headers = pod::bytes_of_slice(&before.segments) == pod::bytes_of_slice(&after.segments);
    let same_bytes = before.segments.iter().map(image::segment_range).all(|range| {
        range.end <= finished.len()
            && range.into_iter().all(|at| job.bytes[at] == finished[at] || may_differ(at))
    });
    if same_headers && same_bytes {
        return Ok(());
    }
    let message = format!("{}: finishing changed what the loader maps", job.subject);
    Err(Error::new(ErrorKind::SelfCheck, message).with_hint("report this with the built file"))
}
