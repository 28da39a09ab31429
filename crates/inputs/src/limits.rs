//! Hard caps, and the budget that one source is read under.

use std::cell::Cell;
use std::io::{self, Read};

use crate::{Error, ErrorKind};

/// How much is read at most. Every limit that is hit is an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file or member that is looked at whole.
    pub file_bytes: u64,
    /// Bytes unpacked from one source, at every depth.
    pub unpacked_bytes: u64,
    /// How many times its own size a source may unpack to, beyond [`Limits::free_bytes`].
    pub ratio: u64,
    /// Bytes that any source may unpack to, however small it is.
    pub free_bytes: u64,
    /// Members of one source, at every depth.
    pub members: u64,
    /// How deep archives lie in archives.
    pub nesting: usize,
    /// How deep folders lie in folders.
    pub depth: usize,
    /// Files of one folder and the folders in it.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            file_bytes: 2 << 30,
            unpacked_bytes: 32 << 30,
            ratio: 100,
            free_bytes: 128 << 20,
            members: 1_000_000,
            nesting: 8,
            depth: 64,
            files: 2_000_000,
        }
    }
}

/// Members of one source that are reported as unreadable; what comes after them is not read.
pub(crate) const PROBLEMS: usize = 1_000;
/// Bytes of one member that are kept in memory; a larger one lies in a file without a name.
pub(crate) const IN_MEMORY: usize = 8 << 20;
/// Bytes that are unpacked of a single packed file which begins as nothing of interest, to see whether it is damaged.
pub(crate) const CHECKED: u64 = 16 << 20;
/// The largest window of a decoder, in bytes: what `xz -9` asks for.
pub(crate) const WINDOW: u64 = 64 << 20;
/// Bytes of a member's name.
pub(crate) const NAME: u64 = 64 << 10;
/// Bytes of one record about members: pax headers, rpm headers, an image's manifests.
pub(crate) const RECORD: u64 = 16 << 20;

/// What one source has used of its limits. Shared by all readers of the source, which run in one thread.
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    members: Cell<u64>,
    spent: Cell<bool>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Budget {
        Budget {
            limits: *limits,
            packed: Cell::new(0),
            unpacked: Cell::new(0),
            members: Cell::new(0),
            spent: Cell::new(false),
        }
    }

    /// Whether a limit of the whole source was hit: nothing more is read from it.
    pub(crate) fn spent(&self) -> bool {
        self.spent.get()
    }

    /// `bytes` were found outside of any archive: what the ratio is measured against.
    pub(crate) fn found(&self, bytes: u64) {
        self.packed.set(self.packed.get().saturating_add(bytes));
    }

    /// One more member.
    pub(crate) fn member(&self) -> Result<(), Error> {
        self.members.set(self.members.get() + 1);
        if self.members.get() > self.limits.members {
            return Err(self.refuse(format!("more than {} members", self.limits.members)));
        }
        Ok(())
    }

    /// `bytes` more were unpacked.
    pub(crate) fn unpack(&self, bytes: u64) -> Result<(), Error> {
        let unpacked = self.unpacked.get().saturating_add(bytes);
        self.unpacked.set(unpacked);
        let Limits { unpacked_bytes, ratio, free_bytes, .. } = self.limits;
        if unpacked > unpacked_bytes {
            return Err(self.refuse(format!("it unpacks to more than {unpacked_bytes} bytes")));
        }
        if unpacked > free_bytes.saturating_add(self.packed.get().saturating_mul(ratio)) {
            let packed = self.packed.get();
            return Err(self.refuse(format!(
                "its {packed} bytes unpack to more than {unpacked} bytes, over {ratio} times as many"
            )));
        }
        Ok(())
    }

    fn refuse(&self, what: String) -> Error {
        self.spent.set(true);
        Error::new(ErrorKind::TooLarge, format!("not read further: {what}"))
            .with_hint("look at what it holds by hand, in a place that may fill up")
    }
}

/// Counts what is unpacked.
pub(crate) struct Metered<'b, R> {
    pub(crate) reader: R,
    pub(crate) budget: &'b Budget,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.budget.unpack(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}

/// Counts what was found outside of any archive, as it comes.
pub(crate) struct Counted<'b, R> {
    pub(crate) reader: R,
    pub(crate) budget: &'b Budget,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.budget.found(read as u64);
        Ok(read)
    }
}

/// Exactly `left` bytes: an end before them is an error, not an end.
pub(crate) struct Exact<R> {
    pub(crate) reader: R,
    pub(crate) left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 {
            let text = format!("it ends {} bytes too early", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Exactly `size` bytes of a record; `what` names it in the error of one that is larger than `most`.
pub(crate) fn record(reader: &mut dyn Read, size: u64, most: u64, what: &str) -> io::Result<Vec<u8>> {
    if size > most {
        let message = format!("{what} of {size} bytes, which is more than {most}");
        return Err(io::Error::other(Error::new(ErrorKind::TooLarge, message)));
    }
    let mut bytes = Vec::new();
    Exact { reader, left: size }.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads on to the end, so that whatever checks the bytes comes to its verdict.
pub(crate) fn drain(reader: &mut dyn Read) -> io::Result<u64> {
    let mut piece = [0; 16 << 10];
    let mut drained = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(drained),
            Ok(read) => drained += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads on to the end, and tells whether nothing but zeros came.
pub(crate) fn only_zeros(reader: &mut dyn Read) -> io::Result<bool> {
    let mut piece = [0; 16 << 10];
    let mut zeros = true;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(zeros),
            Ok(read) => zeros &= piece[..read].iter().all(|byte| *byte == 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
