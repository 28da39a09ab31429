//! Every program below some paths: looked at on all cores, told in the order in which they were found.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use inputs::{Error, ErrorKind, Item, Limits, Source};

use crate::failure::Failure;

/// Results that wait for their turn to be told, for each worker, before workers wait too: enough that a library of a
/// hundred megabytes keeps nobody from the small files behind it, and no more, however many files there are.
const AHEAD: usize = 64;

/// Results of one archive that are handed over together: a file's go with its end, in one turn at the lock.
const AT_ONCE: usize = 16;

/// The file that a program's name begins with, and the member of it: `archive!member`. Names of files may hold a `!`, too.
pub(crate) fn file_and_member(name: &str) -> (&str, &str) {
    let splits = name.match_indices('!').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let mut on_disk = splits.clone().filter(|(file, _)| Path::new(file).is_file());
    match on_disk.next() {
        Some(split) => split,
        None if Path::new(name).is_file() => (name, ""),
        // An image's folder, an image in an engine, or what is gone.
        None => splits.into_iter().next().unwrap_or((name, "")),
    }
}

/// What was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Files that were looked at whole.
    pub(crate) programs: usize,
    /// Places that could not be looked at, paths without a program among them.
    pub(crate) unreadable: usize,
}

/// Calls `look` with every program below `paths`, and with everything that cannot be looked at, on `jobs` threads
/// (as many as there are cores, where it is not said); calls `take` with each result, one at a time, in the order of the
/// paths and of the names in them. Bytes are dropped once they were looked at.
///
/// A file that was named itself is looked at, whatever it is; in folders and archives others than programs are passed
/// over. A path below which there is nothing to look at is itself unreadable. An error of `take` ends it.
pub(crate) fn each_program<T: Send>(
    paths: &[PathBuf],
    jobs: Option<NonZeroUsize>,
    look: impl Fn(&Item) -> T + Sync,
    take: &mut (dyn FnMut(T) -> Result<(), Failure> + Send),
) -> Result<Seen, Failure> {
    let limits = Limits::default();
    let works = works(paths, &limits);
    let jobs = jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let jobs = jobs.min(works.len());
    let counter = Counter { seen: Seen::default(), here: 0, look: &look, take };
    let queue = Queue::new(&works, jobs, &look, counter);
    thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(|| queue.work(&limits));
        }
        queue.work(&limits);
    });
    let State { counter, failed, .. } = queue.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counter = counter.expect("who tells gives the counter back, or has panicked through the scope above");
    failed.map_or(Ok(counter.seen), Err)
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
    take: &'a mut (dyn FnMut(T) -> Result<(), Failure> + Send),
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

    /// Tells the results of a work, and where that is done, that it `ended`.
    fn tell(&mut self, results: Vec<Told<T>>, ended: Option<&Work>) -> Result<(), Failure> {
        results.into_iter().try_for_each(|told| self.take(told))?;
        ended.map_or(Ok(()), |work| self.end(work))
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

/// Hands works to workers in order, and tells their results in the same order.
///
/// Whoever has the result that is next tells it, and then all that wait behind it, so that no thread is woken up for a
/// result: files are small, and waking somebody up costs as much as looking at one.
struct Queue<'a, T, L> {
    works: &'a [Work],
    jobs: usize,
    look: &'a L,
    state: Mutex<State<'a, T, L>>,
    changed: Condvar,
}

type Locked<'q, 'a, T, L> = MutexGuard<'q, State<'a, T, L>>;

struct State<'a, T, L> {
    /// `None` while somebody tells.
    counter: Option<Counter<'a, T, L>>,
    /// The first work that is not told to its end.
    turn: usize,
    /// The works from there on that somebody has begun.
    begun: VecDeque<Begun<T>>,
    /// How many results those works have, all together.
    results: usize,
    /// Workers that wait for `results` to become fewer.
    waiting: usize,
    failed: Option<Failure>,
    closed: bool,
}

/// A work that is being done, or is done before its turn.
struct Begun<T> {
    results: Vec<Told<T>>,
    done: bool,
}

impl<'a, T: Send, L: Fn(&Item) -> T + Sync> Queue<'a, T, L> {
    fn new(works: &'a [Work], jobs: usize, look: &'a L, counter: Counter<'a, T, L>) -> Queue<'a, T, L> {
        let state = State {
            counter: Some(counter),
            turn: 0,
            begun: VecDeque::new(),
            results: 0,
            waiting: 0,
            failed: None,
            closed: false,
        };
        Queue { works, jobs, look, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn work(&self, limits: &Limits) {
        let _closing = ClosingOnPanic(self);
        let mut next = self.begin(self.lock());
        while let Some(index) = next {
            // Nobody listens once the command has failed; the rest of the source is then read for nothing.
            let mut results = Vec::new();
            self.works[index].run(limits, &mut |item| {
                results.push(Told::of(&item, self.look));
                if results.len() == AT_ONCE {
                    drop(self.give(index, std::mem::take(&mut results), false));
                }
            });
            next = self.begin(self.give(index, results, true));
        }
    }

    /// Takes the next work, once there is room for its results.
    fn begin<'q>(&'q self, state: Locked<'q, 'a, T, L>) -> Option<usize> {
        let mut state = self.wait_while_full(state, |_| true);
        let next = state.turn + state.begun.len();
        if state.closed || next == self.works.len() {
            return None;
        }
        state.begun.push_back(Begun { results: Vec::new(), done: false });
        Some(next)
    }

    /// Hands over results of a work, the last ones where it is `done`.
    fn give<'q>(&'q self, index: usize, results: Vec<Told<T>>, done: bool) -> Locked<'q, 'a, T, L> {
        // Whose turn it is waits for nobody but for who tells.
        let blocked = |state: &State<T, L>| index != state.turn || state.counter.is_none();
        let mut state = self.wait_while_full(self.lock(), |state| !results.is_empty() && blocked(state));
        let ahead = index - state.turn;
        state.results += results.len();
        let begun = &mut state.begun[ahead];
        begun.results.extend(results);
        begun.done = done;
        self.tell(state)
    }

    /// Tells whatever is next, as long as there is something. Where somebody is at it, he sees what was added.
    fn tell<'q>(&'q self, mut state: Locked<'q, 'a, T, L>) -> Locked<'q, 'a, T, L> {
        let Some(mut counter) = state.counter.take() else { return state };
        while let Some(begun) = state.begun.front_mut() {
            let results = std::mem::take(&mut begun.results);
            if results.is_empty() && !begun.done {
                break;
            }
            let ended = begun.done.then(|| &self.works[state.turn]);
            if ended.is_some() {
                state.begun.pop_front();
                state.turn += 1;
            }
            state.results -= results.len();
            let closed = state.closed;
            if state.waiting > 0 {
                self.changed.notify_all();
            }
            drop(state);
            let told = if closed { Ok(()) } else { counter.tell(results, ended) };
            state = self.lock();
            if let Err(failure) = told {
                state.failed = Some(failure);
                state.closed = true;
                self.changed.notify_all();
            }
        }
        state.counter = Some(counter);
        // Whose turn it is may wait for who told: it can tell by itself now.
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        state
    }

    /// Waits as long as as many results wait as may, `blocked` says so, and nobody has closed the queue.
    fn wait_while_full<'q>(
        &'q self,
        mut state: Locked<'q, 'a, T, L>,
        blocked: impl Fn(&State<T, L>) -> bool,
    ) -> Locked<'q, 'a, T, L> {
        while !state.closed && state.results >= AHEAD * self.jobs && blocked(&state) {
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state
    }
}

impl<'a, T, L> Queue<'a, T, L> {
    fn lock(&self) -> Locked<'_, 'a, T, L> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the other workers home when one panics: its work would never be done, and they would wait for it.
struct ClosingOnPanic<'q, 'a, T, L>(&'q Queue<'a, T, L>);

impl<T, L> Drop for ClosingOnPanic<'_, '_, T, L> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().closed = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_name_is_split_behind_the_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir(folder.join("d!x")).unwrap();
        std::fs::write(folder.join("d!x/ship"), "").unwrap();
        let name = |rest: &str| format!("{}/{rest}", folder.display());
        assert_eq!(file_and_member(&name("d!x/ship")), (name("d!x/ship").as_str(), ""));
        assert_eq!(file_and_member(&name("d!x/ship!a!b")), (name("d!x/ship").as_str(), "a!b"));
        assert_eq!(file_and_member("docker://image!a!b"), ("docker://image", "a!b"));
        assert_eq!(file_and_member("gone"), ("gone", ""));
    }

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

    /// A tar archive (POSIX ustar) of `members` files that begin as programs do.
    fn tar_of(members: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for member in 0..members {
            let mut header = [0_u8; 512];
            let mut put =
                |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
            put(0, &format!("{member:04}"));
            [
                (100, "0000644"),
                (108, "0000000"),
                (116, "0000000"),
                (124, "00000000004"),
                (136, "00000000000"),
            ]
            .into_iter()
            .chain([(148, "        "), (156, "0"), (257, "ustar\x0000")])
            .for_each(|(at, text)| put(at, text));
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            bytes.extend(header);
            bytes.extend(b"\x7fELF");
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    #[test]
    fn results_of_archives_that_have_more_than_may_wait_come_in_order_and_nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let archives = 16;
        for archive in 0..archives {
            fs::write(folder.path().join(format!("{archive:02}.tar")), tar_of(20 * archive)).unwrap();
        }
        for threads in [1, 2, 3, 7, 7, 7, 7] {
            let (mut last, mut told) = (String::new(), 0);
            let name = |item: &Item| match item {
                Item::File(input) => input.name.clone(),
                Item::Unreadable { name, error } => panic!("{name}: {error}"),
            };
            let seen = each_program(&[folder.path().to_owned()], jobs(threads), name, &mut |name| {
                assert!(last < name, "{last} before {name}");
                (last, told) = (name, told + 1);
                Ok(())
            });
            assert_eq!((seen.unwrap().programs, told), (20 * (archives - 1) * archives / 2, told));
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
        assert!(looked <= 5 + AHEAD * 3 + 3, "{looked} files were looked at");
    }

    #[test]
    fn a_panic_of_one_worker_ends_all() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2000 {
            fs::write(folder.path().join(format!("{number:05}")), b"\x7fELF").unwrap();
        }
        let ended = std::panic::catch_unwind(|| {
            let look = |item: &Item| assert_ne!(name_of(item), "00003", "meant to panic");
            each_program(&[folder.path().to_owned()], jobs(3), look, &mut |()| Ok(()))
        });
        assert!(ended.is_err());
    }
}
