//! Every fact again from readers that share no code with ours, over files that are not ours.
//!
//! By default over a bounded number of files of this machine; with `SEAWORTHY_CORPORA=~/.cache/seaworthy/corpora` over
//! everything that `ci/corpora fetch` brought there and all files of this machine, and with `SEAWORTHY_BLESS=1` as well such
//! a run writes `docs/accuracy.md`.
//!
//! A fact is a list of texts with a name. A reader says as many of our facts as it knows; each must be the same. Where
//! one is not, somebody read the bytes: either ours was wrong and is not any more, or `known.rs` says why theirs is.

mod corpora;
mod eu_readelf;
mod known;
mod objdump;
mod ours;
mod python;
mod readelf;
mod report;
mod wheel;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use inspect::facts::{Binary, Facts};

use corpora::Corpus;
use report::Report;

/// A file's facts, as one reader tells them.
type Table = BTreeMap<String, Vec<String>>;

/// What one reader says of a batch of files; a file it refuses has the reason instead.
struct Reading {
    reader: &'static str,
    tables: BTreeMap<PathBuf, Result<Table, String>>,
}

/// One fact that two readers tell differently.
#[derive(Clone)]
struct Difference {
    corpus: String,
    path: PathBuf,
    reader: &'static str,
    fact: String,
    ours: Vec<String>,
    theirs: Vec<String>,
}

/// Files that one reader is started for at once.
const BATCH: usize = 60;

#[test]
fn every_fact_is_the_same_in_every_other_reader() {
    let folder = tempfile::tempdir().unwrap();
    let corpora = corpora::all(folder.path());
    let batches =
        corpora.iter().flat_map(|corpus| corpus.files.chunks(BATCH).map(move |batch| (corpus, batch)));
    let batches = Mutex::new(batches);
    let work = || {
        let mut report = Report::default();
        loop {
            let next = batches.lock().unwrap().next();
            let Some((corpus, batch)) = next else { return report };
            compare(corpus, batch, &mut report);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            report.add(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    report.finish(corpora::fetched().is_some());
}

#[test]
fn the_page_tells_the_known_differences_of_this_suite() {
    let page = fs::read_to_string(report::page()).expect("docs/accuracy.md is there");
    for known in known::KNOWN {
        let row = report::known_row(known);
        assert!(
            page.contains(&row),
            "docs/accuracy.md does not say `{row}`: run with SEAWORTHY_BLESS=1, see main.rs"
        );
    }
    let (_, table) = page.split_once(report::WHO_WAS_RIGHT).expect("docs/accuracy.md has that table");
    let rows = table.lines().skip_while(|line| !line.starts_with("|--")).skip(1);
    let told = rows.take_while(|line| line.starts_with('|')).count();
    assert_eq!(told, known::KNOWN.len(), "docs/accuracy.md tells of differences that known.rs does not");
}

fn compare(corpus: &Corpus, batch: &[PathBuf], report: &mut Report) {
    let mut ours = BTreeMap::new();
    for path in batch {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (table, facts) = read(&bytes, path);
        for anomaly in facts.iter().flat_map(|facts| &facts.anomalies) {
            report.differ(anomaly_of(corpus, path, anomaly));
        }
        // It takes files that are whole for granted.
        let whole = facts.iter().filter(|facts| facts.anomalies.is_empty());
        for disagreement in whole.flat_map(|facts| inspect::second_opinion(&bytes, facts)) {
            let (ours, theirs) = (vec![disagreement.ours.clone()], vec![disagreement.theirs.clone()]);
            report.differ(difference(corpus, path, "goblin", disagreement.fact, ours, theirs));
        }
        ours.insert(path.clone(), table);
        report.file(corpus, facts.as_ref().map_or("unreadable".to_owned(), ours::machine));
    }
    let (elf, pe): (Vec<_>, Vec<_>) = batch.iter().cloned().partition(|path| corpora::is_elf(path));
    let mut readings = python::read(batch);
    if !elf.is_empty() {
        readings.extend([
            readelf::read(&elf),
            eu_readelf::read(&elf),
            objdump::read_elf(&elf),
            wheel::read(&elf, &ours),
        ]);
    }
    if !pe.is_empty() {
        readings.push(objdump::read(&pe));
    }
    for reading in readings {
        for (path, theirs) in &reading.tables {
            compare_tables(corpus, path, &reading, &ours[path], theirs, report);
        }
    }
}

/// Our facts of one file; an error is a table with that one line in it.
fn read(bytes: &[u8], path: &Path) -> (Table, Option<Facts>) {
    let mut facts = match inspect::inspect(bytes) {
        Ok(facts) => facts,
        Err(error) => {
            let refused = format!("{}: {error}", path.display());
            return (Table::from([("refused".to_owned(), vec![refused])]), None);
        }
    };
    let (table, anomalies) = match &facts.binary {
        Binary::Elf(elf) => {
            let linkage = inspect::elf_linkage(bytes).unwrap();
            (ours::elf(elf, &linkage), linkage.anomalies)
        }
        Binary::Pe(pe) => {
            let linkage = inspect::pe_linkage(bytes).unwrap();
            (ours::pe(pe, &linkage, bytes), linkage.anomalies)
        }
    };
    let more: Vec<_> = anomalies.into_iter().filter(|anomaly| !facts.anomalies.contains(anomaly)).collect();
    facts.anomalies.extend(more);
    (table, Some(facts))
}

fn compare_tables(
    corpus: &Corpus,
    path: &Path,
    reading: &Reading,
    ours: &Table,
    theirs: &Result<Table, String>,
    report: &mut Report,
) {
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(reason) => {
            let refused = vec![reason.clone()];
            return report.differ(difference(corpus, path, reading.reader, "refused", Vec::new(), refused));
        }
    };
    if let Some(refused) = ours.get("refused") {
        let said = vec!["read".to_owned()];
        return report.differ(difference(corpus, path, reading.reader, "refused", refused.clone(), said));
    }
    report.compared(corpus, reading.reader, theirs);
    for (fact, theirs) in theirs {
        let none = Vec::new();
        let ours = ours.get(fact).unwrap_or(&none);
        if ours != theirs {
            report.differ(difference(corpus, path, reading.reader, fact, ours.clone(), theirs.clone()));
        }
    }
}

fn anomaly_of(corpus: &Corpus, path: &Path, anomaly: &inspect::facts::Anomaly) -> Difference {
    let said = vec![format!("{}: {}", anomaly.part, anomaly.detail)];
    difference(corpus, path, "ours", "anomaly", said, Vec::new())
}

fn difference(
    corpus: &Corpus,
    path: &Path,
    reader: &'static str,
    fact: &str,
    ours: Vec<String>,
    theirs: Vec<String>,
) -> Difference {
    Difference {
        corpus: corpus.name.clone(),
        path: path.to_owned(),
        reader,
        fact: fact.to_owned(),
        ours,
        theirs,
    }
}
