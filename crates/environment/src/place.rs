//! A place to capture: a folder that is a root file system, whatever it came in.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use closure::Sysroot;
use tempfile::TempDir;

use crate::engine::Export;
use crate::error::io;
use crate::{Error, ErrorKind, archive};

/// The running system's own facts.
#[derive(Debug, Default)]
struct Running {
    kernel: Option<[u32; 3]>,
    processor: Vec<String>,
}

/// A root file system.
#[derive(Debug)]
pub struct Place {
    name: String,
    root: Sysroot,
    running: Option<Running>,
    passed_over: Vec<(String, String)>,
    _unpacked: Option<TempDir>,
}

impl Place {
    /// The place that `source` names: a folder, a tar archive (also gzipped), `-` for one on standard input,
    /// `docker://IMAGE` or `podman://IMAGE`. `/` is this machine, running.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] where there is no such place, [`ErrorKind::Engine`] where the engine does not give it.
    pub fn open(source: &str) -> Result<Place, Error> {
        for engine in ["docker", "podman"] {
            if let Some(image) = source.strip_prefix(engine).and_then(|rest| rest.strip_prefix("://")) {
                let (export, stream) = Export::start(engine, image)?;
                let place = Place::unpacked(source, stream);
                // What the engine says is why its archive is cut off.
                export.finish()?;
                return place;
            }
        }
        if source == "-" {
            return Place::unpacked(source, std::io::stdin().lock());
        }
        let path = Path::new(source);
        let metadata = fs::metadata(path).map_err(|error| {
            io(&format!("cannot read {source}"), error)
                .with_hint("name a folder with a root file system, a tar archive of one, docker://IMAGE, or - for standard input")
        })?;
        if metadata.is_dir() {
            return Place::of_folder(source, path, None);
        }
        let file = File::open(path).map_err(|error| io(&format!("cannot read {source}"), error))?;
        Place::unpacked(source, BufReader::new(file))
    }

    fn of_folder(name: &str, path: &Path, unpacked: Option<TempDir>) -> Result<Place, Error> {
        let root = Sysroot::open(path)
            .map_err(|error| Error::new(ErrorKind::Unreadable, error.to_string()).with_source(error))?;
        let running = (root.root() == Path::new("/")).then(Running::here);
        Ok(Place { name: name.to_owned(), root, running, passed_over: Vec::new(), _unpacked: unpacked })
    }

    fn unpacked(name: &str, stream: impl Read) -> Result<Place, Error> {
        let folder = tempfile::Builder::new().prefix("seaworthy-place-").tempdir();
        let folder = folder.map_err(|error| io("cannot make a folder to unpack in", error))?;
        let passed_over = archive::unpack(name, stream, folder.path())?;
        let path = folder.path().to_owned();
        let place = Place::of_folder(name, &path, Some(folder))?;
        Ok(Place { passed_over, ..place })
    }

    /// What it was opened as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its root folder.
    pub fn root(&self) -> &Sysroot {
        &self.root
    }

    /// The kernel's version, where the place is running.
    pub(crate) fn kernel(&self) -> Option<[u32; 3]> {
        self.running.as_ref()?.kernel
    }

    /// Whether this is a running system.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether the processor is of one of x86-64's levels (System V ABI, AMD64 supplement, "Processor Architecture");
    /// `None` where that is not known.
    pub(crate) fn has_processor_level(&self, level: &str) -> Option<bool> {
        let flags: &[&str] = match level {
            "x86-64-baseline" => &[],
            "x86-64-v2" => &["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"],
            "x86-64-v3" => &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"],
            "x86-64-v4" => &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
            _ => return None,
        };
        let processor = &self.running.as_ref().filter(|running| !running.processor.is_empty())?.processor;
        Some(flags.iter().all(|flag| processor.iter().any(|one| one == flag)))
    }

    /// Members of the archive that were not unpacked, and why.
    pub(crate) fn passed_over(&self) -> impl Iterator<Item = (&str, &str)> {
        self.passed_over.iter().map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// A text file; `Ok(None)` where there is none.
    pub(crate) fn text(&self, path: &str, most: u64) -> Result<Option<String>, String> {
        let bytes = self.root.file(path, most)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Running {
    fn here() -> Running {
        let release = rustix::system::uname();
        let release = release.release().to_string_lossy().into_owned();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let mut next = || numbers.next().unwrap_or(0);
        let kernel = [next(), next(), next()];
        let cpu: io::Result<String> = fs::read_to_string("/proc/cpuinfo");
        let flags = cpu.ok().and_then(|text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("flags") || line.starts_with("Features"))?
                .to_owned();
            Some(line.split_once(':')?.1.split_whitespace().map(str::to_owned).collect())
        });
        Running { kernel: (kernel != [0; 3]).then_some(kernel), processor: flags.unwrap_or_default() }
    }
}
