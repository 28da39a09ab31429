//! Cabinets (MS-CAB): files one after the other in folders, each folder one stream of compressed blocks.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use lzxd::{Lzxd, WindowSize};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::error::{damaged, from_io};
use crate::limits::{Exact, Metered, drain};
use crate::visit::{Names, Visit, shown};
use crate::{Error, ErrorKind};

/// Bytes that a block unpacks to at most, and the window of MSZIP.
const BLOCK: usize = 32 << 10;
/// What a block may have beyond that when it cannot be compressed (MS-CAB 2.3).
const PACKED: usize = BLOCK + 6144;
/// Bytes of a name without its end.
const NAME: usize = 256;
/// Flags of the header: the set has a cabinet before this one, one after it; room is reserved in header, folders, blocks.
const PREVIOUS: u16 = 1;
const NEXT: u16 = 2;
const RESERVES: u16 = 4;
/// A file's attribute: its name is UTF-8.
const UTF8: u16 = 0x80;

struct Cabinet {
    folders: Vec<Folder>,
    files: Vec<File>,
    block_reserve: usize,
}

#[derive(Clone, Copy)]
struct Folder {
    offset: usize,
    blocks: u16,
    compression: u16,
}

struct File {
    name: String,
    folder: u16,
    offset: u32,
    size: u32,
}

/// Visits the files of `archive`, folder by folder.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, bytes: &[u8]) -> Result<(), Error> {
    let most = visit.budget.limits.members;
    let cabinet =
        Cabinet::read(bytes, most).ok_or_else(|| damaged(archive, "its tables lie outside of it"))?;
    let mut names = Names::default();
    let mut files: Vec<_> = cabinet.files.iter().collect();
    files.sort_by_key(|file| (file.folder, file.offset));
    for files in files.chunk_by(|one, other| one.folder == other.folder) {
        let Some(folder) = cabinet.folders.get(usize::from(files[0].folder)) else { break };
        if let Err(error) = read_folder(visit, archive, bytes, &cabinet, *folder, files, &mut names) {
            visit.unreadable(archive, error);
        }
        if visit.ended() {
            return Ok(());
        }
    }
    // 0xFFFD and above: begun in the cabinet before this one, or ended in the next (MS-CAB 2.3, CFFILE).
    for file in cabinet.files.iter().filter(|file| usize::from(file.folder) >= cabinet.folders.len()) {
        let name = format!("{archive}!{}", shown(&file.name));
        let message = format!("{name} lies in another cabinet, as a whole or in part");
        visit.unreadable(&name, Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}

fn read_folder(
    visit: &mut Visit<'_>,
    archive: &str,
    bytes: &[u8],
    cabinet: &Cabinet,
    folder: Folder,
    files: &[&File],
    names: &mut Names,
) -> Result<(), Error> {
    let unpacker = Unpacker::of(folder.compression).ok_or_else(|| {
        let message = format!("{archive} is packed with compression {:#06x}", folder.compression);
        Error::new(ErrorKind::Unsupported, message)
    })?;
    let blocks = Blocks {
        bytes,
        offset: folder.offset,
        left: folder.blocks,
        reserve: cabinet.block_reserve,
        unpacker,
        ready: Vec::new(),
        given: 0,
    };
    let mut reader = Metered { reader: blocks, budget: visit.budget };
    let mut at = 0;
    for file in files {
        if visit.ended() {
            return Ok(());
        }
        let start = u64::from(file.offset);
        if start < at {
            return Err(damaged(archive, format!("{} shares bytes with another file", shown(&file.name))));
        }
        let failed = |error| from_io(archive, error);
        drain(&mut Exact { reader: &mut reader, left: start - at }).map_err(failed)?;
        let mut member = Exact { reader: &mut reader, left: file.size.into() };
        visit.member(archive, &file.name, None, names, &mut member);
        if member.left > 0 {
            // The blocks are damaged; the member said so.
            return Ok(());
        }
        at = start + u64::from(file.size);
    }
    Ok(())
}

impl Cabinet {
    fn read(bytes: &[u8], most: u64) -> Option<Cabinet> {
        let (files_at, folder_count, file_count) =
            (u32_at(bytes, 16)?, u16_at(bytes, 26)?, u16_at(bytes, 28)?);
        let flags = u16_at(bytes, 30)?;
        let mut at = 36;
        let (mut folder_reserve, mut block_reserve) = (0, 0);
        if flags & RESERVES != 0 {
            let header_reserve = usize::from(u16_at(bytes, at)?);
            folder_reserve = usize::from(*bytes.get(at + 2)?);
            block_reserve = usize::from(*bytes.get(at + 3)?);
            at += 4 + header_reserve;
        }
        // The names of the cabinet and its disk, for either neighbour.
        for _ in 0..2 * (u16::from(flags & PREVIOUS != 0) + u16::from(flags & NEXT != 0)) {
            at += text_at(bytes, at)?.len() + 1;
        }
        let mut folders = Vec::new();
        for _ in 0..folder_count {
            folders.push(Folder {
                offset: u32_at(bytes, at)? as usize,
                blocks: u16_at(bytes, at + 4)?,
                compression: u16_at(bytes, at + 6)?,
            });
            at += 8 + folder_reserve;
        }
        let mut files = Vec::new();
        at = files_at as usize;
        for _ in 0..u64::from(file_count).min(most.saturating_add(1)) {
            let name = text_at(bytes, at + 16)?;
            let wide = u16_at(bytes, at + 14)? & UTF8 != 0;
            let latin = || name.iter().map(|byte| char::from(*byte)).collect();
            files.push(File {
                // Windows separates folders by backslashes, everything else here by slashes.
                name: if wide { String::from_utf8_lossy(name).into_owned() } else { latin() }
                    .replace('\\', "/"),
                folder: u16_at(bytes, at + 8)?,
                offset: u32_at(bytes, at + 4)?,
                size: u32_at(bytes, at)?,
            });
            at += 16 + name.len() + 1;
        }
        Some(Cabinet { folders, files, block_reserve })
    }
}

/// The unpacked bytes of a folder.
struct Blocks<'b> {
    bytes: &'b [u8],
    offset: usize,
    left: u16,
    reserve: usize,
    unpacker: Unpacker,
    ready: Vec<u8>,
    given: usize,
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.given = 0;
            self.ready.clear();
            self.next()?;
        }
        let read = (&self.ready[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

impl Blocks<'_> {
    fn next(&mut self) -> io::Result<()> {
        let outside = || invalid("a block lies outside of the cabinet");
        let header = self.bytes.get(self.offset..).and_then(|rest| rest.get(..8 + self.reserve));
        let header = header.ok_or_else(outside)?;
        let (wanted, packed, unpacked) = (u32_at(header, 0), u16_at(header, 4), u16_at(header, 6));
        let (packed, unpacked) = (usize::from(packed.unwrap_or(0)), usize::from(unpacked.unwrap_or(0)));
        if packed > PACKED || unpacked > BLOCK {
            return Err(invalid("a block is larger than blocks may be"));
        }
        if unpacked == 0 {
            return Err(invalid("a block goes on in the next cabinet"));
        }
        let start = self.offset + header.len();
        let data = self.bytes.get(start..start + packed).ok_or_else(outside)?;
        let found = checksum(&header[4..], checksum(data, 0));
        // Zero says that nobody took one.
        if wanted.is_some_and(|wanted| wanted != 0 && wanted != found) {
            return Err(invalid("a block's checksum is wrong"));
        }
        self.offset = start + packed;
        self.unpacker.unpack(data, unpacked, &mut self.ready)
    }
}

/// A folder's compression, with what it keeps from block to block.
enum Unpacker {
    Stored,
    /// Deflate; each block may refer to the 32 KiB before it.
    Zip {
        window: Vec<u8>,
    },
    Lzx(Box<Lzxd>),
}

impl Unpacker {
    /// MS-CAB 2.3, CFFOLDER, typeCompress: the method, and for LZX the window's size as a power of two.
    fn of(compression: u16) -> Option<Unpacker> {
        match (compression & 0xf, compression >> 8 & 0x1f) {
            (0, _) => Some(Unpacker::Stored),
            (1, _) => Some(Unpacker::Zip { window: Vec::new() }),
            (3, bits) => {
                let size = match bits {
                    15 => WindowSize::KB32,
                    16 => WindowSize::KB64,
                    17 => WindowSize::KB128,
                    18 => WindowSize::KB256,
                    19 => WindowSize::KB512,
                    20 => WindowSize::MB1,
                    21 => WindowSize::MB2,
                    _ => return None,
                };
                Some(Unpacker::Lzx(Box::new(Lzxd::new(size))))
            }
            _ => None,
        }
    }

    fn unpack(&mut self, data: &[u8], size: usize, ready: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Unpacker::Stored => ready.extend_from_slice(data),
            Unpacker::Zip { window } => {
                let data =
                    data.strip_prefix(b"CK").ok_or_else(|| invalid("a block has no MSZIP signature"))?;
                inflate(data, size, window)?;
                ready.extend_from_slice(&window[window.len() - size..]);
                window.drain(..window.len().saturating_sub(BLOCK));
            }
            Unpacker::Lzx(lzx) => {
                // Its author's checks are assertions in places; here a panic is one more damaged block.
                let unpacked =
                    catch_unwind(AssertUnwindSafe(|| lzx.decompress_next(data, size).map(<[u8]>::to_vec)));
                match unpacked {
                    Ok(Ok(bytes)) => ready.extend(bytes),
                    Ok(Err(error)) => return Err(invalid(&error.to_string())),
                    Err(_) => return Err(invalid("a block's LZX data contradicts itself")),
                }
            }
        }
        if ready.len() == size { Ok(()) } else { Err(invalid("a block has another size than it says")) }
    }
}

/// Appends the `size` bytes that `data` unpacks to; it may refer to what `window` holds already.
fn inflate(data: &[u8], size: usize, window: &mut Vec<u8>) -> io::Result<()> {
    let before = window.len();
    window.resize(before + size, 0);
    let mut state = DecompressorOxide::new();
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut state, data, window, before, flags);
    if status == TINFLStatus::Done && written == size {
        Ok(())
    } else {
        Err(invalid("a block's deflate data is damaged"))
    }
}

/// MS-CAB 3.1: the exclusive or of all four-byte words, and of what is left in an order of its own.
fn checksum(bytes: &[u8], seed: u32) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum = words.iter().fold(seed, |sum, word| sum ^ u32::from_le_bytes(*word));
    sum ^ rest.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn text_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let text = bytes.get(at..)?;
    text.iter().take(NAME + 1).position(|byte| *byte == 0).map(|end| &text[..end])
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
