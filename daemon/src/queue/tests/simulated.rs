//! A disk in memory that forgets what was not synced when the power goes, and fails or stops when told.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::Random;
use crate::queue::disk::{Disk, DiskFile};

/// What happens at one operation that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails, this one time; of a write, that many thousandths are done.
    Fail(io::ErrorKind, u64),
    /// It and all that follow fail for want of room, until [`Simulated::mend`]; writes are cut as above.
    Full(u64),
    /// The process ends there: of a write, that many thousandths are done, and nothing after.
    Stop(u64),
}

/// What is left when it starts again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// The process died; the system kept what it had.
    Kill,
    /// The power went: what was not synced is there or not, by a number.
    PowerLoss(u64),
}

#[derive(Debug, Default)]
struct Node {
    /// As the process sees it.
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => {
                let end = *offset as usize + new.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset as usize..end].copy_from_slice(new);
            }
            Self::Length(length) => bytes.resize(*length as usize, 0),
        }
    }
}

type Shared<T> = Arc<Mutex<T>>;

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, Shared<Node>>,
    durable_names: BTreeMap<String, Shared<Node>>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    stopped: bool,
    full: bool,
    hit: bool,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Simulated(Shared<State>);

#[derive(Debug)]
struct Handle {
    disk: Simulated,
    node: Shared<Node>,
}

impl Simulated {
    /// One with these files, safely on it.
    pub(super) fn with(files: &[(&str, &[u8])]) -> Self {
        let disk = Self::default();
        for (name, bytes) in files {
            let node = Node { bytes: bytes.to_vec(), durable: bytes.to_vec(), unsynced: Vec::new() };
            let node = Arc::new(Mutex::new(node));
            let mut state = disk.0.lock().expect("lock");
            state.names.insert((*name).to_owned(), Arc::clone(&node));
            state.durable_names.insert((*name).to_owned(), node);
        }
        disk
    }

    /// From now on, the operation of this number has this fault.
    pub(super) fn plan(&self, operation: u64, fault: Fault) {
        let mut state = self.0.lock().expect("lock");
        (state.operations, state.fault) = (0, Some((operation, fault)));
    }

    /// How many operations there were.
    pub(super) fn operations(&self) -> u64 {
        self.0.lock().expect("lock").operations
    }

    /// Whether the planned fault happened.
    pub(super) fn was_hit(&self) -> bool {
        self.0.lock().expect("lock").hit
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.lock().expect("lock").stopped
    }

    /// There is room again.
    pub(super) fn mend(&self) {
        self.0.lock().expect("lock").full = false;
    }

    /// No room for anything new.
    pub(super) fn fill(&self) {
        self.0.lock().expect("lock").full = true;
    }

    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.0.lock().expect("lock");
        state
            .names
            .iter()
            .map(|(name, node)| (name.clone(), node.lock().expect("lock").bytes.clone()))
            .collect()
    }

    /// The disk that the next start finds.
    pub(super) fn restart(&self, ending: Ending) -> Self {
        let state = self.0.lock().expect("lock");
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        match ending {
            Ending::Kill => {
                for (name, node) in &state.names {
                    files.push((name.clone(), node.lock().expect("lock").bytes.clone()));
                }
            }
            Ending::PowerLoss(seed) => {
                let mut random = Random::new(seed);
                let mut names = state.durable_names.clone();
                for (name, node) in &state.names {
                    if random.below(2) == 0 {
                        names.insert(name.clone(), Arc::clone(node));
                    }
                }
                names.retain(|name, _| state.names.contains_key(name) || random.below(2) == 0);
                for (name, node) in names {
                    let node = node.lock().expect("lock");
                    let mut bytes = node.durable.clone();
                    for change in &node.unsynced {
                        match (change, random.below(4)) {
                            (_, 0) => {}
                            // Half a write, and now and then its second half only.
                            (Change::Write(offset, new), 1) => {
                                let cut = random.below(new.len() as u64 + 1) as usize;
                                if random.below(2) == 0 {
                                    Change::Write(*offset, new[..cut].to_vec()).apply(&mut bytes);
                                } else {
                                    Change::Write(offset + cut as u64, new[cut..].to_vec()).apply(&mut bytes);
                                }
                            }
                            (change, _) => change.apply(&mut bytes),
                        }
                    }
                    files.push((name, bytes));
                }
            }
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        Self::with(&files)
    }

    /// Counts an operation; how many thousandths of it are done before it fails, if it does.
    fn operate(&self, needs_room: bool) -> Result<(), (io::Error, u64)> {
        let mut state = self.0.lock().expect("lock");
        if state.stopped {
            return Err((io::Error::other("the process has ended"), 0));
        }
        let operation = state.operations;
        state.operations += 1;
        if let Some((_, fault)) = state.fault.filter(|(at, _)| *at == operation) {
            state.hit = true;
            match fault {
                Fault::Fail(kind, part) => return Err((kind.into(), part)),
                Fault::Full(part) => {
                    state.full = true;
                    if needs_room {
                        return Err((io::ErrorKind::StorageFull.into(), part));
                    }
                }
                Fault::Stop(part) => {
                    state.stopped = true;
                    return Err((io::Error::other("the process ends here"), part));
                }
            }
        }
        if state.full && needs_room {
            return Err((io::ErrorKind::StorageFull.into(), 0));
        }
        Ok(())
    }
}

impl Disk for Simulated {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().expect("lock").names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.operate(true).map_err(|(error, _)| error)?;
        let mut state = self.0.lock().expect("lock");
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = Shared::default();
        state.names.insert(name.to_owned(), Arc::clone(&node));
        Ok(Arc::new(Handle { disk: self.clone(), node }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock().expect("lock");
        let node = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { disk: self.clone(), node: Arc::clone(node) }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate(false).map_err(|(error, _)| error)?;
        self.0.lock().expect("lock").names.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(false).map_err(|(error, _)| error)?;
        let mut state = self.0.lock().expect("lock");
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl Handle {
    fn change(&self, change: Change) {
        let mut node = self.node.lock().expect("lock");
        change.apply(&mut node.bytes);
        node.unsynced.push(change);
    }
}

impl DiskFile for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.node.lock().expect("lock").bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let node = self.node.lock().expect("lock");
        let rest = node.bytes.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err((error, part)) = self.disk.operate(true) {
            let done = (bytes.len() as u64 * part / 1000) as usize;
            if done > 0 {
                self.change(Change::Write(offset, bytes[..done].to_vec()));
            }
            return Err(error);
        }
        self.change(Change::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.operate(false).map_err(|(error, _)| error)?;
        self.change(Change::Length(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if let Err((error, _)) = self.disk.operate(false) {
            // As Linux does: what could not be written is no longer waiting to be.
            if !self.disk.is_stopped() {
                self.node.lock().expect("lock").unsynced.clear();
            }
            return Err(error);
        }
        let mut node = self.node.lock().expect("lock");
        // What an earlier sync failed to write is not written by this one either.
        for change in std::mem::take(&mut node.unsynced) {
            change.apply(&mut node.durable);
        }
        Ok(())
    }
}
