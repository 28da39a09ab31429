//! What is kept of a worker that crashed or hung: a minidump, and beside it the context in JSON.
//!
//! The worker is trusted with little: a signal handler (on Windows a filter of exceptions) says one line and waits, for a
//! bounded time. The guardian starts this program once more, to write the dump from outside; that process may fail, hang
//! or end in what it reads, and is ended then. Only after it the worker is let die of what it died of.

mod context;
mod dump;
mod folder;
mod panic;
mod settings;
mod word;

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub(crate) use context::{Context, Place, now};
pub(crate) use dump::{Request, WORD, wait};
pub(crate) use folder::Folder;
pub(crate) use panic::end_with_panics;
pub(crate) use settings::CrashSettings;
pub(crate) use word::{Crash, LONGEST_LINE, Panic};

/// How long the guardian waits for a dump.
pub(crate) const DUMP_PATIENCE: Duration = Duration::from_secs(5);
/// How long a worker that said that it crashed waits to be let die.
pub(crate) const CRASH_PATIENCE: Duration = Duration::from_secs(10);

const NOWHERE: &str = "there is no state directory, or none are to be kept";

/// A dump that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Dump {
    /// Its name, in the folder of its context.
    pub(crate) file: String,
    pub(crate) bytes: u64,
}

/// What the next worker logs; the guardian hands it over as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// The context's path.
    pub(crate) context: Option<String>,
    /// The dump's path.
    pub(crate) dump: Option<String>,
    pub(crate) bytes: u64,
    /// Why there is no dump, or not even a context.
    pub(crate) error: Option<String>,
}

/// The guardian's side.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// As the last worker said that read its configuration.
    folder: Option<Folder>,
    /// Whether it was told already that nothing is kept.
    is_told: bool,
}

impl Crashes {
    /// A worker says where.
    pub(crate) fn keep_in(&mut self, folder: Option<Folder>) {
        self.folder = folder;
    }

    /// Writes a dump of the process, which must not have been waited for yet; or tells why not.
    pub(crate) fn dump(&self, request: &Request, patience: Duration) -> Result<Dump, String> {
        let folder = self.folder.as_ref().ok_or(NOWHERE)?;
        let stem = folder.prepare(SystemTime::now(), request.process)?;
        dump::write(folder, &stem, request, patience)
    }

    /// Writes the context; what is told of it, if anything.
    pub(crate) fn save(&mut self, context: &Context) -> Option<Saved> {
        let Some(folder) = &self.folder else {
            let is_told = std::mem::replace(&mut self.is_told, true);
            return (!is_told).then(|| Saved { error: Some(NOWHERE.to_owned()), ..Saved::default() });
        };
        let path = |name: &str| folder.directory.join(name).display().to_string();
        let mut saved = Saved { error: context.no_dump.clone(), ..Saved::default() };
        if let Some(dump) = &context.dump {
            (saved.dump, saved.bytes) = (Some(path(&dump.file)), dump.bytes);
        }
        let stem = context.dump.as_ref().and_then(|dump| Path::new(&dump.file).file_stem()?.to_str());
        let written = match stem {
            Some(stem) => Ok(stem.to_owned()),
            None => folder.prepare(SystemTime::now(), context.process),
        };
        let written = written.and_then(|stem| {
            let name = format!("{stem}.json");
            folder.write(&name, context.json().as_bytes()).map_err(|error| error.to_string())?;
            Ok(name)
        });
        match written {
            Ok(name) => saved.context = Some(path(&name)),
            Err(error) => saved.error = Some(format!("the context cannot be kept: {error}")),
        }
        folder.prune(folder.keep);
        Some(saved)
    }
}
