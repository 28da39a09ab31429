//! A PE32+ file taken apart into headers and sections, and put together again.

use std::collections::BTreeSet;

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_DOS_SIGNATURE, IMAGE_NT_OPTIONAL_HDR64_MAGIC, IMAGE_NT_SIGNATURE,
    IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_CNT_UNINITIALIZED_DATA, IMAGE_SCN_MEM_DISCARDABLE,
    IMAGE_SCN_MEM_READ, ImageDataDirectory, ImageDosHeader, ImageFileHeader, ImageOptionalHeader64,
    ImageSectionHeader,
};
use object::{LittleEndian, pod};

use super::directories;
use crate::{Error, ErrorKind, Job};

/// PE files are little-endian.
pub(super) const ENDIAN: LittleEndian = LittleEndian;

/// The Windows loader takes no more (PE format, "COFF File Header").
const MOST_SECTIONS: usize = 96;
const MOST_DIRECTORIES: usize = 16;
const SYMBOL: usize = 18;
const SECTION_HEADER: usize = size_of::<ImageSectionHeader>();

/// A file in parts. Section ranges were checked: ascending addresses, file ranges that do not overlap.
#[derive(Clone)]
pub(super) struct Image {
    /// The first `SizeOfHeaders` bytes; the parsed parts are written over them.
    head: Vec<u8>,
    /// Offset of the COFF header, behind the signature.
    file_at: usize,
    pub(super) file: ImageFileHeader,
    pub(super) optional: ImageOptionalHeader64,
    directories: Vec<ImageDataDirectory>,
    pub(super) sections: Vec<Section>,
    /// The COFF symbol table and string table as they were, until [`Image::remove_symbols`].
    symbols: Option<Vec<u8>>,
}

/// A section with its bytes.
#[derive(Clone)]
pub(super) struct Section {
    pub(super) header: ImageSectionHeader,
    /// The name, looked up in the string table where the header only refers to it.
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    /// Whether [`Section::empty`] took the bytes away.
    pub(super) is_emptied: bool,
}

/// Where a section's bytes were in the file and where they are now.
pub(super) struct Move {
    old: u32,
    address: u32,
    size: u32,
    new: u32,
}

impl Move {
    /// The new place of what was at `offset` in the file, and is at `address` in memory unless that is 0.
    pub(super) fn of(&self, offset: u32, address: u32) -> Option<u32> {
        let inside =
            if address == 0 { offset.checked_sub(self.old) } else { address.checked_sub(self.address) };
        inside.filter(|inside| *inside < self.size).map(|inside| self.new + inside)
    }
}

impl Section {
    /// The address relative to the image's base.
    pub(super) fn address(&self) -> u32 {
        self.header.virtual_address.get(ENDIAN)
    }

    /// Where it ends in memory. Checked to fit in 32 bits when parsed.
    pub(super) fn end(&self) -> u32 {
        let size = match self.header.virtual_size.get(ENDIAN) {
            0 => self.header.size_of_raw_data.get(ENDIAN),
            size => size,
        };
        self.address().saturating_add(size)
    }

    /// Takes the bytes away and leaves the place, as `objcopy --only-keep-debug` does.
    pub(super) fn empty(&mut self) {
        let flags = self.header.characteristics.get(ENDIAN) | IMAGE_SCN_CNT_UNINITIALIZED_DATA;
        self.header.characteristics.set(ENDIAN, flags);
        self.data.clear();
        self.is_emptied = true;
    }
}

impl Image {
    pub(super) fn parse(job: &Job<'_>, bytes: &[u8]) -> Result<Image, Error> {
        let cut = |()| job.malformed("is cut off within its PE headers");
        let (dos, _) = pod::from_bytes::<ImageDosHeader>(bytes).map_err(cut)?;
        let at = dos.e_lfanew.get(ENDIAN) as usize;
        let signature = word(bytes, at).ok_or_else(|| cut(()))?;
        if dos.e_magic.get(ENDIAN) != IMAGE_DOS_SIGNATURE || signature != IMAGE_NT_SIGNATURE {
            return Err(job.malformed("is not a PE file"));
        }
        let file_at = at + 4;
        let (file, tail) = pod::from_bytes::<ImageFileHeader>(&bytes[file_at..]).map_err(cut)?;
        let (optional, _) = pod::from_bytes::<ImageOptionalHeader64>(tail).map_err(cut)?;
        check_kind(job, bytes, file, optional)?;
        let optional_at = file_at + size_of::<ImageFileHeader>();
        let count = optional.number_of_rva_and_sizes.get(ENDIAN) as usize;
        let (directories, _) =
            pod::slice_from_bytes(&tail[size_of::<ImageOptionalHeader64>()..], count).map_err(cut)?;
        let table = bytes.get(optional_at + usize::from(file.size_of_optional_header.get(ENDIAN))..);
        let section_count = usize::from(file.number_of_sections.get(ENDIAN));
        let (headers, _) =
            pod::slice_from_bytes(table.ok_or_else(|| cut(()))?, section_count).map_err(cut)?;
        let symbols = symbol_bytes(job, bytes, file)?;
        let image = Image {
            head: bytes[..optional.size_of_headers.get(ENDIAN) as usize].to_vec(),
            file_at,
            file: *file,
            optional: *optional,
            directories: directories.to_vec(),
            sections: sections(job, bytes, headers, symbols.map(|symbols| strings(symbols, file)))?,
            symbols: symbols.map(<[u8]>::to_vec),
        };
        if image.directory(IMAGE_DIRECTORY_ENTRY_SECURITY) != (0, 0) {
            let message = format!("{}: is signed, and every edit would break the signature", job.subject);
            return Err(Error::new(ErrorKind::Signed, message).with_hint("sign after finishing"));
        }
        image.check_layout(job, bytes.len())?;
        image.check_appended(job, bytes)?;
        Ok(image)
    }

    pub(super) fn name_text(&self, index: usize) -> String {
        String::from_utf8_lossy(&self.sections[index].name).into_owned()
    }

    pub(super) fn section_data(&mut self, name: &str) -> Option<&mut [u8]> {
        let found = self.sections.iter_mut().find(|section| section.name == name.as_bytes());
        found.map(|section| section.data.as_mut_slice())
    }

    /// The index of the section that `address` lies in.
    pub(super) fn section_at(&self, address: u32) -> Option<usize> {
        self.sections.iter().position(|section| (section.address()..section.end()).contains(&address))
    }

    /// Address and size of a data directory; zeros where there is none.
    pub(super) fn directory(&self, index: usize) -> (u32, u32) {
        let entry = self.directories.get(index);
        entry.map_or((0, 0), |entry| (entry.virtual_address.get(ENDIAN), entry.size.get(ENDIAN)))
    }

    /// Whether a data directory or the entry point lies in a section.
    pub(super) fn is_referenced(&self, index: usize) -> bool {
        let section = &self.sections[index];
        let holds = |address: u32| (section.address()..section.end()).contains(&address);
        holds(self.optional.address_of_entry_point.get(ENDIAN))
            || (0..self.directories.len()).any(|at| holds(self.directory(at).0))
    }

    pub(super) fn has_symbols(&self) -> bool {
        self.symbols.is_some() && self.file.number_of_symbols.get(ENDIAN) > 0
    }

    /// Takes the COFF symbols out and says how many there were.
    pub(super) fn remove_symbols(&mut self) -> u32 {
        self.symbols = None;
        let count = self.file.number_of_symbols.get(ENDIAN);
        self.file.number_of_symbols.set(ENDIAN, 0);
        count
    }

    /// Takes sections out. The loader wants sections without gaps between them, so the section before a gap grows over
    /// it; what it gains is zeros in memory, none in the file.
    pub(super) fn remove(&mut self, job: &Job<'_>, indices: &BTreeSet<usize>) -> Result<(), Error> {
        let mut kept: Vec<Section> = Vec::new();
        let mut has_gap = false;
        for (index, section) in std::mem::take(&mut self.sections).into_iter().enumerate() {
            if indices.contains(&index) {
                let size = self.optional.size_of_initialized_data.get(ENDIAN);
                let less = size.saturating_sub(section.data.len() as u32);
                self.optional.size_of_initialized_data.set(ENDIAN, less);
                has_gap = true;
                continue;
            }
            if has_gap {
                let before = kept.last_mut();
                let before =
                    before.ok_or_else(|| job.unsupported("begins with a section that is to be dropped"))?;
                before.header.virtual_size.set(ENDIAN, section.address() - before.address());
            }
            has_gap = false;
            kept.push(section);
        }
        self.sections = kept;
        Ok(())
    }

    /// Appends a read-only section that no loader needs; `false` where the headers have no room for one more.
    pub(super) fn add_discardable(&mut self, name: &[u8], data: Vec<u8>) -> bool {
        let table_at = self.section_table_at();
        let new = table_at + self.sections.len() * SECTION_HEADER
            ..table_at + (self.sections.len() + 1) * SECTION_HEADER;
        let used = table_at + usize::from(self.file.number_of_sections.get(ENDIAN)) * SECTION_HEADER;
        let is_free = |at: usize| at < used || self.head[at] == 0;
        let is_room = new.end <= self.head.len() && new.into_iter().all(is_free);
        let end = self.size_of_image();
        if !is_room || self.sections.len() >= MOST_SECTIONS || end.checked_add(0x10_0000).is_none() {
            return false;
        }
        let zeros = [0; SECTION_HEADER];
        let (header, _) = pod::from_bytes::<ImageSectionHeader>(&zeros).expect("as many zeros as it takes");
        let mut header = *header;
        header.virtual_size.set(ENDIAN, data.len() as u32);
        header.virtual_address.set(ENDIAN, end);
        let flags = IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ | IMAGE_SCN_MEM_DISCARDABLE;
        header.characteristics.set(ENDIAN, flags);
        self.sections.push(Section { header, name: name.to_vec(), data, is_emptied: false });
        true
    }

    /// Offset of the optional header's `CheckSum`.
    pub(super) fn checksum_offset(&self) -> usize {
        self.file_at + size_of::<ImageFileHeader>() + 64
    }

    /// Puts the file together: headers, sections in table order, symbols or the names that do not fit into headers.
    pub(super) fn write(&self, job: &Job<'_>) -> Result<Vec<u8>, Error> {
        let mut image = self.clone();
        let alignment = self.optional.file_alignment.get(ENDIAN) as usize;
        let mut at = self.head.len().next_multiple_of(alignment);
        let mut moves = Vec::new();
        for section in &mut image.sections {
            let size = section.data.len().next_multiple_of(alignment);
            section.data.resize(size, 0);
            let old = section.header.pointer_to_raw_data.get(ENDIAN);
            moves.push(Move { old, address: section.address(), size: size as u32, new: at as u32 });
            section.header.pointer_to_raw_data.set(ENDIAN, if size == 0 { 0 } else { at as u32 });
            section.header.size_of_raw_data.set(ENDIAN, size as u32);
            at += size;
        }
        directories::move_debug_data(job, &mut image, &moves)?;
        let tail = image.symbols.clone().unwrap_or_else(|| image.long_names());
        image.file.pointer_to_symbol_table.set(ENDIAN, if tail.is_empty() { 0 } else { at as u32 });
        let mut file = image.headers();
        file.resize(file.len().next_multiple_of(alignment), 0);
        image.sections.iter().for_each(|section| file.extend(&section.data));
        file.extend(tail);
        Ok(file)
    }

    fn headers(&self) -> Vec<u8> {
        let mut head = self.head.clone();
        let table_at = self.section_table_at();
        let old_table = table_at + usize::from(self.file.number_of_sections.get(ENDIAN)) * SECTION_HEADER;
        head[table_at..old_table].fill(0);
        let (mut file, mut optional) = (self.file, self.optional);
        file.number_of_sections.set(ENDIAN, self.sections.len() as u16);
        optional.size_of_image.set(ENDIAN, self.size_of_image());
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(self.file_at, pod::bytes_of(&file));
        put(self.file_at + size_of::<ImageFileHeader>(), pod::bytes_of(&optional));
        for (index, section) in self.sections.iter().enumerate() {
            put(table_at + index * SECTION_HEADER, pod::bytes_of(&section.header));
        }
        head
    }

    /// Gives every section its name; those of more than 8 bytes go into a string table, which is the result.
    fn long_names(&mut self) -> Vec<u8> {
        let mut table = vec![0; 4];
        for section in &mut self.sections {
            let mut name = section.name.clone();
            if name.len() > 8 {
                name = format!("/{}", table.len()).into_bytes();
                table.extend(&section.name);
                table.push(0);
            }
            name.resize(8, 0);
            section.header.name.copy_from_slice(&name);
        }
        let size = table.len() as u32;
        if size == 4 {
            return Vec::new();
        }
        table[..4].copy_from_slice(&size.to_le_bytes());
        table
    }

    fn section_table_at(&self) -> usize {
        let optional = usize::from(self.file.size_of_optional_header.get(ENDIAN));
        self.file_at + size_of::<ImageFileHeader>() + optional
    }

    fn size_of_image(&self) -> u32 {
        let alignment = self.optional.section_alignment.get(ENDIAN);
        let end = self.sections.last().map_or(self.head.len() as u32, Section::end);
        end.checked_next_multiple_of(alignment).unwrap_or(u32::MAX)
    }

    fn check_layout(&self, job: &Job<'_>, length: usize) -> Result<(), Error> {
        let table_end = self.section_table_at() + self.sections.len() * SECTION_HEADER;
        if table_end > self.head.len() {
            return Err(job.malformed("has a section table that ends behind its headers"));
        }
        let mut free = self.head.len();
        let mut address = self.head.len() as u64;
        for (index, section) in self.sections.iter().enumerate() {
            let start = section.header.pointer_to_raw_data.get(ENDIAN) as usize;
            if !section.data.is_empty() && (start < free || start > length) {
                return Err(job.malformed(&format!("section {index} overlaps what is before it in the file")));
            }
            free = free.max(if section.data.is_empty() { 0 } else { start + section.data.len() });
            if u64::from(section.address()) < address || section.end() == u32::MAX {
                return Err(job.malformed(&format!("section {index} overlaps what is before it in memory")));
            }
            address = u64::from(section.end());
        }
        Ok(())
    }

    /// Bytes behind sections and symbols are somebody's data, such as an installer's payload. Padding is none.
    fn check_appended(&self, job: &Job<'_>, bytes: &[u8]) -> Result<(), Error> {
        let end_of =
            |section: &Section| section.header.pointer_to_raw_data.get(ENDIAN) as usize + section.data.len();
        let sections = self.sections.iter().filter(|section| !section.data.is_empty()).map(end_of);
        let symbols = self.file.pointer_to_symbol_table.get(ENDIAN) as usize
            + self.symbols.as_ref().map_or(0, |symbols| symbols.len());
        let end = sections.chain([symbols, self.head.len()]).max().unwrap_or_default();
        let rest = bytes.get(end..).unwrap_or_default();
        let is_padding = rest.len() < self.optional.file_alignment.get(ENDIAN) as usize;
        if is_padding && rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        Err(job
            .unsupported(&format!("has {} bytes appended behind its sections", rest.len()))
            .with_hint("append the data after finishing"))
    }
}

/// The little-endian 32-bit word at `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

fn check_kind(
    job: &Job<'_>,
    bytes: &[u8],
    file: &ImageFileHeader,
    optional: &ImageOptionalHeader64,
) -> Result<(), Error> {
    if optional.magic.get(ENDIAN) != IMAGE_NT_OPTIONAL_HDR64_MAGIC {
        return Err(job.unsupported("is not a PE32+ (64-bit) file"));
    }
    let directories = optional.number_of_rva_and_sizes.get(ENDIAN) as usize;
    let needed =
        size_of::<ImageOptionalHeader64>() + directories.min(1 << 16) * size_of::<ImageDataDirectory>();
    if directories > MOST_DIRECTORIES || usize::from(file.size_of_optional_header.get(ENDIAN)) < needed {
        return Err(job.malformed("has an optional header of the wrong size"));
    }
    if usize::from(file.number_of_sections.get(ENDIAN)) > MOST_SECTIONS {
        return Err(job.unsupported("has more sections than Windows loads"));
    }
    let (in_file, in_memory) = (optional.file_alignment.get(ENDIAN), optional.section_alignment.get(ENDIAN));
    let is_usual = in_file.is_power_of_two() && in_memory.is_power_of_two();
    if !is_usual || !(512..=65536).contains(&in_file) || !(4096..=1 << 24).contains(&in_memory) {
        return Err(
            job.unsupported(&format!("is aligned to {in_file} in the file and {in_memory} in memory"))
        );
    }
    if optional.size_of_headers.get(ENDIAN) as usize > bytes.len() {
        return Err(job.malformed("is cut off within its PE headers"));
    }
    Ok(())
}

/// The COFF symbol table with the string table behind it (PE format, "COFF Symbol Table").
fn symbol_bytes<'a>(
    job: &Job<'_>,
    bytes: &'a [u8],
    file: &ImageFileHeader,
) -> Result<Option<&'a [u8]>, Error> {
    let start = file.pointer_to_symbol_table.get(ENDIAN) as usize;
    if start == 0 {
        return Ok(None);
    }
    let symbols = file.number_of_symbols.get(ENDIAN) as usize * SYMBOL;
    let size = word(bytes, start + symbols).map(|strings| symbols + (strings as usize).max(4));
    let found = size.and_then(|size| bytes.get(start..start + size));
    found.map(Some).ok_or_else(|| job.malformed("has a COFF symbol table that is cut off"))
}

fn strings<'a>(symbols: &'a [u8], file: &ImageFileHeader) -> &'a [u8] {
    &symbols[file.number_of_symbols.get(ENDIAN) as usize * SYMBOL..]
}

fn sections(
    job: &Job<'_>,
    bytes: &[u8],
    headers: &[ImageSectionHeader],
    strings: Option<&[u8]>,
) -> Result<Vec<Section>, Error> {
    // Before anything is copied: sections that overlap would multiply.
    let sizes = headers.iter().filter(|header| header.pointer_to_raw_data.get(ENDIAN) != 0);
    let total: u64 = sizes.map(|header| u64::from(header.size_of_raw_data.get(ENDIAN))).sum();
    if total > bytes.len() as u64 {
        return Err(job.malformed("has sections larger than the file"));
    }
    let section = |(index, header): (usize, &ImageSectionHeader)| {
        if header.pointer_to_relocations.get(ENDIAN) != 0 || header.pointer_to_linenumbers.get(ENDIAN) != 0 {
            return Err(job.unsupported(&format!("section {index} has COFF relocations or line numbers")));
        }
        let start = header.pointer_to_raw_data.get(ENDIAN) as usize;
        let size = if start == 0 { 0 } else { header.size_of_raw_data.get(ENDIAN) as usize };
        let data = bytes.get(start..start + size);
        let data = data.ok_or_else(|| job.malformed(&format!("section {index} ends behind the file")))?;
        let name = name(header, strings)
            .ok_or_else(|| job.malformed(&format!("section {index} has a name that cannot be read")))?;
        Ok(Section { header: *header, name, data: data.to_vec(), is_emptied: false })
    };
    headers.iter().enumerate().map(section).collect()
}

/// A section's name; `/<decimal>` refers to the string table (PE format, "Section Table").
fn name(header: &ImageSectionHeader, strings: Option<&[u8]>) -> Option<Vec<u8>> {
    let until_nul = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let short = &header.name[..until_nul(&header.name)];
    let Some(digits) = short.strip_prefix(b"/") else { return Some(short.to_vec()) };
    let at: usize = str::from_utf8(digits).ok()?.parse().ok()?;
    let tail = strings?.get(at..)?;
    let tail = &tail[..tail.len().min(256)];
    let end = tail.iter().position(|byte| *byte == 0)?;
    Some(tail[..end].to_vec())
}
