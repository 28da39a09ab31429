//! The types of `manifest.json`. Field names and meanings change only with [`SCHEMA_VERSION`].

use std::collections::BTreeMap;

use artifact::{BuilderKind, Digest, Outcome, Source, Target, ToolchainIdentity, Verified};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;
use crate::{Error, ErrorKind};

/// The version of the schema that these types are.
pub const SCHEMA_VERSION: u32 = 1;

/// What one release is, where it came from, and what was found out about each file in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Seaworthy release manifest, version 1")]
pub struct Manifest {
    /// The version of this schema: 1.
    #[schemars(schema_with = "schema::version")]
    pub schema_version: u32,
    /// The product's name: the first word of every archive's name.
    pub product: String,
    /// The product's version.
    pub version: String,
    /// The full object name of the git commit, in hexadecimal.
    pub commit: String,
    /// The commit's committer time in seconds since 1970-01-01 UTC; every stamp in the release is this one.
    pub commit_time: i64,
    /// Whether the work tree differed from the commit.
    pub dirty: bool,
    /// What built the programs, by target.
    #[schemars(schema_with = "schema::builders")]
    pub builders: BTreeMap<Target, Builder>,
    /// The programs, sorted by target and name.
    pub artifacts: Vec<Artifact>,
    /// The archives of the release folder, sorted by name.
    pub files: Vec<File>,
}

/// What built the programs of one target. Equal builders mean equal inputs to the build, the source apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// Which kind of builder it was.
    #[schemars(schema_with = "schema::builder_kind")]
    pub kind: BuilderKind,
    /// Why this kind was chosen: asked for by name, or found first.
    pub why: String,
    /// Release and commit of rustc.
    pub rustc: String,
    /// SHA-256 over the locked inputs of the toolchain; null where nothing is locked.
    #[schemars(schema_with = "schema::optional_digest")]
    pub lock: Option<Digest>,
    /// Versions and digests of what makes it up, by name.
    pub parts: BTreeMap<String, String>,
}

/// One program for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What it runs on.
    #[schemars(schema_with = "schema::target")]
    pub target: Target,
    /// The cargo binary's name, without a suffix.
    pub binary: String,
    /// Size in bytes as cargo left it.
    pub built_size: u64,
    /// Size in bytes as it ships.
    pub size: u64,
    /// SHA-256 of the bytes that ship.
    #[schemars(schema_with = "schema::digest")]
    pub sha256: Digest,
    /// What was changed after cargo, in the order it was done.
    pub edits: Vec<Edit>,
    /// How each verification rule ended, sorted by rule.
    pub rules: Vec<RuleResult>,
    /// Whether it was really started.
    pub smoke: Smoke,
}

/// One change made to a program after cargo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The edit's lasting name.
    pub name: String,
    /// What was done.
    pub detail: String,
    /// By how many bytes the file became smaller; negative where it grew.
    pub bytes_saved: i64,
}

/// How one verification rule ended for one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    /// The rule's lasting ID.
    pub rule: String,
    /// How it ended. A published release holds no `fail` and no `cannot-tell` that is not waived.
    #[schemars(schema_with = "schema::outcome")]
    pub outcome: Outcome,
    /// What the file says.
    pub observed: String,
    /// Who accepted a `fail` or `cannot-tell`, and until when; missing where nobody had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

/// A person's word that a refusal is known and accepted for a time, from `release.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waived {
    /// Which files it is about, as it was written.
    pub path: String,
    /// Why it is accepted.
    pub reason: String,
    /// Where it is tracked.
    pub ticket: String,
    /// The last day on which it holds, as `YYYY-MM-DD`.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub expires: String,
}

/// Whether a program was really started, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "result", rename_all = "kebab-case")]
pub enum Smoke {
    /// It was started and said what it should.
    Ran {
        /// What it was started with.
        runner: String,
        /// What it wrote to standard output.
        output: String,
    },
    /// It was not started.
    NotRun {
        /// What was missing.
        why: String,
    },
}

/// One archive of the release folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the release folder.
    pub name: String,
    /// What it is for.
    pub kind: FileKind,
    /// The target whose files it holds.
    #[schemars(schema_with = "schema::target")]
    pub target: Target,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    #[schemars(schema_with = "schema::digest")]
    pub sha256: Digest,
    /// What is inside, sorted by path.
    pub members: Vec<Member>,
}

/// What an archive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// What a user installs.
    Archive,
    /// What a developer needs to read a backtrace.
    Symbols,
}

/// One file inside an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path inside the archive, with `/`.
    pub path: String,
    /// Size in bytes, unpacked.
    pub size: u64,
    /// SHA-256 of its bytes, unpacked.
    #[schemars(schema_with = "schema::digest")]
    pub sha256: Digest,
    /// Its Unix permissions in octal, such as `0755`.
    #[schemars(regex(pattern = "^0[0-7]{3}$"))]
    pub mode: String,
}

impl Manifest {
    /// A manifest for `source` with nothing in it yet.
    pub fn new(source: &Source) -> Manifest {
        Manifest {
            schema_version: SCHEMA_VERSION,
            product: source.product.clone(),
            version: source.version.clone(),
            commit: source.commit.clone(),
            commit_time: source.commit_time,
            dirty: source.dirty,
            builders: BTreeMap::new(),
            artifacts: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Reads the bytes of a `manifest.json`.
    ///
    /// # Errors
    /// [`ErrorKind::OtherSchemaVersion`] for a manifest of another time, [`ErrorKind::Malformed`] for unknown,
    /// missing or wrong fields, [`ErrorKind::NotAManifest`] for anything else.
    pub fn read(bytes: &[u8]) -> Result<Manifest, Error> {
        #[derive(Deserialize)]
        struct AnyVersion {
            schema_version: u64,
        }
        let found: AnyVersion = serde_json::from_slice(bytes).map_err(|error| {
            Error::new(
                ErrorKind::NotAManifest,
                "the bytes are not a manifest: no JSON object with a schema_version",
            )
            .with_source(error)
        })?;
        if found.schema_version != u64::from(SCHEMA_VERSION) {
            let version = found.schema_version;
            let message =
                format!("manifest schema version {version} is not {SCHEMA_VERSION}, the one known here");
            return Err(Error::new(ErrorKind::OtherSchemaVersion, message)
                .with_hint("read it with the seaworthy that wrote it, or a later one"));
        }
        let malformed = |what: String| {
            Error::new(ErrorKind::Malformed, format!("the manifest does not follow its schema: {what}"))
                .with_hint("`cargo xtask schema` prints the schema")
        };
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()).with_source(error))?;
        // serde also takes a list where the schema wants an object, and nothing where it wants null.
        let read: Value = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let meant = serde_json::to_value(&manifest).map_err(|error| malformed(error.to_string()))?;
        if read != meant {
            return Err(malformed("a list stands for an object, or a field is missing".to_owned()));
        }
        Ok(manifest)
    }

    /// The bytes of `manifest.json`: sorted, indented, with a line end. Equal manifests give equal bytes, in
    /// whatever order their lists were filled.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.sorted())
            .expect("strings and numbers under string keys always serialize");
        bytes.push(b'\n');
        bytes
    }

    fn sorted(&self) -> Manifest {
        let mut sorted = self.clone();
        sorted.artifacts.sort_by(|a, b| (a.target.name(), &a.binary).cmp(&(b.target.name(), &b.binary)));
        for artifact in &mut sorted.artifacts {
            artifact.rules.sort_by(|a, b| a.rule.cmp(&b.rule));
        }
        sorted.files.sort_by(|a, b| a.name.cmp(&b.name));
        for file in &mut sorted.files {
            file.members.sort_by(|a, b| a.path.cmp(&b.path));
        }
        sorted
    }
}

impl Builder {
    /// The record of `identity`; `why` says how it came to be chosen.
    pub fn new(identity: &ToolchainIdentity, why: impl Into<String>) -> Builder {
        Builder {
            kind: identity.builder,
            why: why.into(),
            rustc: identity.rustc.clone(),
            lock: identity.lock,
            parts: identity.parts.clone(),
        }
    }
}

impl Artifact {
    /// The record of a verified program.
    pub fn new(artifact: &artifact::Artifact<Verified>, smoke: Smoke) -> Artifact {
        let finished = artifact.stage().finished();
        let edit = |edit: &artifact::Edit| Edit {
            name: edit.name.clone(),
            detail: edit.detail.clone(),
            bytes_saved: edit.bytes_saved,
        };
        let result = |finding: &artifact::Finding| RuleResult {
            rule: finding.rule.to_string(),
            outcome: finding.outcome,
            observed: finding.observed.to_string(),
            waived: finding.waived.as_deref().map(|waiver| Waived {
                path: waiver.path.clone(),
                reason: waiver.reason.clone(),
                ticket: waiver.ticket.clone(),
                expires: waiver.expires.clone(),
            }),
        };
        Artifact {
            target: artifact.target(),
            binary: artifact.binary().to_owned(),
            built_size: finished.built_size,
            size: artifact.size(),
            sha256: artifact.digest(),
            edits: finished.edits.iter().map(edit).collect(),
            rules: artifact.stage().report().findings.iter().map(result).collect(),
            smoke,
        }
    }
}
