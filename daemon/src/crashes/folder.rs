//! The folder of dumps and contexts: what is written appears whole or not at all, only its owner may read it, and the
//! oldest give way.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::log::rfc3339;

const PREFIX: &str = "worker-";
/// While it is written.
const PART: &str = "part";
const EXTENSIONS: [&str; 3] = ["dmp", "json", PART];

/// Where, how many crashes, and how many bytes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) directory: PathBuf,
    pub(crate) keep: usize,
    pub(crate) max_bytes: u64,
}

impl Folder {
    /// Makes the folder and room in it; the name, without extension, for a crash of `process` now.
    pub(super) fn prepare(&self, now: SystemTime, process: u32) -> Result<String, String> {
        let refused = |error: io::Error| format!("{} cannot be made: {error}", self.directory.display());
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.directory).map_err(refused)?;
        self.prune(self.keep.saturating_sub(1));
        let mut time = String::new();
        rfc3339(now, &mut time);
        // Names in order are times in order, and no system refuses one.
        time.retain(|c| c.is_ascii_alphanumeric());
        Ok(format!("{PREFIX}{time}-{process}"))
    }

    /// A new file under a name of its own, for [`Folder::finish`].
    pub(super) fn begin(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // Memory has secrets in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.part(name))
    }

    /// Gives the file its name, when it is `written`; else removes it.
    pub(super) fn finish<T>(&self, name: &str, written: io::Result<T>) -> io::Result<T> {
        let part = self.part(name);
        let named = written.and_then(|told| {
            fs::rename(&part, self.directory.join(name))?;
            Ok(told)
        });
        named.inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })
    }

    /// A whole file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.begin(name)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        drop(file);
        self.finish(name, written)
    }

    /// Removes all but the last `keep` crashes, and of those the older ones that are too many bytes. Other files stay.
    pub(super) fn prune(&self, keep: usize) {
        let mut crashes: BTreeMap<String, (u64, Vec<PathBuf>)> = BTreeMap::new();
        // Nothing that could be removed can be seen otherwise.
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let stem =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if let Some(stem) = stem.filter(|stem| stem.starts_with(PREFIX))
                && EXTENSIONS.contains(&extension)
            {
                let crash = crashes.entry(stem.to_owned()).or_default();
                crash.0 += entry.metadata().map_or(0, |about| about.len());
                crash.1.push(path);
            }
        }
        let mut bytes = 0;
        for (index, (_, (size, files))) in crashes.into_iter().rev().enumerate() {
            bytes += size;
            for file in files {
                let is_left_over = file.extension().is_some_and(|extension| extension == PART);
                if is_left_over || index >= keep || index > 0 && bytes > self.max_bytes {
                    // What cannot be removed now is tried again after the next crash.
                    let _ = fs::remove_file(file);
                }
            }
        }
    }

    fn part(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.{PART}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn names(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(&folder.directory).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn crash(folder: &Folder, second: u64, bytes: usize) -> String {
        let stem = folder
            .prepare(SystemTime::UNIX_EPOCH + Duration::from_secs(second), 7)
            .expect("a folder that can be made");
        folder.write(&format!("{stem}.dmp"), &vec![0; bytes]).expect("written");
        folder.write(&format!("{stem}.json"), b"{}").expect("written");
        folder.prune(folder.keep);
        stem
    }

    #[test]
    fn the_oldest_give_way_and_strangers_stay() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder { directory: parent.path().join("a/crashes"), keep: 3, max_bytes: 1000 };
        crash(&folder, 0, 10);
        for stranger in ["notes.txt", "worker-list.txt", "other.dmp"] {
            fs::write(folder.directory.join(stranger), "").expect("written");
        }
        let stems: Vec<_> = (1..10).map(|second| crash(&folder, second, 10)).collect();
        let mut expected: Vec<_> =
            stems[6..].iter().flat_map(|stem| [format!("{stem}.dmp"), format!("{stem}.json")]).collect();
        expected.extend(["notes.txt", "other.dmp", "worker-list.txt"].map(ToOwned::to_owned));
        expected.sort();
        assert_eq!(names(&folder), expected);

        // By bytes: the last stays, whatever its size; what a killed guardian left goes.
        fs::write(folder.directory.join("worker-19700101T000000000Z-1.dmp.part"), "x").expect("written");
        let last = crash(&folder, 20, 2000);
        let mut expected = vec![format!("{last}.dmp"), format!("{last}.json")];
        expected.extend(["notes.txt", "other.dmp", "worker-list.txt"].map(ToOwned::to_owned));
        expected.sort();
        assert_eq!(names(&folder), expected);
    }

    #[test]
    fn what_is_not_written_leaves_nothing() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder { directory: parent.path().to_owned(), keep: 3, max_bytes: 1000 };
        drop(folder.begin("worker-1.dmp").expect("a new file"));
        folder
            .finish("worker-1.dmp", Err::<(), _>(io::ErrorKind::StorageFull.into()))
            .expect_err("not written");
        assert_eq!(names(&folder), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder { directory: parent.path().join("crashes"), keep: 3, max_bytes: 1000 };
        let stem = crash(&folder, 1, 10);
        let mode = |path: PathBuf| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode(folder.directory.clone()), 0o700);
        for extension in ["dmp", "json"] {
            assert_eq!(mode(folder.directory.join(format!("{stem}.{extension}"))), 0o600);
        }
    }
}
