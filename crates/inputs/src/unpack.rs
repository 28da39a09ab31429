//! The compressions, each as a reader that counts what it gives.

use std::io::{self, BufReader, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::Error;
use crate::error::{damaged, from_io};
use crate::format::Format;
use crate::limits::{Budget, Metered, WINDOW};

/// What `format` packed into `reader`.
pub(crate) fn reader<'r>(
    name: &str,
    format: Format,
    reader: &'r mut dyn Read,
    budget: &'r Budget,
) -> Result<Box<dyn Read + 'r>, Error> {
    let reader = BufReader::with_capacity(32 << 10, reader);
    Ok(match format {
        Format::Gzip => metered(MultiGzDecoder::new(reader), budget),
        Format::Bzip2 => metered(MultiBzDecoder::new(reader), budget),
        Format::Xz => metered(XzReader::new_mem_limit(reader, true, decoder_kib()), budget),
        Format::Zstd => metered(Zstd::new(reader).map_err(|error| from_io(name, error))?, budget),
        other => return Err(damaged(name, format!("a {} is not a compressed file", other.name()))),
    })
}

/// What the old lzma format packed, which has no magic bytes: known by what names it.
pub(crate) fn lzma<'r>(
    name: &str,
    reader: &'r mut dyn Read,
    budget: &'r Budget,
) -> Result<Box<dyn Read + 'r>, Error> {
    let reader = BufReader::with_capacity(32 << 10, reader);
    let reader =
        LzmaReader::new_mem_limit(reader, decoder_kib(), None).map_err(|error| from_io(name, error))?;
    Ok(metered(reader, budget))
}

/// The window and what the decoder needs beside it, in KiB.
fn decoder_kib() -> u32 {
    (WINDOW >> 10) as u32 + 1024
}

fn metered<'r>(reader: impl Read + 'r, budget: &'r Budget) -> Box<dyn Read + 'r> {
    Box::new(Metered { reader, budget })
}

/// All frames of a zstd file, one after the other (RFC 8878, section 3).
struct Zstd<R: Read> {
    frame: Option<StreamingDecoder<Ahead<R>, FrameDecoder>>,
}

impl<R: Read> Zstd<R> {
    fn new(reader: R) -> io::Result<Zstd<R>> {
        Ok(Zstd { frame: Some(next_frame(Ahead { reader, first: None })?) })
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(frame) = &mut self.frame {
            let read = frame.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let decoder = &frame.decoder;
            if let (Some(wanted), Some(found)) =
                (decoder.get_checksum_from_data(), decoder.get_calculated_checksum())
                && wanted != found
            {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its zstd checksum is wrong"));
            }
            let mut source = self.frame.take().map(StreamingDecoder::into_inner);
            if let Some(mut source) = source.take()
                && source.more()?
            {
                self.frame = Some(next_frame(source)?);
            }
        }
        Ok(0)
    }
}

fn next_frame<R: Read>(reader: Ahead<R>) -> io::Result<StreamingDecoder<Ahead<R>, FrameDecoder>> {
    StreamingDecoder::new_with_max_window_size(reader, WINDOW).map_err(io::Error::other)
}

/// A reader that can be asked whether it has more.
struct Ahead<R> {
    reader: R,
    first: Option<u8>,
}

impl<R: Read> Ahead<R> {
    fn more(&mut self) -> io::Result<bool> {
        let mut byte = [0];
        if self.first.is_none() && self.reader.read(&mut byte)? == 1 {
            self.first = Some(byte[0]);
        }
        Ok(self.first.is_some())
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.first.take(), buffer.first_mut()) {
            (Some(byte), Some(place)) => {
                *place = byte;
                Ok(1)
            }
            (first, _) => {
                self.first = first;
                self.reader.read(buffer)
            }
        }
    }
}
