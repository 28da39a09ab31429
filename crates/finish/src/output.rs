//! Writes both files or neither: private temporary files first, then renames.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, ErrorKind, Rewritten};

/// Writes the program and its symbols into `folder` and gives both paths.
pub(crate) fn write(
    input: &Path,
    folder: &Path,
    name: &str,
    symbols_name: &str,
    rewritten: &Rewritten,
) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let failed = |path: &Path| {
        let message = format!("cannot write {}", path.display());
        move |error: std::io::Error| Error::new(ErrorKind::Io, message).with_source(error)
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let (program, symbols) = (folder.join(name), folder.join(symbols_name));
    for output in [&program, &symbols] {
        if fs::canonicalize(output)
            .is_ok_and(|output| fs::canonicalize(input).is_ok_and(|input| input == output))
        {
            let message = format!("{} is the built file itself", output.display());
            return Err(Error::new(ErrorKind::Request, message).with_hint("name another output folder"));
        }
    }
    let prepared = prepare(folder, &rewritten.program, 0o755).map_err(failed(&program))?;
    let prepared_symbols = match &rewritten.symbols {
        Some(bytes) => Some(prepare(folder, bytes, 0o644).map_err(failed(&symbols))?),
        None => None,
    };
    // The symbols first: a program without them is the worse half.
    let symbols = match prepared_symbols {
        Some(file) => {
            file.persist(&symbols).map_err(|error| failed(&symbols)(error.error))?;
            Some(symbols)
        }
        None => None,
    };
    prepared.persist(&program).map_err(|error| failed(&program)(error.error))?;
    Ok((program, symbols))
}

fn prepare(folder: &Path, bytes: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    set_mode(file.as_file(), mode)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn set_mode(file: &fs::File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &fs::File, _: u32) -> std::io::Result<()> {
    Ok(())
}
