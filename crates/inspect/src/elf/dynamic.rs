//! The dynamic section, and the tables it points to: libraries, versions, relocations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::constants::elf as constants;

use super::{Image, relocations, symbols};
use crate::bytes::{Survey, decoded};
use crate::facts::{DynamicEntry, Elf, NeededVersion, VersionDefinition, VersionNeed};

/// The tables that dynamic tags point to, as virtual addresses.
#[derive(Default)]
pub(super) struct Tables<'a> {
    /// `DT_STRTAB` in the file: offset and end.
    pub(super) strings_in_file: Option<(u64, u64)>,
    /// The same, where all of it is UTF-8, so that its names need not be looked at one by one.
    pub(super) text: Option<&'a str>,
    pub(super) symbols: Option<u64>,
    pub(super) hash: Option<u64>,
    pub(super) gnu_hash: Option<u64>,
    pub(super) version_table: Option<u64>,
    /// What a symbol's version index means.
    pub(super) versions: BTreeMap<u16, Version>,
}

/// One version, needed or defined.
pub(super) struct Version {
    pub(super) name: Arc<str>,
    /// Where it is needed from; `None` where this file defines it.
    pub(super) library: Option<Arc<str>>,
}

impl<'a> Tables<'a> {
    /// The text at `offset` of the dynamic string table.
    pub(super) fn text(
        &self,
        image: Image<'a>,
        survey: &mut Survey,
        part: &str,
        offset: u32,
    ) -> Option<String> {
        self.name(image, survey, part, offset).map(Cow::into_owned)
    }

    /// The bytes of the dynamic string table, as far as the file has them.
    pub(super) fn strings(&self, image: Image<'a>) -> &'a [u8] {
        let (start, end) = self.strings_in_file.unwrap_or_default();
        let size = end.min(image.bytes.len()).saturating_sub(start);
        image.bytes.slice(start, size).unwrap_or_default()
    }

    /// The text at `offset` of the dynamic string table, without a copy where it is UTF-8.
    pub(super) fn name(
        &self,
        image: Image<'a>,
        survey: &mut Survey,
        part: &str,
        offset: u32,
    ) -> Option<Cow<'a, str>> {
        let (start, end) = self.strings_in_file?;
        let name = survey.terminated(image.bytes, part, start.checked_add(u64::from(offset))?, end)?;
        let from = offset as usize;
        let text = self.text.and_then(|text| text.get(from..from + name.len()));
        Some(text.map_or_else(|| decoded(name), Cow::Borrowed))
    }
}

/// Reads everything behind `PT_DYNAMIC`.
pub(super) fn read(image: Image<'_>, elf: &mut Elf, survey: &mut Survey) {
    elf.dynamic = entries(image, elf, survey);
    if elf.dynamic.is_empty() {
        return;
    }
    let mut tables = tables(image, elf, survey);
    name_entries(image, elf, &tables, survey);
    read_needed_versions(image, elf, &mut tables, survey);
    read_defined_versions(image, elf, &mut tables, survey);
    let named = relocations::read(image, elf, &tables, survey);
    symbols::read(image, elf, &tables, named, survey);
}

/// Reads names and versions behind `PT_DYNAMIC`, and leaves the symbols to the caller.
pub(super) fn read_names<'a>(image: Image<'a>, elf: &mut Elf, survey: &mut Survey) -> Tables<'a> {
    elf.dynamic = entries(image, elf, survey);
    let mut tables = tables(image, elf, survey);
    name_entries(image, elf, &tables, survey);
    read_needed_versions(image, elf, &mut tables, survey);
    read_defined_versions(image, elf, &mut tables, survey);
    tables
}

fn entries(image: Image<'_>, elf: &Elf, survey: &mut Survey) -> Vec<DynamicEntry> {
    const PART: &str = "dynamic section";
    let segment = elf.segments.iter().find(|segment| segment.kind == constants::PT_DYNAMIC);
    let section = elf.sections.iter().find(|section| section.kind == constants::SHT_DYNAMIC);
    let (start, length) = match (segment, section) {
        (Some(segment), _) => (segment.offset, segment.file_size),
        (None, Some(section)) => (section.offset, section.size),
        (None, None) => return Vec::new(),
    };
    let size = 2 * image.word_size();
    let mut entries = Vec::new();
    for index in 0..length / size {
        if !survey.admit(PART) {
            return entries;
        }
        let second = |first: u64| Some((image.word(first)?, image.word(first + image.word_size())?));
        let Some((tag, value)) = start.checked_add(index * size).and_then(second) else {
            survey.anomaly(PART, format!("entry {index} is outside the file"));
            return entries;
        };
        // Tags are signed, and those of the system and the processor need the sign of their class.
        let tag = if image.wide { tag as i64 } else { i64::from(tag as u32 as i32) };
        if tag == 0 {
            return entries;
        }
        entries.push(DynamicEntry { tag, value, text: None });
    }
    if length > 0 {
        survey.anomaly(PART, "no DT_NULL ends it");
    }
    entries
}

/// The value of the first entry with `tag`.
pub(super) fn value(elf: &Elf, tag: i64) -> Option<u64> {
    elf.dynamic.iter().find(|entry| entry.tag == tag).map(|entry| entry.value)
}

fn tables<'a>(image: Image<'a>, elf: &Elf, survey: &mut Survey) -> Tables<'a> {
    let strings = value(elf, constants::DT_STRTAB).zip(value(elf, constants::DT_STRSZ));
    let strings_in_file = strings.and_then(|(address, size)| {
        let (offset, _) = image.locate(elf, address)?;
        Some((offset, offset.checked_add(size)?))
    });
    if let (Some((address, _)), None) = (strings, strings_in_file) {
        survey.anomaly("dynamic section", format!("DT_STRTAB {address:#x} is in no segment"));
    }
    let mut tables = Tables {
        strings_in_file,
        text: None,
        symbols: value(elf, constants::DT_SYMTAB),
        hash: value(elf, constants::DT_HASH),
        gnu_hash: value(elf, constants::DT_GNU_HASH),
        version_table: value(elf, constants::DT_VERSYM),
        versions: BTreeMap::new(),
    };
    tables.text = str::from_utf8(tables.strings(image)).ok();
    tables
}

/// Tags whose value is a text's offset.
const NAMED: [i64; 8] = [
    constants::DT_NEEDED,
    constants::DT_SONAME,
    constants::DT_RPATH,
    constants::DT_RUNPATH,
    constants::DT_AUDIT,
    constants::DT_DEPAUDIT,
    constants::DT_AUXILIARY,
    constants::DT_FILTER,
];

fn name_entries(image: Image<'_>, elf: &mut Elf, tables: &Tables<'_>, survey: &mut Survey) {
    for entry in &mut elf.dynamic {
        if !NAMED.contains(&entry.tag) {
            continue;
        }
        let offset = u32::try_from(entry.value).ok();
        entry.text = offset.and_then(|offset| tables.text(image, survey, "dynamic section", offset));
        let Some(text) = entry.text.clone() else {
            survey.anomaly("dynamic section", format!("tag {:#x} names no text", entry.tag));
            continue;
        };
        match entry.tag {
            constants::DT_NEEDED => elf.needed.push(text),
            constants::DT_SONAME => elf.soname = Some(text),
            constants::DT_RPATH => elf.rpath = Some(text),
            constants::DT_RUNPATH => elf.runpath = Some(text),
            _ => {}
        }
    }
}

/// The chain at `DT_VERNEED`, to its end as loaders do, whatever the counts say. Offsets only grow, so a chain cannot run in
/// circles.
fn read_needed_versions(image: Image<'_>, elf: &mut Elf, tables: &mut Tables<'_>, survey: &mut Survey) {
    const PART: &str = "versions needed";
    let Some(address) = value(elf, constants::DT_VERNEED) else { return };
    let Some((mut offset, _)) = image.locate(elf, address) else {
        survey.anomaly(PART, format!("DT_VERNEED {address:#x} is in no segment"));
        return;
    };
    let bytes = image.bytes;
    let mut files = 0;
    loop {
        files += 1;
        let (Some(count), Some(file), Some(first), Some(next)) =
            (bytes.u16(offset + 2), bytes.u32(offset + 4), bytes.u32(offset + 8), bytes.u32(offset + 12))
        else {
            survey.anomaly(PART, format!("an entry at {offset:#x} is outside the file"));
            return;
        };
        is_first_format(image, offset, PART, survey);
        let Some(library) = tables.text(image, survey, PART, file) else { return };
        let shared = Arc::from(library.as_str());
        let mut need = VersionNeed { library, versions: Vec::new() };
        let mut entry = offset + u64::from(first);
        loop {
            if !survey.admit(PART) {
                return;
            }
            let (Some(hash), Some(flags), Some(index), Some(name), Some(step)) = (
                bytes.u32(entry),
                bytes.u16(entry + 4),
                bytes.u16(entry + 6),
                bytes.u32(entry + 8),
                bytes.u32(entry + 12),
            ) else {
                survey.anomaly(PART, format!("a version at {entry:#x} is outside the file"));
                return;
            };
            let Some(name) = tables.text(image, survey, PART, name) else { return };
            is_hash_of(hash, &name, PART, survey);
            let version = Version { name: name.as_str().into(), library: Some(Arc::clone(&shared)) };
            tables.versions.insert(index & 0x7fff, version);
            need.versions.push(NeededVersion { name, flags, index, hash });
            entry += u64::from(step);
            if step == 0 {
                break;
            }
        }
        if need.versions.len() != usize::from(count) {
            survey.anomaly(
                PART,
                format!("{} has {} versions, its entry says {count}", need.library, need.versions.len()),
            );
        }
        elf.versions_needed.push(need);
        offset += u64::from(next);
        if next == 0 {
            break;
        }
    }
    counted(elf, constants::DT_VERNEEDNUM, files, PART, survey);
}

/// Loaders stop at a table of versions in another format than the first (glibc, elf/dl-version.c).
fn is_first_format(image: Image<'_>, offset: u64, part: &str, survey: &mut Survey) {
    let format = image.bytes.u16(offset).unwrap_or(0);
    if format != 1 {
        survey.anomaly(part, format!("the entry at {offset:#x} has format {format}, not 1"));
    }
}

/// Loaders look for the hash before they compare names, so a version whose name alone was edited is not found.
fn is_hash_of(stored: u32, name: &str, part: &str, survey: &mut Survey) {
    let hash = elf_hash(name.as_bytes());
    if stored != hash {
        survey.anomaly(part, format!("{name} has the hash {stored:#x} of another name, not {hash:#x}"));
    }
}

/// The hash of `DT_HASH` and of versions' names (gABI, Hash Table).
fn elf_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// Whether the dynamic entry `tag` says how many there are, which loaders do not ask.
fn counted(elf: &Elf, tag: i64, found: u64, part: &str, survey: &mut Survey) {
    let said = value(elf, tag);
    if said != Some(found) {
        survey.anomaly(part, format!("there are {found}, the dynamic section says {}", said.unwrap_or(0)));
    }
}

/// The chain at `DT_VERDEF`.
fn read_defined_versions(image: Image<'_>, elf: &mut Elf, tables: &mut Tables<'_>, survey: &mut Survey) {
    const PART: &str = "versions defined";
    let Some(address) = value(elf, constants::DT_VERDEF) else { return };
    let Some((mut offset, _)) = image.locate(elf, address) else {
        survey.anomaly(PART, format!("DT_VERDEF {address:#x} is in no segment"));
        return;
    };
    let bytes = image.bytes;
    let mut versions = 0;
    loop {
        versions += 1;
        if !survey.admit(PART) {
            return;
        }
        let (Some(flags), Some(index), Some(hash), Some(first), Some(next)) = (
            bytes.u16(offset + 2),
            bytes.u16(offset + 4),
            bytes.u32(offset + 8),
            bytes.u32(offset + 12),
            bytes.u32(offset + 16),
        ) else {
            survey.anomaly(PART, format!("an entry at {offset:#x} is outside the file"));
            return;
        };
        is_first_format(image, offset, PART, survey);
        // The first auxiliary entry is the version's own name; further ones name what it builds upon.
        let name = bytes.u32(offset + u64::from(first));
        let Some(name) = name.and_then(|name| tables.text(image, survey, PART, name)) else { return };
        is_hash_of(hash, &name, PART, survey);
        tables.versions.insert(index & 0x7fff, Version { name: name.as_str().into(), library: None });
        elf.versions_defined.push(VersionDefinition { name, flags, index });
        offset += u64::from(next);
        if next == 0 {
            break;
        }
    }
    counted(elf, constants::DT_VERDEFNUM, versions, PART, survey);
}
