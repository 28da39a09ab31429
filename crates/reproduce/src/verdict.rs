//! What is said of a file that was built twice.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Spans beyond this many are counted and not listed.
pub(crate) const MOST_SPANS: usize = 16;

/// How a file built again compares with the published one, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every byte is the same.
    Identical,
    /// Only bytes differ that say where the file comes from, or that are computed over the others: the provenance
    /// slot, PE's checksum, signatures.
    NormalizedIdentical,
    /// Every difference has a cause that is named, or follows from one.
    Explained,
    /// There is a difference without a cause.
    Different,
    /// There was nothing to compare: something that is needed to build the file again, or to look at it, is missing.
    Cannot,
}

impl Verdict {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::NormalizedIdentical => "normalized-identical",
            Verdict::Explained => "explained",
            Verdict::Different => "different",
            Verdict::Cannot => "cannot",
        }
    }

    /// Whether the two files are the same program.
    pub fn is_same(self) -> bool {
        self <= Verdict::NormalizedIdentical
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why two builds differ. The names are lasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// The provenance slot says another source or build.
    Provenance,
    /// One of the two is signed, or signed otherwise.
    Signature,
    /// PE's `CheckSum`.
    PeChecksum,
    /// `TimeDateStamp` of a PE header or directory.
    PeTimestamp,
    /// The GNU build-id or a CodeView signature alone, with everything it is computed from the same.
    BuildIdOnly,
    /// Names of import libraries that hold a random part (rustc's `raw-dylib` through dlltool).
    RawDylibSymbols,
    /// A folder of the machine that built it.
    PathLeak,
    /// The date or time of the build.
    DateString,
    /// Another linker.
    LinkerIdentity,
    /// Another compiler.
    CompilerIdentity,
    /// Another C library or start code: what the sysroot brings.
    SysrootFloor,
    /// The same things in another order.
    OrderOnly,
    /// One of the two has symbols or debug sections that the other has not.
    Stripped,
    /// Only what debuggers read differs.
    DebugInfo,
    /// Other machine code, with none of the causes above.
    Codegen,
    /// Times, permissions or owners of an archive's members.
    ArchiveMetadata,
    /// The same members and metadata, packed by another compressor or at another level.
    Compressor,
    /// An archive whose members differ; each has a verdict of its own.
    Members,
}

impl CauseKind {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::Provenance => "provenance",
            CauseKind::Signature => "signature",
            CauseKind::PeChecksum => "pe-checksum",
            CauseKind::PeTimestamp => "pe-timestamp",
            CauseKind::BuildIdOnly => "build-id-only",
            CauseKind::RawDylibSymbols => "raw-dylib-symbols",
            CauseKind::PathLeak => "path-leak",
            CauseKind::DateString => "date-string",
            CauseKind::LinkerIdentity => "linker-identity",
            CauseKind::CompilerIdentity => "compiler-identity",
            CauseKind::SysrootFloor => "sysroot-floor",
            CauseKind::OrderOnly => "order-only",
            CauseKind::Stripped => "stripped",
            CauseKind::DebugInfo => "debug-info",
            CauseKind::Codegen => "codegen",
            CauseKind::ArchiveMetadata => "archive-metadata",
            CauseKind::Compressor => "compressor",
            CauseKind::Members => "members",
        }
    }

    /// The setting that makes it go away.
    pub fn cure(self) -> &'static str {
        match self {
            CauseKind::Provenance => {
                "none needed: another commit, or a build key of other inputs, says so here"
            }
            CauseKind::Signature => "none needed: compare before signing",
            CauseKind::PeChecksum => "none needed: it is computed over the other bytes",
            CauseKind::PeTimestamp => {
                "link with -Wl,--no-insert-timestamp (bfd), /Brepro (link.exe) or with SOURCE_DATE_EPOCH set, and run \
                 GNU strip and objcopy with SOURCE_DATE_EPOCH set too: they write the clock back"
            }
            CauseKind::BuildIdOnly => {
                "link with -Wl,--build-id=sha1, which is computed from the content, and not with =uuid"
            }
            CauseKind::RawDylibSymbols => {
                "give rustc a dlltool that names its symbols after the DLL (-C dlltool=…), or strip symbols"
            }
            CauseKind::PathLeak => {
                "remap it: --remap-path-prefix=FOLDER=/src for rustc, -ffile-prefix-map=FOLDER=/src in CFLAGS; a build \
                 script must not write OUT_DIR or CARGO_MANIFEST_DIR into the program"
            }
            CauseKind::DateString => {
                "take the time from SOURCE_DATE_EPOCH: compilers do for __DATE__ and __TIME__, build scripts must"
            }
            CauseKind::LinkerIdentity => {
                "name the linker (-C linker=…) and lock it; the one that is asked for is not always the one that is used"
            }
            CauseKind::CompilerIdentity => "build with the locked toolchain",
            CauseKind::SysrootFloor => {
                "build against the locked sysroot: the same C library, start files and libgcc"
            }
            CauseKind::OrderOnly => {
                "sort before writing: a HashMap (in a procedural macro or build script), a folder's listing and a \
                 locale's collation have no order of their own"
            }
            CauseKind::Stripped => "strip both or neither",
            CauseKind::DebugInfo => "build with the same debug settings; what runs is the same",
            CauseKind::Codegen => {
                "compare profile, features, RUSTFLAGS, target-cpu, codegen-units and Cargo.lock; set codegen-units = 1"
            }
            CauseKind::ArchiveMetadata => {
                "write fixed times, permissions and owners (tar --mtime --mode --owner --group, zip -X)"
            }
            CauseKind::Compressor => "lock the compressor's version and level",
            CauseKind::Members => "see the members",
        }
    }

    /// Whether a file that differs by this alone is still the same program.
    pub(crate) fn is_normal(self) -> bool {
        matches!(self, CauseKind::Provenance | CauseKind::Signature | CauseKind::PeChecksum)
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Bytes that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The section, header or member that they are in.
    pub section: String,
    /// File offset in the published file, in bytes.
    pub published_offset: u64,
    /// How many bytes there.
    pub published_size: u64,
    /// File offset in the file that was built again, in bytes.
    pub rebuilt_offset: u64,
    /// How many bytes there.
    pub rebuilt_size: u64,
}

impl Span {
    /// The same range of both files.
    pub(crate) fn same(section: &str, range: Range<usize>) -> Span {
        Span::of(section, range.clone(), range)
    }

    pub(crate) fn of(section: &str, published: Range<usize>, rebuilt: Range<usize>) -> Span {
        Span {
            section: section.to_owned(),
            published_offset: published.start as u64,
            published_size: published.len() as u64,
            rebuilt_offset: rebuilt.start as u64,
            rebuilt_size: rebuilt.len() as u64,
        }
    }
}

/// Why a file differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Which kind of cause.
    pub kind: CauseKind,
    /// The evidence, in a sentence: what the published file says, and what the other one.
    pub detail: String,
    /// The flag or setting that cures it.
    pub cure: String,
    /// Where the evidence is: the first 16 places.
    pub spans: Vec<Span>,
    /// How many places there are.
    pub span_count: u64,
}

impl Cause {
    pub(crate) fn new(kind: CauseKind, detail: impl Into<String>) -> Cause {
        let (detail, cure) = (detail.into(), kind.cure().to_owned());
        Cause { kind, detail, cure, spans: Vec::new(), span_count: 0 }
    }

    pub(crate) fn at(mut self, spans: impl IntoIterator<Item = Span>) -> Cause {
        for span in spans {
            self.span_count += 1;
            if self.spans.len() < MOST_SPANS {
                self.spans.push(span);
            }
        }
        self
    }
}

/// One file of a release, published and built again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// How the two compare.
    pub verdict: Verdict,
    /// Why they differ, the most telling first; empty where they are identical.
    pub causes: Vec<Cause>,
    /// What differs and neither is nor follows from a cause.
    pub unexplained: Vec<Span>,
    /// What is missing, where the verdict is `cannot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Compared {
    pub(crate) fn identical(name: &str) -> Compared {
        Compared::by_causes(name, Vec::new(), Vec::new())
    }

    /// Nothing could be compared: `missing` is not there.
    pub fn cannot(name: &str, missing: impl Into<String>) -> Compared {
        let missing = Some(missing.into());
        Compared { missing, verdict: Verdict::Cannot, ..Compared::identical(name) }
    }

    /// The verdict that follows.
    pub(crate) fn by_causes(name: &str, causes: Vec<Cause>, mut unexplained: Vec<Span>) -> Compared {
        unexplained.truncate(MOST_SPANS);
        let verdict = match (causes.as_slice(), unexplained.as_slice()) {
            ([], []) => Verdict::Identical,
            (causes, []) if causes.iter().all(|cause| cause.kind.is_normal()) => Verdict::NormalizedIdentical,
            (_, []) => Verdict::Explained,
            _ => Verdict::Different,
        };
        Compared { name: name.to_owned(), verdict, causes, unexplained, missing: None }
    }
}
