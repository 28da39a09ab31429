//! Debian packages (deb(5)): an `ar` archive of a version, a control archive and a data archive.

use std::io::{self, Read};

use crate::Error;
use crate::error::{damaged, from_io};
use crate::limits::{Exact, drain};
use crate::visit::{Names, Visit};

/// Visits the files of the package's archives, the maintainer's scripts' among them.
pub(crate) fn read(visit: &mut Visit<'_>, archive: &str, reader: &mut dyn Read) -> Result<(), Error> {
    let failed = |error| from_io(archive, error);
    let mut magic = [0; 8];
    reader.read_exact(&mut magic).map_err(failed)?;
    let (mut names, mut data) = (Names::default(), false);
    while let Some((name, size)) = header(reader).map_err(failed)? {
        if visit.ended() {
            return Ok(());
        }
        let before = visit.opened;
        let mut bytes = Exact { reader: &mut *reader, left: size };
        visit.member(archive, &name, None, &mut names, &mut bytes);
        data |= name.starts_with("data.tar") && visit.opened > before;
        drain(&mut bytes).map_err(failed)?;
        // Members begin at even offsets.
        drain(&mut reader.take(size % 2)).map_err(failed)?;
    }
    if data { Ok(()) } else { Err(damaged(archive, "it has no data archive that is opened here")) }
}

/// The next member's name and size; `None` at the archive's end.
fn header(reader: &mut dyn Read) -> io::Result<Option<(String, u64)>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut header = Vec::new();
    reader.take(60).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    if header.len() < 60 || &header[58..] != b"`\n" {
        return Err(invalid("a member's header is cut off or has no end mark"));
    }
    let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim_end().to_owned();
    let name = text(0..16);
    let size = text(48..58).parse().map_err(|_| invalid("a member's size is no number"))?;
    Ok(Some((name.trim_end_matches('/').to_owned(), size)))
}
