//! Every program below some paths: looked at on all cores, told in the order in which they were found.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use inputs::{Error, ErrorKind, Item, Limits, Source};

use crate::failure::Failure;

/// Sources that are looked at ahead of the one that is told, for each worker. With [`RESULTS`] this bounds how many
/// results wait, however many files there are.
const AHEAD: usize = 16;
/// Results of one source that wait to be told before its worker does.
const RESULTS: usize = 64;

/// What was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Files that were looked at whole.
    pub(crate) programs: usize,
    /// Places that could not be looked at, paths without a program among them.
    pub(crate) unreadable: usize,
}

/// Calls `look` with every program below `paths`, and with everything that cannot be looked at, on `jobs` threads
/// (as many as there are cores, where it is not said); calls `take` here with each result, in the order of the paths and of the
/// names in them. Bytes are dropped once they were looked at.
///
/// A file that was named itself is looked at, whatever it is; in folders and archives others than programs are passed
/// over. A path below which there is nothing to look at is itself unreadable. An error of `take` ends it.
pub(crate) fn each_program<T: Send>(
    paths: &[PathBuf],
    jobs: Option<NonZeroUsize>,
    look: impl Fn(&Item) -> T + Sync,
    take: &mut dyn FnMut(T) -> Result<(), Failure>,
) -> Result<Seen, Failure> {
    let limits = Limits::default();
    let works = works(paths, &limits);
    let jobs = jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut counter = Counter { seen: Seen::default(), here: 0, look: &look, take };
    if jobs == 1 || works.len() < 3 {
        for work in &works {
            let mut result = Ok(());
            work.run(&limits, &mut |item| {
                if result.is_ok() {
                    result = counter.take(Told::of(&item, &look));
                }
            });
            result?;
            counter.end(work)?;
        }
        return Ok(counter.seen);
    }
    let queue = Queue::new(jobs);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| queue.work(&works, &limits, &look));
        }
        // Also when this ends early, the workers must come to their end.
        let _closing = Closing(&queue);
        for work in &works {
            if let Some(results) = queue.next() {
                for told in results {
                    counter.take(told)?;
                }
            }
            counter.end(work)?;
        }
        Ok(counter.seen)
    })
}

/// One step: a source, or a path that has none, or a path's end.
enum Work {
    Source(Source),
    Nothing(String, Error),
    End(String),
}

impl Work {
    fn run(&self, limits: &Limits, give: &mut dyn FnMut(Item)) {
        match self {
            Work::Source(source) => source.visit(limits, give),
            Work::Nothing(name, error) => {
                let error = Error::new(error.kind(), error.to_string());
                give(Item::Unreadable { name: name.clone(), error });
            }
            Work::End(_) => {}
        }
    }
}

fn works(paths: &[PathBuf], limits: &Limits) -> Vec<Work> {
    let mut works = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        match inputs::list(path, limits) {
            Ok(sources) => works.extend(sources.into_iter().map(Work::Source)),
            Err(error) => works.push(Work::Nothing(name.clone(), error)),
        }
        works.push(Work::End(name));
    }
    works
}

/// A result, and whether it is about bytes that could be read.
struct Told<T> {
    program: bool,
    result: T,
}

impl<T> Told<T> {
    fn of(item: &Item, look: impl Fn(&Item) -> T) -> Told<T> {
        Told { program: matches!(item, Item::File(_)), result: look(item) }
    }
}

/// Counts what is told, and sees that each path has something to tell.
struct Counter<'a, T, L> {
    seen: Seen,
    /// Told since the last path's end.
    here: usize,
    look: &'a L,
    take: &'a mut dyn FnMut(T) -> Result<(), Failure>,
}

impl<T, L: Fn(&Item) -> T> Counter<'_, T, L> {
    fn take(&mut self, told: Told<T>) -> Result<(), Failure> {
        self.here += 1;
        if told.program {
            self.seen.programs += 1;
        } else {
            self.seen.unreadable += 1;
        }
        (self.take)(told.result)
    }

    fn end(&mut self, work: &Work) -> Result<(), Failure> {
        let Work::End(name) = work else { return Ok(()) };
        if self.here == 0 {
            let message = format!("there is no ELF or PE file in {name}");
            let error =
                Error::new(ErrorKind::Unreadable, message).with_hint("name programs, or what holds some");
            self.take(Told::of(&Item::Unreadable { name: name.clone(), error }, self.look))?;
        }
        self.here = 0;
        Ok(())
    }
}

/// Hands works to workers in order, and their results out in the same order.
struct Queue<T> {
    jobs: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// The next work that nobody does.
    next: usize,
    /// The results of the works before it, from the first that was not handed out on.
    begun: VecDeque<Receiver<Told<T>>>,
    closed: bool,
    workers: usize,
}

impl<T: Send> Queue<T> {
    fn new(jobs: usize) -> Queue<T> {
        let state = State { next: 0, begun: VecDeque::new(), closed: false, workers: jobs };
        Queue { jobs, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn work(&self, works: &[Work], limits: &Limits, look: &(impl Fn(&Item) -> T + Sync)) {
        let _leaving = Leaving(self);
        while let Some((work, results)) = self.begin(works) {
            work.run(limits, &mut |item| {
                // Nobody listens once the command has failed; the rest of the source is then read for nothing.
                let _ = results.send(Told::of(&item, look));
            });
        }
    }

    fn begin<'w>(&self, works: &'w [Work]) -> Option<(&'w Work, SyncSender<Told<T>>)> {
        let full = |state: &mut State<T>| !state.closed && state.begun.len() >= AHEAD * self.jobs;
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        let work = works.get(state.next).filter(|_| !state.closed)?;
        state.next += 1;
        let (sender, receiver) = sync_channel(RESULTS);
        state.begun.push_back(receiver);
        self.changed.notify_all();
        Some((work, sender))
    }

    /// The results of the next work; `None` once every worker has left.
    fn next(&self) -> Option<Receiver<Told<T>>> {
        let empty = |state: &mut State<T>| state.begun.is_empty() && state.workers > 0;
        let mut state = self.changed.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        let results = state.begun.pop_front();
        self.changed.notify_all();
        results
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the workers, when it is dropped, that nobody waits for results any more.
struct Closing<'q, T>(&'q Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.begun.clear();
        self.0.changed.notify_all();
    }
}

/// Counts a worker out, also one that panicked.
struct Leaving<'q, T>(&'q Queue<T>);

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        self.0.lock().workers -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn jobs(jobs: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(jobs)
    }

    fn name_of(item: &Item) -> String {
        match item {
            Item::File(input) => input.name.rsplit('/').next().unwrap_or_default().to_owned(),
            Item::Unreadable { error, .. } => error.to_string(),
        }
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2000 {
            fs::write(folder.path().join(format!("{number:05}")), b"\x7fELF").unwrap();
            fs::write(folder.path().join(format!("{number:05}.txt")), b"text").unwrap();
        }
        let missing = folder.path().join("missing");
        let paths = [folder.path().to_owned(), missing, folder.path().join("00007.txt")];
        for threads in [1, 2, 7] {
            let mut names = Vec::new();
            let seen = each_program(&paths, jobs(threads), name_of, &mut |name| {
                names.push(name);
                Ok(())
            });
            assert_eq!(seen.unwrap(), Seen { programs: 2001, unreadable: 1 });
            let expected = (0..2000).map(|number| format!("{number:05}"));
            assert!(names.iter().take(2000).cloned().eq(expected), "{threads} threads");
            assert!(names[2000].contains("missing"), "{}", names[2000]);
            assert_eq!(names[2001], "00007.txt", "named itself, so looked at");
        }
    }

    #[test]
    fn a_path_without_programs_is_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let seen = each_program(&[folder.path().to_owned()], None, name_of, &mut |name| {
            told.push(name);
            Ok(())
        });
        assert_eq!(seen.unwrap(), Seen { programs: 0, unreadable: 1 });
        assert!(told[0].contains("no ELF or PE file"), "{told:?}");
    }

    #[test]
    fn a_failure_ends_it_and_no_result_runs_far_ahead() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2000 {
            fs::write(folder.path().join(format!("{number:05}")), b"\x7fELF").unwrap();
        }
        let looked = AtomicUsize::new(0);
        let mut taken = 0;
        let ended = each_program(
            &[folder.path().to_owned()],
            jobs(3),
            |_| looked.fetch_add(1, Ordering::Relaxed),
            &mut |_| {
                taken += 1;
                match taken {
                    5 => Err(Failure::Checks(Vec::new())),
                    _ => Ok(()),
                }
            },
        );
        assert!(ended.is_err());
        let looked = looked.into_inner();
        assert!(looked <= 5 + (AHEAD + 1) * 3, "{looked} files were looked at");
    }
}
