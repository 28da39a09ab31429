//! What compiler, linker and packager left in an ELF file for those who come later: notes decoded, and evidence.

use schemars::JsonSchema;
use serde::Serialize;

/// Notes and evidence, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Seaworthy, from notes, symbols and comments"))]
pub struct ElfMarks {
    /// Every property of every `NT_GNU_PROPERTY_TYPE_0` note, in file order.
    pub properties: Vec<GnuProperty>,
    /// The oldest kernel the C library was built for (`NT_GNU_ABI_TAG`).
    pub abi_tag: Option<AbiTag>,
    /// The package metadata note's JSON text, as it stands (systemd's `.note.package`, owner `FDO`).
    pub package: Option<String>,
    /// Relocations that the loader must write into memory that is not writable.
    pub text_relocations: TextRelocations,
    /// Which languages took part, each with where that is seen.
    pub languages: Vec<LanguageMark>,
    /// Symbols of the stack protector that the file asks for, or, where it asks for nothing, that its own symbol table
    /// holds: `__stack_chk_fail`, `__stack_chk_guard` and their like, by their whole names.
    pub stack_protector: Vec<String>,
    /// Imports that are glibc's checked variants: `__memcpy_chk`, `__open_2` …
    pub fortified: Vec<String>,
    /// Imports that glibc has a checked variant of: `memcpy`, `open` …
    pub fortifiable: Vec<String>,
}

/// One property of a `NT_GNU_PROPERTY_TYPE_0` note ("Linux Extensions to gABI", and the processors' supplements).
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Linux Extensions to gABI, and the processors' supplements"))]
pub struct GnuProperty {
    /// `pr_type`: which property it is.
    pub kind: u32,
    /// `pr_data` as a number, where it has four or eight bytes.
    pub value: Option<u64>,
    /// `pr_datasz`, in bytes.
    pub size: u32,
    /// The type's name: `x86 feature`, `AArch64 feature` …; its number where it has none.
    pub name: String,
    /// The names of the bits that are set: `IBT`, `SHSTK`, `BTI`, `PAC`, `x86-64-v2` …
    pub meaning: Vec<String>,
}

/// `NT_GNU_ABI_TAG` (LSB, "Special Sections").
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "LSB Core, Special Sections: .note.ABI-tag"))]
pub struct AbiTag {
    /// 0 is Linux, 1 the Hurd, 2 Solaris, 3 FreeBSD.
    pub system: u32,
    /// The oldest kernel: major, minor, patch.
    pub kernel: [u32; 3],
}

/// Relocations into memory that is not writable, whether or not `DT_TEXTREL` or `DF_TEXTREL` announces some. Those that
/// `DT_RELACOUNT` counts are looked at where the first or the last of them is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Relocation"))]
pub struct TextRelocations {
    /// How many.
    pub count: u64,
    /// The first ten.
    pub first: Vec<TextRelocation>,
}

/// One relocation into memory that is not writable.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "ELF gABI, Relocation"))]
pub struct TextRelocation {
    /// `r_offset`: the address that is written to.
    pub address: u64,
    /// Where that address is in the file.
    pub file_offset: u64,
    /// The relocation's type, whose meaning depends on the processor; `None` for a packed one, which has none.
    pub kind: Option<u32>,
    /// The symbol it is about; `None` for a relative one.
    pub symbol: Option<String>,
}

/// A language, and how it shows.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LanguageMark {
    /// The language.
    pub language: Language,
    /// The line, note, section or symbol that says so.
    pub evidence: String,
}

/// The languages that can be told from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Rust: rustc's line in `.comment`.
    Rust,
    /// Go: the `Go` note or the runtime's sections.
    Go,
    /// C++: symbols or libraries of its runtime.
    Cxx,
    /// Whatever GCC or Clang compiled. The C library's start files alone leave such a mark in every program.
    CFamily,
}

impl ElfMarks {
    /// Whether the processor feature `name` (`IBT`, `SHSTK`, `BTI`, `PAC`, `GCS`) is announced. The loader takes the first
    /// property of a type and no other.
    pub fn has_feature(&self, name: &str) -> bool {
        let feature = self.properties.iter().find(|property| property.kind == GnuProperty::FEATURE_1_AND);
        let x86 = self.properties.iter().find(|property| property.kind == GnuProperty::X86_FEATURE_1_AND);
        let holds = |property: &GnuProperty| property.meaning.iter().any(|bit| bit == name);
        feature.is_some_and(holds) || x86.is_some_and(holds)
    }

    /// Whether `language` took part.
    pub fn speaks(&self, language: Language) -> bool {
        self.languages.iter().any(|mark| mark.language == language)
    }
}

impl GnuProperty {
    /// `GNU_PROPERTY_AARCH64_FEATURE_1_AND`, and RISC-V's of the same number.
    pub const FEATURE_1_AND: u32 = 0xc000_0000;
    /// `GNU_PROPERTY_X86_FEATURE_1_AND`.
    pub const X86_FEATURE_1_AND: u32 = 0xc000_0002;
}
