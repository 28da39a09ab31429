//! The compressions, each as a reader that counts what it gives.

use std::io::{self, BufReader, Cursor, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::Error;
use crate::error::{damaged, from_io};
use crate::format::{Format, is_skippable};
use crate::limits::{Budget, Exact, Metered, WINDOW, drain};

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
        Format::Lzma => {
            let lzma = LzmaReader::new_mem_limit(reader, decoder_kib(), None);
            metered(lzma.map_err(|error| from_io(name, error))?, budget)
        }
        other => return Err(damaged(name, format!("a {} is not a compressed file", other.name()))),
    })
}

/// The window and what the decoder needs beside it, in KiB.
fn decoder_kib() -> u32 {
    (WINDOW >> 10) as u32 + 1024
}

fn metered<'r>(reader: impl Read + 'r, budget: &'r Budget) -> Box<dyn Read + 'r> {
    Box::new(Metered { reader: Ended { reader, failed: false }, budget })
}

/// A reader that is left alone once it failed: what a decoder's state is then, its author did not think of.
struct Ended<R> {
    reader: R,
    failed: bool,
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged before this place"));
        }
        let read = self.reader.read(buffer);
        self.failed = read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// All frames of a zstd file, one after the other (RFC 8878, section 3); those that are to be skipped are.
struct Zstd<R: Read> {
    frame: Option<StreamingDecoder<Ahead<R>, FrameDecoder>>,
}

impl<R: Read> Zstd<R> {
    fn new(reader: R) -> io::Result<Zstd<R>> {
        Ok(Zstd { frame: next_frame(reader)? })
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
            if let Some(frame) = self.frame.take() {
                self.frame = next_frame(frame.into_inner().into_inner().1)?;
            }
        }
        Ok(0)
    }
}

/// The magic bytes of the next frame, given back, and the rest.
type Ahead<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The next frame that is not skipped; `None` at the end.
fn next_frame<R: Read>(mut reader: R) -> io::Result<Option<StreamingDecoder<Ahead<R>, FrameDecoder>>> {
    loop {
        let mut magic = Vec::new();
        (&mut reader).take(4).read_to_end(&mut magic)?;
        if magic.is_empty() {
            return Ok(None);
        }
        if is_skippable(&magic) {
            let mut size = [0; 4];
            reader.read_exact(&mut size)?;
            drain(&mut Exact { reader: &mut reader, left: u32::from_le_bytes(size).into() })?;
            continue;
        }
        let reader = Cursor::new(magic).chain(reader);
        let frame = StreamingDecoder::new_with_max_window_size(reader, WINDOW).map_err(io::Error::other)?;
        return Ok(Some(frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at its third read, and must not be asked again.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                2 => Ok(buffer.len()),
                3 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => panic!("asked again"),
            }
        }
    }

    #[test]
    fn a_decoder_that_failed_is_not_asked_again() {
        let mut reader = Ended { reader: Failing(0), failed: false };
        let mut kinds = || reader.read(&mut [0; 4]).map_err(|error| error.kind());
        assert_eq!(kinds(), Err(io::ErrorKind::Interrupted));
        assert_eq!(kinds(), Ok(4));
        assert_eq!(kinds(), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(kinds(), Err(io::ErrorKind::InvalidData));
        assert_eq!(kinds(), Err(io::ErrorKind::InvalidData));
    }
}
