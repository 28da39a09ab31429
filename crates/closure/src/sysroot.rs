//! A root folder: paths in it mean what they would mean to a process that has it as `/`.
//!
//! Nothing outside of it is ever read: a link is read as text and walked from the root again, `..` stops at the root.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::object::{Object, Unfit};
use crate::{Error, ErrorKind, limits};

/// A root folder, with what was read in it. Clones share what was read.
#[derive(Clone)]
pub struct Sysroot {
    root: PathBuf,
    hwcaps: Arc<[String]>,
    memory: Arc<Mutex<Memory>>,
}

/// What was read, by path in the root without links.
#[derive(Default)]
struct Memory {
    objects: HashMap<String, Result<Arc<Object>, Unfit>>,
    folders: HashMap<String, Option<String>>,
    configurations: HashMap<String, Arc<[String]>>,
}

impl Sysroot {
    /// The root at `folder`.
    pub fn open(folder: &Path) -> Result<Sysroot, Error> {
        let fault = |message: String| {
            Error::new(ErrorKind::NoRoot, message).with_hint(
                "name a folder that has /lib or /usr/lib: an unpacked image, a chroot, a cross sysroot",
            )
        };
        let root = folder.canonicalize().map_err(|error| {
            fault(format!("cannot read the sysroot {}", folder.display())).with_source(error)
        })?;
        if !root.is_dir() {
            return Err(fault(format!("the sysroot {} is not a folder", folder.display())));
        }
        Ok(Sysroot { root, hwcaps: Arc::new([]), memory: Arc::default() })
    }

    /// The same root on a processor for which the loader takes libraries from these folders below `glibc-hwcaps`, best
    /// first. None by default: what runs on the least processor runs on all.
    #[must_use]
    pub fn with_hwcaps(mut self, names: &[&str]) -> Sysroot {
        self.hwcaps = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of this machine stands in the root; `None` where it does not.
    pub fn place(&self, file: &Path) -> Option<String> {
        let file = file.canonicalize().ok()?;
        Some(format!("/{}", file.strip_prefix(&self.root).ok()?.to_str()?))
    }

    /// The folder in the root that a file of this machine stands in; the root itself where it does not stand there.
    pub fn folder_of(&self, file: &Path) -> PathBuf {
        let place = self.place(file).unwrap_or_default();
        self.host(place.rsplit_once('/').map_or("", |(folder, _)| folder))
    }

    /// The bytes of the regular file at `path`, links followed inside of the root. `Ok(None)`: nothing is there.
    ///
    /// # Errors
    /// A sentence that says what cannot be read: a folder, a device, more than `most` bytes, no permission.
    pub fn file(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, String> {
        match self.real(path) {
            Some(real) => self.read(&real, most).map(Some).map_err(|unfit| unfit.to_string()),
            None => Ok(None),
        }
    }

    /// The names in a folder, sorted, at most 10,000; none where it is no folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        self.names(folder)
    }

    /// `path` without links, where something is there.
    pub fn without_links(&self, path: &str) -> Option<String> {
        self.real(path)
    }

    /// What a link at `path` says, as text; `None` where there is none. Links on the way to it are followed.
    pub fn link(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let target = fs::read_link(self.host(&format!("{}/{name}", self.real_folder(folder)?))).ok()?;
        target.to_str().map(str::to_owned)
    }

    pub(crate) fn hwcaps(&self) -> &[String] {
        &self.hwcaps
    }

    /// `path` without links, where something is there; whatever it is.
    pub(crate) fn real(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = self.real_folder(folder)?;
        // Most names are plain files in folders seen before.
        if !matches!(name, "" | "." | "..") {
            let candidate = format!("{folder}/{name}");
            let metadata = fs::symlink_metadata(self.host(&candidate)).ok()?;
            if !metadata.is_symlink() {
                return Some(candidate);
            }
        }
        self.walk(&format!("{folder}/{name}"))
    }

    /// The folder without links and without a slash at its end, so the root is empty text.
    fn real_folder(&self, folder: &str) -> Option<String> {
        if let Some(known) = self.memory().folders.get(folder) {
            return known.clone();
        }
        let real = self.walk(folder).filter(|real| self.host(real).is_dir());
        self.memory().folders.insert(folder.to_owned(), real.clone());
        real
    }

    fn walk(&self, path: &str) -> Option<String> {
        let mut links = 0;
        let mut done: Vec<String> = Vec::new();
        let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        while let Some(name) = rest.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => {}
            }
            done.push(name);
            let here = self.host(&joined(&done));
            let metadata = fs::symlink_metadata(&here).ok()?;
            if metadata.is_symlink() {
                links += 1;
                let target = fs::read_link(&here).ok().filter(|_| links <= limits::LINKS)?;
                let target = target.to_str()?.to_owned();
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                rest.extend(target.rsplit('/').map(str::to_owned));
            } else if !metadata.is_dir() && rest.iter().any(|name| !name.is_empty()) {
                return None;
            }
        }
        Some(joined(&done))
    }

    /// The path on this machine of one in the root that has no links.
    fn host(&self, real: &str) -> PathBuf {
        self.root.join(real.trim_start_matches('/'))
    }

    /// The names in a folder, sorted; none where it is no folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.real_folder(folder).and_then(|real| fs::read_dir(self.host(&real)).ok());
        let names = entries.into_iter().flatten().flatten().take(limits::CONFIGURED * 10);
        let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The bytes of a regular file without links, at most `most` of them.
    pub(crate) fn read(&self, real: &str, most: u64) -> Result<Vec<u8>, Unfit> {
        let path = self.host(real);
        let unreadable = |error: std::io::Error| Unfit::Unreadable(error.to_string());
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Unfit::NoFile);
        }
        if metadata.len() > most {
            return Err(Unfit::TooLarge(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        let file = File::open(&path).map_err(unreadable)?;
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// The size of a file without links, in bytes.
    pub(crate) fn size(&self, real: &str) -> u64 {
        fs::symlink_metadata(self.host(real)).map_or(0, |metadata| metadata.len())
    }

    /// What can be loaded at a path without links.
    pub(crate) fn object(&self, real: &str) -> Result<Arc<Object>, Unfit> {
        if let Some(known) = self.memory().objects.get(real) {
            return known.clone();
        }
        let object = self.read(real, limits::LIBRARY_BYTES).and_then(|bytes| Object::read(&bytes));
        let object = object.map(Arc::new);
        self.memory().objects.insert(real.to_owned(), object.clone());
        object
    }

    /// The folders that `read` finds in a configuration, read once.
    pub(crate) fn configured(&self, path: &str, read: impl FnOnce() -> Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.memory().configurations.get(path) {
            return known.clone();
        }
        let folders: Arc<[String]> = read().into();
        self.memory().configurations.insert(path.to_owned(), folders.clone());
        folders
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What is in there is complete at any time, so a panic elsewhere does not spoil it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn joined(names: &[String]) -> String {
    names.iter().fold(String::new(), |path, name| path + "/" + name)
}

impl fmt::Debug for Sysroot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sysroot").field("root", &self.root).field("hwcaps", &self.hwcaps).finish()
    }
}

/// Equal where they are the same place with the same processor.
impl PartialEq for Sysroot {
    fn eq(&self, other: &Sysroot) -> bool {
        self.root == other.root && self.hwcaps == other.hwcaps
    }
}

impl Eq for Sysroot {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_inside_whatever_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("root");
        fs::create_dir_all(inside.join("usr/lib")).unwrap();
        fs::create_dir_all(inside.join("etc")).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        fs::write(inside.join("usr/lib/file"), "inside").unwrap();
        fs::write(inside.join("etc/passwd"), "inside").unwrap();
        symlink("usr/lib", inside.join("lib")).unwrap();
        symlink("/etc/passwd", inside.join("usr/lib/absolute")).unwrap();
        symlink("../../../../../secret", inside.join("usr/lib/upwards")).unwrap();
        symlink(folder.path().join("secret"), inside.join("usr/lib/host")).unwrap();
        symlink("loop", inside.join("usr/lib/loop")).unwrap();
        symlink("deeper/x", inside.join("usr/lib/deeper")).unwrap();
        symlink("/", inside.join("usr/lib/root")).unwrap();

        let root = Sysroot::open(&inside).unwrap();
        assert_eq!(root.real("/lib/file").as_deref(), Some("/usr/lib/file"));
        assert_eq!(root.real("/lib/../etc/passwd"), None, "`..` of a linked folder is /usr");
        assert_eq!(root.real("/lib/../../etc/passwd").as_deref(), Some("/etc/passwd"));
        assert_eq!(root.real("/lib/absolute").as_deref(), Some("/etc/passwd"));
        assert_eq!(root.real("/lib/root/lib/root/lib/file").as_deref(), Some("/usr/lib/file"));
        for escape in ["/lib/upwards", "/lib/host", "/lib/loop", "/lib/deeper", "/../secret", "/lib/file/x"] {
            assert_eq!(root.real(escape), None, "{escape}");
        }
        assert_eq!(root.place(&inside.join("lib/file")).as_deref(), Some("/usr/lib/file"));
        assert_eq!(root.place(&folder.path().join("secret")), None);
        assert_eq!(root.folder_of(&inside.join("lib/file")), root.root().join("usr/lib"));
        fs::write(inside.join("file"), "inside").unwrap();
        assert_eq!(root.folder_of(&inside.join("file")), root.root());
        for elsewhere in [folder.path().join("secret"), inside.join("none")] {
            assert_eq!(root.folder_of(&elsewhere), root.root());
        }
        assert!(root.read("/usr/lib", 1).is_err(), "a folder has no bytes");
        assert!(Sysroot::open(&inside.join("usr/lib/file")).is_err());
    }
}
