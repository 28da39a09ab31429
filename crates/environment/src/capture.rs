//! The facts about one place, in a canonical form: equal places give equal bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use artifact::Digest;
use inspect::facts::Binary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Key, Place, config, libraries, packages, runtime};

/// The version of a capture's form.
pub const SCHEMA_VERSION: u32 = 1;
/// More facts are not kept; what is beyond is an unknown fact.
pub(crate) const MOST_FACTS: usize = 200_000;

/// What is asked of [`capture`].
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The place's name; the place's own where none is given.
    pub name: Option<String>,
    /// The day, as `YYYY-MM-DD`, where it is to be in the capture.
    pub taken: Option<String>,
    /// Programs that are to run there.
    pub artifacts: Vec<Wanted>,
    /// The key for values that must not leave the place; without one they are left out.
    pub key: Option<Key>,
}

/// A program that is to run at a place.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name in facts.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where it is or would be installed, as `$ORIGIN` depends on it.
    pub installed: Option<PathBuf>,
}

/// What facts are about, which decides what a difference weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// What a program must find: any difference fails.
    Gate,
    /// Libraries that programs are linked with.
    Abi,
    /// The programs themselves.
    Artifact,
    /// Settings: files of `/etc`, environment variables, units.
    Config,
    /// Kernel, time zone, language, limits, users.
    Runtime,
    /// Every installed package.
    Inventory,
}

impl Class {
    /// All classes that have a weight.
    pub const WEIGHED: [Class; 5] =
        [Class::Abi, Class::Artifact, Class::Config, Class::Runtime, Class::Inventory];

    /// What a class that differs in everything weighs beside the others; gates have none.
    pub fn weight(self) -> f64 {
        match self {
            Class::Gate => 0.0,
            Class::Abi | Class::Artifact => 8.0,
            Class::Config => 4.0,
            Class::Runtime => 2.0,
            Class::Inventory => 1.0,
        }
    }

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Class::Gate => "gate",
            Class::Abi => "abi",
            Class::Artifact => "artifact",
            Class::Config => "config",
            Class::Runtime => "runtime",
            Class::Inventory => "inventory",
        }
    }
}

/// One fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What is so: a version, a digest, a text. Of a gate: `met`, or why not.
    pub value: String,
    /// The file it was read from.
    pub source: String,
    /// The Debian version by which two values are near or far; missing where they are only equal or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The package that brings it, as `name=version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// How much it counts among its class; missing where it is 1. Of a library: one more than programs and libraries that
    /// need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl Fact {
    /// Whether only a running system has such a fact.
    pub(crate) fn is_of_running(&self) -> bool {
        self.source.starts_with("/proc/") || [KERNEL, ENVIRONMENT].contains(&self.source.as_str())
    }
}

/// The source of what the kernel says of itself.
pub(crate) const KERNEL: &str = "uname";
/// The source of what is in the environment of the process that captured.
pub(crate) const ENVIRONMENT: &str = "the environment";

/// A fact that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// What it would be about.
    pub class: Class,
    /// Its key.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// A place's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Seaworthy environment capture, version 1")]
pub struct Capture {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// The place's name.
    pub name: String,
    /// The processor that its loader is for, such as `aarch64`; missing where there is no loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The system's name for itself (os-release(5), `PRETTY_NAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The day, as `YYYY-MM-DD`, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// Whether it was captured while it ran: then it has a kernel, limits and mounts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// By class and key.
    pub facts: BTreeMap<Class, BTreeMap<String, Fact>>,
    /// What could not be read, sorted.
    pub unknown: Vec<Unknown>,
}

/// Reads `place`. What cannot be read there is an unknown fact, not an error.
///
/// # Errors
/// [`ErrorKind::NotAProgram`] for an artifact that cannot be read as a program.
pub fn capture(place: &Place, request: &Request) -> Result<Capture, Error> {
    let mut taker = Taker { capture: Capture::default(), count: 0 };
    taker.capture.schema_version = SCHEMA_VERSION;
    taker.capture.name = request.name.clone().unwrap_or_else(|| place.name().to_owned());
    taker.capture.taken = request.taken.clone();
    taker.capture.running = place.is_running();
    for (key, why) in place.passed_over() {
        taker.unknown(Class::Config, key, why);
    }
    let installed = packages::take(place, &mut taker);
    for wanted in &request.artifacts {
        artifact_facts(wanted, &mut taker)?;
    }
    libraries::take(place, &request.artifacts, &installed, &mut taker)?;
    config::take(place, request.key.as_ref(), &installed, &mut taker);
    runtime::take(place, &mut taker);
    taker.capture.unknown.sort_by(|a, b| (a.class, &a.key).cmp(&(b.class, &b.key)));
    Ok(taker.capture)
}

fn artifact_facts(wanted: &Wanted, taker: &mut Taker) -> Result<(), Error> {
    let facts = inspect::inspect(&wanted.bytes).map_err(|error| {
        Error::new(ErrorKind::NotAProgram, format!("{}: {error}", wanted.name)).with_source(error)
    })?;
    let mut add = |key: &str, value: String| {
        let fact = Fact { value, source: wanted.name.clone(), ..Fact::default() };
        taker.fact(Class::Artifact, &format!("{}{key}", wanted.name), fact);
    };
    add("", format!("sha256:{}", Digest::of(&wanted.bytes)));
    let section = |name: &str| match &facts.binary {
        Binary::Elf(elf) => {
            elf.sections.iter().find(|one| one.name == name).map(|one| (one.offset, one.size))
        }
        Binary::Pe(pe) => {
            let found = pe.sections.iter().find(|one| one.name == name);
            found.map(|one| (one.file_start(pe), u64::from(one.raw_size)))
        }
    };
    let found = section(provenance::ELF_SECTION).or_else(|| section(provenance::PE_SECTION));
    let bytes = found.and_then(|(offset, size)| {
        let start = usize::try_from(offset).ok()?;
        wanted.bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    });
    let bytes = bytes.unwrap_or_default();
    let slots = provenance::offsets(bytes).into_iter().map(|at| &bytes[at..at + provenance::SLOT_SIZE]);
    if let Some(said) = slots.filter_map(|slot| provenance::decode(slot).ok().flatten()).next() {
        add(" commit", said.commit);
        add(" version", said.version);
    }
    Ok(())
}

/// Takes facts into a capture.
pub(crate) struct Taker {
    pub(crate) capture: Capture,
    count: usize,
}

impl Taker {
    pub(crate) fn fact(&mut self, class: Class, key: &str, fact: Fact) {
        self.count += 1;
        if self.count == MOST_FACTS {
            self.unknown(class, "further facts", &format!("there are more than {MOST_FACTS}"));
        }
        if self.count < MOST_FACTS {
            self.capture.facts.entry(class).or_default().insert(key.to_owned(), fact);
        }
    }

    pub(crate) fn text(&mut self, class: Class, key: &str, value: impl Into<String>, source: &str) {
        self.fact(class, key, Fact { value: value.into(), source: source.to_owned(), ..Fact::default() });
    }

    pub(crate) fn unknown(&mut self, class: Class, key: &str, why: &str) {
        if self.capture.unknown.len() < MOST_FACTS {
            self.capture.unknown.push(Unknown { class, key: key.to_owned(), why: why.to_owned() });
        }
    }
}

impl Capture {
    /// Reads a capture's JSON.
    ///
    /// # Errors
    /// [`ErrorKind::NotACapture`] for anything else, and for another version.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Capture, Error> {
        #[derive(Deserialize)]
        struct AnyVersion {
            schema_version: u32,
        }
        let other_version = |version: u32| {
            let message = format!("{name} is a capture of version {version}, not {SCHEMA_VERSION}");
            Error::new(ErrorKind::NotACapture, message).with_hint("capture the place again")
        };
        // A capture of another version is likely to have other fields, too.
        match serde_json::from_slice::<Capture>(bytes) {
            Ok(capture) if capture.schema_version == SCHEMA_VERSION => Ok(capture),
            Ok(capture) => Err(other_version(capture.schema_version)),
            Err(error) => match serde_json::from_slice::<AnyVersion>(bytes) {
                Ok(found) if found.schema_version != SCHEMA_VERSION => {
                    Err(other_version(found.schema_version))
                }
                _ => Err(Error::new(ErrorKind::NotACapture, format!("{name} is no capture: {error}"))
                    .with_source(error)),
            },
        }
    }

    /// The capture's bytes: sorted, indented JSON with a line end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("strings and numbers under string keys always serialize");
        bytes.push(b'\n');
        bytes
    }
}
