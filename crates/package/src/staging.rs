//! A private folder, and the one step that makes it the release.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use manifest::Manifest;

use crate::error::io_error;
use crate::{Archive, Error, ErrorKind, Layout};

const PARTIAL: &str = ".partial-";

/// The release lock and the folder in which a release is put together. What is not published vanishes with it.
#[derive(Debug)]
pub struct Staging {
    // Held until the end: the system lets go of it when the process ends, however it ends.
    _lock: File,
    folder: PathBuf,
    place: PathBuf,
}

impl Staging {
    /// Takes the lock of `layout.out_dir`, removes what killed runs left there, and makes a private folder.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while another process holds the lock.
    pub fn begin(layout: &Layout) -> Result<Staging, Error> {
        let out = &layout.out_dir;
        fs::create_dir_all(out).map_err(|error| io_error("make the folder", out, error))?;
        let lock = lock(&out.join(".lock"))?;
        sweep(out)?;
        let name = layout.release_name();
        let folder = out.join(format!("{PARTIAL}{name}"));
        fs::create_dir(&folder).map_err(|error| io_error("make the folder", &folder, error))?;
        Ok(Staging { _lock: lock, folder, place: out.join(name) })
    }

    /// The private folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes in an archive that was made elsewhere.
    pub fn adopt(&self, archive: Archive) -> Result<Archive, Error> {
        let path = self.folder.join(&archive.record.name);
        let bytes = fs::read(&archive.path).map_err(|error| io_error("read", &archive.path, error))?;
        write_synced(&path, &bytes)?;
        Ok(Archive { path, record: archive.record })
    }

    /// Adds `manifest.json` and `SHA256SUMS`, and puts the release in its place by one rename, or one exchange where
    /// an older one stands there. Returns that place.
    pub fn publish(self, manifest: &Manifest) -> Result<PathBuf, Error> {
        let json = manifest.to_bytes();
        write_synced(&self.folder.join("manifest.json"), &json)?;
        write_synced(&self.folder.join("SHA256SUMS"), checksums(manifest, &json).as_bytes())?;
        sync_folder(&self.folder)?;
        put_in_place(&self.folder, &self.place)
            .map_err(|error| io_error("put in place", &self.place, error))?;
        if let Some(out) = self.place.parent() {
            sync_folder(out)?;
        }
        Ok(self.place.clone())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After an exchange this is the older release. What cannot be removed now, the next run sweeps.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = open.map_err(|error| io_error("open the lock", path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder wrote its number; another system's lock may forbid reading it.
            let _ = file.read_to_string(&mut holder);
            let message = format!("another release (process {}) holds {}", holder.trim(), path.display());
            return Err(Error::new(ErrorKind::Busy, message)
                .with_hint("wait for it to end, or name another folder with --out"));
        }
        Err(TryLockError::Error(error)) => return Err(io_error("lock", path, error)),
    }
    let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(|error| io_error("write", path, error))?;
    Ok(file)
}

/// Under the lock no other run works here, so every private folder is one that a killed run left.
fn sweep(out: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(out).map_err(|error| io_error("read", out, error))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(entry.path()).map_err(|error| io_error("remove", &entry.path(), error))?;
        }
    }
    Ok(())
}

/// In the form that `sha256sum --check` takes.
fn checksums(manifest: &Manifest, json: &[u8]) -> String {
    let files = manifest.files.iter().map(|file| (file.name.as_str(), file.sha256));
    let mut lines: Vec<_> = files.chain([("manifest.json", artifact::Digest::of(json))]).collect();
    lines.sort_unstable();
    lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect()
}

/// Writes a file and waits until the disk has it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| io_error("write", path, error))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    // Only Unix systems let a folder be opened and synchronized.
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_error("sync", path, error))?;
    }
    Ok(())
}

/// Gives `folder` the name `place`. On Linux an older folder of that name is exchanged in the same step.
#[cfg(target_os = "linux")]
fn put_in_place(folder: &Path, place: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let flags = if place.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    Ok(renameat_with(CWD, folder, CWD, place, flags)?)
}

/// Elsewhere an older folder has to be moved away first; a kill between the two steps leaves it beside the place.
#[cfg(not(target_os = "linux"))]
fn put_in_place(folder: &Path, place: &Path) -> std::io::Result<()> {
    let older = place.with_extension("older");
    if place.exists() {
        fs::rename(place, &older)?;
    }
    fs::rename(folder, place)?;
    if older.exists() { fs::remove_dir_all(older) } else { Ok(()) }
}
