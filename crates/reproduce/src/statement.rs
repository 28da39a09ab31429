//! What a rebuilder says of a release, in the form of an in-toto Statement (version 1), so that others can weigh it.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{Digest, Target};
use manifest::{Builder, Manifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::release::{FileComparison, worst};
use crate::{Error, ErrorKind, Verdict};

/// `_type` of an in-toto Statement, version 1.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of what is said here.
const PREDICATE: &str = "urn:seaworthy:rebuild:1";
/// A statement of more bytes is not read.
const LARGEST: usize = 16 << 20;

/// What a rebuilder says of one release: canonical, without a time, so that equal rebuilds say equal things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Seaworthy rebuild statement, version 1")]
pub struct Statement {
    /// `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The published archives.
    pub subject: Vec<Subject>,
    /// `urn:seaworthy:rebuild:1`.
    pub predicate_type: String,
    /// What was found.
    pub predicate: Rebuild,
}

/// A published file, by name and digest (in-toto ResourceDescriptor).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The file's name.
    pub name: String,
    /// Its digests, by algorithm.
    pub digest: BTreeMap<String, Digest>,
}

/// What was built again, by whom, with what, and how it compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The product's name.
    pub product: String,
    /// The product's version.
    pub version: String,
    /// The commit that was built.
    pub commit: String,
    /// Who says so.
    pub rebuilder: Rebuilder,
    /// What built it again, by target.
    #[schemars(with = "BTreeMap<String, Builder>")]
    pub builders: BTreeMap<Target, Builder>,
    /// What was different on purpose: `directory`, `umask` …
    pub varied: BTreeSet<String>,
    /// The worst verdict of all files.
    pub verdict: Verdict,
    /// Each archive of the release.
    pub files: Vec<FileComparison>,
}

/// Who built a release again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuilder {
    /// A name to tell rebuilders apart; a signature says whether to believe it.
    pub name: String,
    /// The program that did it, with its version.
    pub tool: String,
}

impl Statement {
    /// What `rebuilder` says of `published`, which was `rebuilt` with `varied` differences made on purpose.
    pub fn new(
        published: &Manifest,
        rebuilt: &Manifest,
        rebuilder: Rebuilder,
        varied: BTreeSet<String>,
        files: Vec<FileComparison>,
    ) -> Statement {
        let subject = published.files.iter().map(|file| Subject {
            name: file.name.clone(),
            digest: BTreeMap::from([("sha256".to_owned(), file.sha256)]),
        });
        Statement {
            kind: STATEMENT.to_owned(),
            subject: subject.collect(),
            predicate_type: PREDICATE.to_owned(),
            predicate: Rebuild {
                product: published.product.clone(),
                version: published.version.clone(),
                commit: published.commit.clone(),
                rebuilder,
                builders: rebuilt.builders.clone(),
                varied,
                verdict: worst(&files),
                files,
            },
        }
    }

    /// Reads the bytes of a statement.
    ///
    /// # Errors
    /// [`ErrorKind::NotAStatement`] for another type or version, unknown or missing fields, and a verdict that is better
    /// than those of its files.
    pub fn read(bytes: &[u8]) -> Result<Statement, Error> {
        let refused = |what: String| Error::new(ErrorKind::NotAStatement, what);
        if bytes.len() > LARGEST {
            return Err(refused(format!("{} bytes are more than a rebuild statement has", bytes.len())));
        }
        let statement: Statement = serde_json::from_slice(bytes)
            .map_err(|error| refused(format!("not a rebuild statement: {error}")).with_source(error))?;
        if (statement.kind.as_str(), statement.predicate_type.as_str()) != (STATEMENT, PREDICATE) {
            let found = format!("{} of {}", statement.predicate_type, statement.kind);
            return Err(refused(format!("not a rebuild statement of version 1 but {found}")));
        }
        let said = &statement.predicate;
        if said.verdict != worst(&said.files) {
            return Err(refused(format!("the statement says {} and its files do not", said.verdict)));
        }
        for file in &said.files {
            let same = file.rebuilt_sha256 == Some(file.published_sha256);
            let is_subject = statement.subject.iter().any(|subject| {
                subject.name == file.file.name && subject.digest.get("sha256") == Some(&file.published_sha256)
            });
            if same != (file.file.verdict == Verdict::Identical) || !is_subject {
                return Err(refused(format!(
                    "what the statement says of {} contradicts itself",
                    file.file.name
                )));
            }
        }
        Ok(statement)
    }

    /// The statement's bytes: indented JSON with a line end. Equal statements give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("strings and numbers under string keys always serialize");
        bytes.push(b'\n');
        bytes
    }
}
