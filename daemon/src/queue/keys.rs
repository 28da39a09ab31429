//! Idempotency keys by fingerprint: of tasks in the queue, and of the last ones that were done.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::record::HEAD;

/// A key's fingerprint: 96 bits that nobody outside this process can foresee, so that none can be made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Never 0.
    pub(super) hash: u64,
    check: u32,
    length: u8,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    id: u64,
    check: u32,
    length: u8,
}

/// Which task has which key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hashers: [RandomState; 2],
    owners: HashMap<u64, Owner>,
    /// Of done tasks, the longest done first.
    remembered: VecDeque<(u64, u64)>,
    most: usize,
    /// What the remembered keys take in the log. Bytes.
    pub(super) bytes: u64,
}

impl Keys {
    /// Remembers all that are done, until [`Keys::bound`].
    pub(super) fn new() -> Self {
        Self { most: usize::MAX, ..Self::default() }
    }

    /// From now on, the keys of only so many done tasks are remembered; first those of the latest tasks.
    pub(super) fn bound(&mut self, most: u32) {
        self.most = most as usize;
        self.remembered.make_contiguous().sort_unstable_by_key(|(_, id)| *id);
        self.trim();
    }

    pub(super) fn fingerprint(&self, key: &str) -> Fingerprint {
        let [first, second] = &self.hashers;
        let (hash, check) = (first.hash_one(key).max(1), second.hash_one(key) as u32);
        Fingerprint { hash, check, length: key.len() as u8 }
    }

    /// The task that has this key.
    pub(super) fn owner(&self, key: Fingerprint) -> Option<u64> {
        self.owners.get(&key.hash).filter(|owner| owner.check == key.check).map(|owner| owner.id)
    }

    pub(super) fn claim(&mut self, key: Fingerprint, id: u64) {
        self.owners.insert(key.hash, Owner { id, check: key.check, length: key.length });
    }

    /// Whether the key is that of the done task `id`.
    pub(super) fn is_remembered(&self, key: Fingerprint, id: u64) -> bool {
        self.most > 0 && self.owner(key) == Some(id)
    }

    /// The task is done.
    pub(super) fn remember(&mut self, hash: u64, id: u64) {
        let Some(owner) = self.owners.get(&hash).filter(|owner| owner.id == id) else { return };
        self.bytes += record_bytes(owner.length);
        self.remembered.push_back((hash, id));
        self.trim();
    }

    fn trim(&mut self) {
        while self.remembered.len() > self.most {
            let Some((hash, id)) = self.remembered.pop_front() else { return };
            if let Some(owner) = self.owners.get(&hash).filter(|owner| owner.id == id) {
                self.bytes -= record_bytes(owner.length);
                self.forget(hash, id);
            }
        }
        if self.owners.capacity() > 4096 && self.owners.len() < self.owners.capacity() / 8 {
            self.owners.shrink_to(self.owners.len() * 2);
        }
    }

    /// The task's key may be used anew.
    pub(super) fn forget(&mut self, hash: u64, id: u64) {
        if self.owners.get(&hash).is_some_and(|owner| owner.id == id) {
            self.owners.remove(&hash);
        }
    }
}

/// How long the record of a remembered key is.
fn record_bytes(key: u8) -> u64 {
    HEAD as u64 + 10 + u64::from(key)
}
