//! A program cut into named pieces of known purpose.

use std::ops::Range;

use inspect::Facts;
use inspect::facts::{Binary, Elf, Pe};

const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const IMAGE_SCN_CNT_CODE: u32 = 0x20;
const IMAGE_SCN_MEM_WRITE: u32 = 0x8000_0000;

const CERTIFICATE_DIRECTORY: usize = 4;

/// Pieces that lie on each other are looked at as long as all together are so many times the file.
const OVERLAPPING: usize = 4;
/// In so many pieces of code functions are looked for; compilers make five.
const CODE_PIECES: usize = 64;

/// The piece that holds a PE's signatures.
pub(crate) const CERTIFICATES: &str = "certificate table";

/// What a piece of a program is for, which decides what a difference in it may follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Machine code.
    Code,
    /// What code reads: constants and texts, with tables of addresses among them.
    Constants,
    /// What the linker or compiler computes from where everything else lies: headers, addresses, unwind tables.
    Layout,
    /// Names for linkers and debuggers.
    Symbols,
    /// What debuggers read.
    Debug,
    /// Which tools took part.
    Comment,
    /// Everything else: notes, resources, what lies behind the end.
    Other,
}

/// A run of bytes with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Where it is in the file.
    pub(crate) range: Range<usize>,
    /// Its address in memory (of PE: relative to the image base).
    pub(crate) address: u64,
}

/// A program, looked at.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) facts: Facts,
    /// In file order. A hostile file's may overlap.
    pub(crate) pieces: Vec<Piece>,
}

impl<'a> View<'a> {
    /// `None` where the bytes are no program that can be read.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<View<'a>> {
        let facts = inspect::inspect(bytes).ok()?;
        let mut pieces = match &facts.binary {
            Binary::Elf(elf) => elf_pieces(elf, bytes),
            Binary::Pe(pe) => pe_pieces(pe, bytes),
        };
        pieces.retain(|piece| !piece.range.is_empty());
        pieces.sort_by_key(|piece| (piece.range.start, piece.range.end));
        let mut left = bytes.len().saturating_mul(OVERLAPPING);
        pieces.retain(|piece| {
            let fits = piece.range.len() <= left;
            left -= if fits { piece.range.len() } else { 0 };
            fits
        });
        let covered = pieces.iter().map(|piece| piece.range.end).max().unwrap_or(0);
        if covered < bytes.len() {
            let name = "behind the last section".to_owned();
            pieces.push(Piece { name, role: Role::Other, range: covered..bytes.len(), address: 0 });
        }
        Some(View { bytes, facts, pieces })
    }

    pub(crate) fn elf(&self) -> Option<&Elf> {
        match &self.facts.binary {
            Binary::Elf(elf) => Some(elf),
            Binary::Pe(_) => None,
        }
    }

    pub(crate) fn pe(&self) -> Option<&Pe> {
        match &self.facts.binary {
            Binary::Pe(pe) => Some(pe),
            Binary::Elf(_) => None,
        }
    }

    pub(crate) fn content(&self, piece: &Piece) -> &'a [u8] {
        &self.bytes[piece.range.clone()]
    }

    pub(crate) fn piece(&self, name: &str) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.name == name)
    }

    /// The pieces of code.
    pub(crate) fn code(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.role == Role::Code).take(CODE_PIECES)
    }

    /// The bytes of the pieces of one role.
    pub(crate) fn contents(&self, role: Role) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.pieces.iter().filter(move |piece| piece.role == role).map(|piece| self.content(piece))
    }
}

/// The part of `offset..offset + size` that is in the file.
fn clamped(offset: u64, size: u64, bytes: &[u8]) -> Range<usize> {
    let end = bytes.len() as u64;
    let (start, stop) = (offset.min(end), offset.saturating_add(size).min(end));
    start as usize..stop as usize
}

fn elf_pieces(elf: &Elf, bytes: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<_> = elf
        .sections
        .iter()
        .filter(|section| section.kind != SHT_NOBITS)
        .map(|section| Piece {
            name: section.name.clone(),
            role: elf_role(&section.name, section.kind, section.flags),
            range: clamped(section.offset, section.size, bytes),
            address: section.address,
        })
        .collect();
    let mut headers = |name: &str, offset: u64, size: u64| {
        let range = clamped(offset, size, bytes);
        pieces.push(Piece { name: name.to_owned(), role: Role::Layout, range, address: 0 });
    };
    headers("ELF header", 0, u64::from(elf.header_size));
    let each = u64::from(elf.program_header_entry_size);
    headers("program headers", elf.program_header_offset, each * elf.segments.len() as u64);
    let each = u64::from(elf.section_header_entry_size);
    headers("section headers", elf.section_header_offset, each * elf.sections.len() as u64);
    pieces
}

fn elf_role(name: &str, kind: u32, flags: u64) -> Role {
    const SYMBOLS: &[&str] = &[".symtab", ".strtab", ".shstrtab"];
    if flags & SHF_EXECINSTR != 0 {
        return if name.starts_with(".plt") { Role::Layout } else { Role::Code };
    }
    if kind == SHT_NOTE {
        return Role::Other;
    }
    if flags & SHF_ALLOC == 0 {
        return match name {
            ".comment" => Role::Comment,
            name if SYMBOLS.contains(&name) => Role::Symbols,
            name if name.starts_with(".debug_") || name.starts_with(".gnu_debug") => Role::Debug,
            _ => Role::Other,
        };
    }
    // Where everything lies, and the addresses of it: relocated data is nothing but that and lengths.
    const LAYOUT: &[&str] =
        &[".rela", ".rel.", ".relr", ".got", ".eh_frame", ".gnu.", ".hash", ".dyn", ".gcc_except", ".ARM.ex"];
    let is_layout = LAYOUT.iter().any(|prefix| name.starts_with(prefix));
    if is_layout || flags & SHF_WRITE != 0 { Role::Layout } else { Role::Constants }
}

fn pe_pieces(pe: &Pe, bytes: &[u8]) -> Vec<Piece> {
    let piece = |name: &str, role, range, address| Piece { name: name.to_owned(), role, range, address };
    let mut pieces = vec![piece("headers", Role::Layout, clamped(0, pe.size_of_headers.into(), bytes), 0)];
    for section in &pe.sections {
        let range = clamped(section.file_start(pe), section.raw_size.into(), bytes);
        pieces.push(piece(&section.name, pe_role(section), range, section.virtual_address.into()));
    }
    if pe.symbol_table_offset != 0 {
        // Records of 18 bytes, and the string table behind them, which begins with its size.
        let start = u64::from(pe.symbol_table_offset);
        let records = u64::from(pe.symbol_count) * 18;
        let size = clamped(start + records, 4, bytes);
        let strings = bytes[size].try_into().map_or(0, u32::from_le_bytes);
        let range = clamped(start, records + u64::from(strings), bytes);
        pieces.push(piece("COFF symbols", Role::Symbols, range, 0));
    }
    if let Some(table) = pe.directory(CERTIFICATE_DIRECTORY) {
        let range = clamped(table.address.into(), table.size.into(), bytes);
        pieces.push(piece(CERTIFICATES, Role::Other, range, 0));
    }
    pieces
}

fn pe_role(section: &inspect::facts::PeSection) -> Role {
    const LAYOUT: &[&str] =
        &[".pdata", ".xdata", ".reloc", ".idata", ".edata", ".CRT", ".tls", ".eh_fram", ".didat", ".buildid"];
    let name = section.name.as_str();
    if section.characteristics & IMAGE_SCN_CNT_CODE != 0 {
        Role::Code
    } else if name.starts_with(".debug") || name.starts_with(".gnu_debug") {
        Role::Debug
    } else if LAYOUT.iter().any(|prefix| name.starts_with(prefix))
        || section.characteristics & IMAGE_SCN_MEM_WRITE != 0
    {
        Role::Layout
    } else if name == ".rsrc" || name == provenance::PE_SECTION {
        Role::Other
    } else {
        Role::Constants
    }
}
