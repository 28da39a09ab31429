//! What was compared, what differed, and the page `docs/accuracy.md` that tells it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::known::{self, KNOWN, Known, MENDED};
use crate::{Corpus, Difference, Table};

/// Facts that a reader was compared over, how many of them say more than that there is nothing, and how many differed.
#[derive(Clone, Copy, Default)]
struct Count {
    facts: usize,
    filled: usize,
    differences: usize,
}

/// Everything that is counted while files are compared.
#[derive(Default)]
pub(crate) struct Report {
    /// Files by corpus, and by format and machine.
    files: BTreeMap<String, BTreeMap<String, usize>>,
    by_corpus: BTreeMap<(String, &'static str), Count>,
    by_fact: BTreeMap<(String, &'static str), Count>,
    /// How often each of [`KNOWN`] occurred.
    known: BTreeMap<usize, usize>,
    unexplained: Vec<Difference>,
}

impl Report {
    pub(crate) fn file(&mut self, corpus: &Corpus, machine: String) {
        *self.files.entry(corpus.name.clone()).or_default().entry(machine).or_default() += 1;
    }

    pub(crate) fn compared(&mut self, corpus: &Corpus, reader: &'static str, facts: &Table) {
        self.by_corpus.entry((corpus.name.clone(), reader)).or_default().facts += facts.len();
        for (fact, texts) in facts {
            let count = self.by_fact.entry((fact.clone(), reader)).or_default();
            count.facts += 1;
            count.filled += usize::from(texts.iter().any(|text| !text.is_empty() && text != "0x0"));
        }
    }

    pub(crate) fn differ(&mut self, difference: Difference) {
        let kinds = known::explain(&difference);
        let Difference { corpus, fact, reader, .. } = &difference;
        self.by_corpus.entry((corpus.clone(), reader)).or_default().differences += 1;
        self.by_fact.entry((fact.clone(), reader)).or_default().differences += 1;
        if kinds.is_empty() {
            self.unexplained.push(difference);
        }
        for kind in kinds {
            *self.known.entry(kind).or_default() += 1;
        }
    }

    /// Adds what another worker counted.
    pub(crate) fn add(&mut self, other: Report) {
        for (corpus, machines) in other.files {
            let files = self.files.entry(corpus).or_default();
            machines.into_iter().for_each(|(machine, count)| *files.entry(machine).or_default() += count);
        }
        for (ours, theirs) in [(&mut self.by_corpus, other.by_corpus), (&mut self.by_fact, other.by_fact)] {
            for (key, count) in theirs {
                let sum = ours.entry(key).or_default();
                sum.filled += count.filled;
                sum.facts += count.facts;
                sum.differences += count.differences;
            }
        }
        for (kind, count) in other.known {
            *self.known.entry(kind).or_default() += count;
        }
        self.unexplained.extend(other.unexplained);
    }

    /// Fails on what nobody explained and, after a full run, on explanations of what does not occur; such a run may write
    /// the page.
    pub(crate) fn finish(mut self, full: bool) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is inside target");
        self.unexplained.sort_by(|one, other| {
            (one.reader, &one.fact, &one.path).cmp(&(other.reader, &other.fact, &other.path))
        });
        let lines: Vec<_> = self.unexplained.iter().map(describe).collect();
        let list = folder.join("differences.txt");
        fs::write(&list, lines.join("\n")).unwrap();
        assert!(
            lines.is_empty(),
            "{} unexplained differences in {} files, the first of {}:\n{}",
            lines.len(),
            self.file_count(),
            list.display(),
            lines[..lines.len().min(40)].join("\n")
        );
        if !full {
            return;
        }
        for (index, known) in KNOWN.iter().enumerate() {
            let Known { reader, fact, reason, .. } = known;
            assert!(self.known.contains_key(&index), "no longer a difference: {reader} on {fact}: {reason}");
        }
        if env::var_os("SEAWORTHY_BLESS").is_some_and(|value| value == "1") {
            fs::write(page(), self.text()).unwrap();
        }
    }

    fn file_count(&self) -> usize {
        self.files.values().flat_map(BTreeMap::values).sum()
    }

    fn text(&self) -> String {
        let facts: usize = self.by_corpus.values().map(|count| count.facts).sum();
        let differences: usize = self.by_corpus.values().map(|count| count.differences).sum();
        let mut text = INTRODUCTION.to_owned();
        let date =
            Shell::new().and_then(|shell| cmd!(shell, "date --utc --iso-8601").quiet().read()).unwrap();
        let _ = writeln!(
            text,
            "{date}: **{} files, {facts} facts compared, {differences} disagreements, 0 unexplained**.\n\nReaders: {}.\n",
            self.file_count(),
            versions().join("; ")
        );
        self.corpora(&mut text);
        self.facts(&mut text);
        let _ = writeln!(
            text,
            "\n{WHO_WAS_RIGHT}\n\n| Reader | Fact | Who is right | Why | Files |\n|---|---|---|---|---:|"
        );
        for (index, known) in KNOWN.iter().enumerate() {
            let _ = writeln!(text, "{} {} |", known_row(known), self.known.get(&index).unwrap_or(&0));
        }
        text.push_str(
            "\n## What was wrong with ours\n\nFound by this suite, and mended with a test of its own:\n\n",
        );
        MENDED.iter().for_each(|mended| text.push_str(&format!("- {mended}\n")));
        text
    }

    fn corpora(&self, text: &mut String) {
        text.push_str("## Files\n\n| Corpus | Files | Machines | Compared with: facts, disagreements |\n|---|---:|---|---|\n");
        for (corpus, machines) in &self.files {
            let files: usize = machines.values().sum();
            let machines: Vec<_> =
                machines.iter().map(|(machine, count)| format!("{machine}: {count}")).collect();
            let readers = self.by_corpus.iter().filter(|((name, _), _)| name == corpus);
            let readers: Vec<_> = readers
                .map(|((_, reader), count)| format!("{reader}: {}, {}", count.facts, count.differences))
                .collect();
            let _ = writeln!(
                text,
                "| {corpus} | {files} | {} | {} |",
                machines.join("<br>"),
                readers.join("<br>")
            );
        }
    }

    fn facts(&self, text: &mut String) {
        text.push_str("\n## Facts\n\n| Fact | Reader | Files | Files that have it | Disagreements |\n|---|---|---:|---:|---:|\n");
        for ((fact, reader), Count { facts, filled, differences }) in &self.by_fact {
            let _ = writeln!(text, "| {fact} | {reader} | {facts} | {filled} | {differences} |");
        }
    }
}

const INTRODUCTION: &str = "# Accuracy

<!-- Written by SEAWORTHY_BLESS=1 SEAWORTHY_CORPORA=~/.cache/seaworthy/corpora cargo test -p seaworthy-inspect --test differential -->

What `inspect` reads is compared, fact by fact, with what other readers say of the same file: files that are not ours, for
every common machine. A fact is a field or a whole list (all sections, all imported functions), and one byte that differs is a
disagreement. Each was settled by looking at the bytes. `ci/corpora fetch` brings the files; a bounded number of files
that every machine has is compared in every `cargo test`.

";

/// The title of the table of [`KNOWN`].
pub(crate) const WHO_WAS_RIGHT: &str = "## Who was right";

/// `docs/accuracy.md`.
pub(crate) fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/accuracy.md")
}

/// A known difference's row, without the count at its end.
pub(crate) fn known_row(known: &Known) -> String {
    let Known { reader, fact, right, reason, .. } = known;
    format!("| {reader} | {fact} | {right} | {reason} |")
}

fn versions() -> Vec<String> {
    let shell = Shell::new().unwrap();
    let first = |program: &str| {
        let text = cmd!(shell, "{program} --version").quiet().read().expect("it has read files before");
        text.lines().next().unwrap_or(program).to_owned()
    };
    let mut versions = ["readelf", "eu-readelf", "x86_64-w64-mingw32-objdump"].map(first).to_vec();
    let python = fs::read_to_string(crate::corpora::readers().join("installed")).unwrap();
    versions.extend(python.lines().map(|reader| reader.replace("==", " ")));
    versions
}

/// One line: the first thing that differs in the fact's list.
fn describe(difference: &Difference) -> String {
    let Difference { reader, fact, ours, theirs, path, .. } = difference;
    let at = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let show = |texts: &[String]| texts.get(at).map_or("nothing".to_owned(), |text| format!("{text:?}"));
    format!(
        "{reader}: {fact} [{at}]: ours {} of {}, theirs {} of {}: {}",
        show(ours),
        ours.len(),
        show(theirs),
        theirs.len(),
        path.display()
    )
}
