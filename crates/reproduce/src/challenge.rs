//! What several rebuilders say of one release, side by side.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{Digest, Target};
use manifest::Builder;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Error, ErrorKind, Statement, Verdict};

/// A statement and who stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sworn {
    /// The signer's name from the list of signers; where none was asked for, the name the rebuilder gave itself.
    pub by: String,
    /// What is said.
    pub statement: Statement,
}

/// How many agree on each file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Challenge {
    /// How many must have built a file again, byte for byte or but for provenance and signatures.
    pub needed: usize,
    /// Who said something.
    pub rebuilders: Vec<String>,
    /// Each published file.
    pub files: Vec<Agreement>,
}

/// What is said of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Agreement {
    /// The file's name.
    pub name: String,
    /// SHA-256 as published.
    pub sha256: Digest,
    /// Who built the same.
    pub agree: Vec<String>,
    /// Who did not.
    pub dissent: Vec<Dissent>,
    /// Whether enough agree.
    pub accepted: bool,
}

/// A rebuilder who got something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dissent {
    /// Who.
    pub by: String,
    /// What was found.
    pub verdict: Verdict,
    /// SHA-256 of what was built; missing where nothing was.
    pub sha256: Option<Digest>,
    /// The causes, by name.
    pub causes: Vec<String>,
    /// Inputs that differ from those of all who agree.
    pub inputs: Vec<String>,
}

impl Challenge {
    /// Whether every file has enough who agree.
    pub fn holds(&self) -> bool {
        !self.files.is_empty() && self.files.iter().all(|file| file.accepted)
    }
}

/// Sets `sworn` side by side: each file is accepted where at least `needed` different rebuilders built the same.
///
/// # Errors
/// [`ErrorKind::NotOneRelease`] where they are not about the same published bytes, or one of them speaks twice.
pub fn challenge(sworn: &[Sworn], needed: usize) -> Result<Challenge, Error> {
    let refused = |what: String, hint: &str| Err(Error::new(ErrorKind::NotOneRelease, what).with_hint(hint));
    let Some(first) = sworn.first() else {
        return refused("there is no statement".to_owned(), "name folders with rebuild.json in them");
    };
    let mut names = BTreeSet::new();
    for one in sworn {
        if !names.insert(&one.by) {
            return refused(format!("`{}` speaks twice", one.by), "one statement for each rebuilder");
        }
        if one.statement.subject != first.statement.subject {
            let what =
                format!("`{}` and `{}` were given different releases to build again", first.by, one.by);
            return refused(what, "compare their subjects: one of the two was handed another file");
        }
    }
    let files = first.statement.predicate.files.iter().map(|file| {
        let name = &file.file.name;
        let of = |one: &'_ Sworn| {
            one.statement.predicate.files.iter().find(|file| file.file.name == *name).cloned()
        };
        let (agree, others): (Vec<_>, Vec<_>) =
            sworn.iter().partition(|one| of(one).is_some_and(|file| file.file.verdict.is_same()));
        let dissent = others.into_iter().map(|one| {
            let said = of(one);
            let causes = said
                .iter()
                .flat_map(|file| file.file.causes.iter().chain(file.members.iter().flat_map(|m| &m.causes)));
            let mut causes: Vec<_> = causes.map(|cause| cause.kind.name().to_owned()).collect();
            causes.sort_unstable();
            causes.dedup();
            Dissent {
                by: one.by.clone(),
                verdict: said.as_ref().map_or(Verdict::Cannot, |file| file.file.verdict),
                sha256: said.as_ref().and_then(|file| file.rebuilt_sha256),
                causes,
                inputs: inputs_apart(one, &agree),
            }
        });
        let dissent = dissent.collect();
        Agreement {
            name: name.clone(),
            sha256: file.published_sha256,
            accepted: agree.len() >= needed.max(1),
            agree: agree.iter().map(|one| one.by.clone()).collect(),
            dissent,
        }
    });
    let files = files.collect();
    Ok(Challenge {
        needed: needed.max(1),
        rebuilders: sworn.iter().map(|one| one.by.clone()).collect(),
        files,
    })
}

/// Rows of a dissenter's builders that none of those who agree has.
fn inputs_apart(one: &Sworn, agree: &[&Sworn]) -> Vec<String> {
    let mut apart = Vec::new();
    for (target, builder) in &one.statement.predicate.builders {
        for (row, value) in rows(builder) {
            let theirs: BTreeSet<String> =
                agree.iter().filter_map(|other| row_of(other, *target, &row)).collect();
            if !theirs.is_empty() && !theirs.contains(&value) {
                let theirs = theirs.into_iter().collect::<Vec<_>>().join(" or ");
                apart.push(format!("{target}: {row} is {value}, theirs {theirs}"));
            }
        }
    }
    apart
}

fn row_of(sworn: &Sworn, target: Target, row: &str) -> Option<String> {
    sworn.statement.predicate.builders.get(&target).and_then(|builder| rows(builder).remove(row))
}

fn rows(builder: &Builder) -> BTreeMap<String, String> {
    let mut rows = builder.parts.clone();
    rows.insert("builder".to_owned(), builder.kind.name().to_owned());
    rows.insert("rustc".to_owned(), builder.rustc.clone());
    rows.insert("lock".to_owned(), builder.lock.map_or("none".to_owned(), |lock| lock.to_string()));
    rows
}
