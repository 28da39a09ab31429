//! Archives opened again, by the reader that looks into anybody's archives.

use std::fs;
use std::path::Path;

use artifact::Digest;
use inputs::{Input, Limits};
use manifest::{Manifest, Member};

use crate::error::io_error;
use crate::{Archive, Error, ErrorKind};

/// Opens `archive` and gives every file in it to `visit`, after all of them were found to be what the record says.
pub fn read_back(archive: &Archive, visit: &mut dyn FnMut(&Input)) -> Result<(), Error> {
    let (digest, size) =
        Digest::of_file(&archive.path).map_err(|error| io_error("read", &archive.path, error))?;
    if (digest, size) != (archive.record.sha256, archive.record.size) {
        return Err(damaged(archive, &format!("its sha256 is {digest}, not {}", archive.record.sha256)));
    }
    let mut members = Vec::new();
    inputs::members(&archive.path, &Limits::default(), &mut |input| members.push(input))
        .map_err(|error| damaged(archive, &error.to_string()).with_source(error))?;
    let found: Vec<Member> = members.iter().map(member).collect();
    if found != archive.record.members {
        let wrong = found.iter().find(|member| !archive.record.members.contains(member));
        let what = match wrong {
            Some(member) => format!("it holds `{}` with sha256 {}", member.path, member.sha256),
            None => format!("it holds {} files, not {}", found.len(), archive.record.members.len()),
        };
        return Err(damaged(archive, &what));
    }
    members.iter().for_each(visit);
    Ok(())
}

/// The manifest and archives of a release folder, after all of them were read back.
pub fn read_release(folder: &Path) -> Result<(Manifest, Vec<Archive>), Error> {
    let path = folder.join("manifest.json");
    let bytes = fs::read(&path).map_err(|error| io_error("read", &path, error))?;
    let manifest = Manifest::read(&bytes).map_err(|error| {
        Error::new(ErrorKind::Damaged, format!("{}: {error}", path.display())).with_source(error)
    })?;
    let mut archives = Vec::new();
    for record in &manifest.files {
        if record.name.contains(['/', '\\']) || record.name.starts_with('.') {
            let message = format!("{}: `{}` is no file name", path.display(), record.name.escape_debug());
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        let archive = Archive { path: folder.join(&record.name), record: record.clone() };
        read_back(&archive, &mut |_| {})?;
        archives.push(archive);
    }
    Ok((manifest, archives))
}

fn member(input: &Input) -> Member {
    Member {
        path: input.name.split_once('!').map_or(input.name.as_str(), |(_, member)| member).to_owned(),
        size: input.bytes.len() as u64,
        sha256: Digest::of(&input.bytes),
        mode: format!("{:04o}", input.mode.unwrap_or(0) & 0o777),
    }
}

fn damaged(archive: &Archive, what: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("{} is not what was written: {what}", archive.path.display()))
        .with_hint("make the release again; if it stays, check the disk")
}
