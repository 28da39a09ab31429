//! What a file is held to: data, from the target's row and the embedded default, with the caller's overrides.

mod file;
mod kind;
mod overrides;
mod preset;
mod sound;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use artifact::{BinaryFormat, Linkage, Machine, Target};
use inspect::facts::Binary;
use serde::{Deserialize, Serialize};

use crate::SysrootPolicy;

pub use file::PolicyFile;
pub use kind::{ApparentKind, Kind, KindPolicy};
pub use overrides::PolicyOverrides;
pub use preset::{PRESETS, Preset};
pub use sound::sound;

/// The default, commented line by line: one table a family of targets.
pub const DEFAULT_POLICY: &str = include_str!("default-policy.toml");

/// Everything the rules compare a file with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The container format.
    pub format: BinaryFormat,
    /// The processor.
    pub machine: Machine,
    /// How the program finds its C library.
    pub linkage: Linkage,
    /// Whether the file must be a program or a library, or is taken as it is.
    pub kind: KindPolicy,
    /// Rules that are not asked, by ID.
    pub rules_off: Vec<String>,
    /// The loader it must name (ELF `PT_INTERP`); `None`: it must name none.
    pub interpreter: Option<String>,
    /// The linker that must have made it: its name as its `--version` begins, and perhaps its version (`GNU ld 2.44`, `LLD`).
    /// `None`: any. A release asks for the one that its builder is locked to.
    pub linker: Option<String>,
    /// The newest glibc it may ask for, such as `2.31`; `None`: it must ask for none.
    pub glibc_floor: Option<String>,
    /// The newest libgcc_s version it may ask for, such as `4.2.0`; `None`: it must ask for none.
    pub libgcc_floor: Option<String>,
    /// The newest `GLIBCXX_` version of libstdc++ it may ask for, such as `3.4.28`; `None`: it must ask for none.
    pub glibcxx_floor: Option<String>,
    /// The newest `CXXABI_` version of libstdc++ it may ask for, such as `1.3.12`; `None`: it must ask for none.
    pub cxxabi_floor: Option<String>,
    /// Symbols that may be newer than a floor because the devices have them all the same: `name`, `name@VERSION`, or
    /// `@VERSION` for a version that no symbol asks for; a pattern ending in `*` is a prefix.
    pub floor_exceptions: Vec<String>,
    /// The newest kernel that an ELF file's ABI tag may ask for, such as `3.7.0`; `None`: any.
    pub kernel_minimum: Option<String>,
    /// `EI_OSABI` values that may stand in an ELF header.
    pub os_abi: Vec<u8>,
    /// `DT_NEEDED` names that may be asked for; a name ending in `*` is a prefix.
    pub needed_libraries: Vec<String>,
    /// Folders that `DT_RPATH` or `DT_RUNPATH` may name, such as `$ORIGIN/../lib`; one ending in `*` is a prefix.
    pub rpath: Vec<String>,
    /// The `DT_SONAME` a library must have; one ending in `*` is a prefix. `None`: not looked at.
    pub soname: Option<String>,
    /// Dynamic symbols that may be defined; a name ending in `*` is a prefix. `None`: not looked at.
    pub exported_symbols: Option<Vec<String>>,
    /// Undefined symbols that whoever loads an ELF file without libraries brings along; one ending in `*` is a prefix.
    pub undefined_symbols: Vec<String>,
    /// DLLs that may be imported, in any case; a name ending in `*` is a prefix.
    pub imported_dlls: Vec<String>,
    /// The root folder (for PE: the folder of DLLs) in which all that is needed must be; `None`: nothing is looked for.
    pub sysroot: Option<SysrootPolicy>,
    /// Symbols that need not be in the sysroot, such as those of a plug-in's host; a name ending in `*` is a prefix.
    pub unresolved_symbols: Vec<String>,
    /// DLLs that the devices have besides those of Windows 10.
    pub system_dlls: Vec<String>,
    /// DLLs that may be loaded at first use, in any case; a name ending in `*` is a prefix. `None`: as `imported_dlls`.
    pub delay_loaded_dlls: Option<Vec<String>>,
    /// Functions that a PE program may export; a name ending in `*` is a prefix.
    pub exported_functions: Vec<String>,
    /// Control-flow protections that the GNU property of an ELF file must announce.
    pub control_flow: Vec<ControlFlow>,
    /// Whether C and C++ in an ELF file must be compiled with a stack protector.
    pub stack_protector: bool,
    /// Whether C and C++ in an ELF file must call glibc's checked functions (`_FORTIFY_SOURCE`).
    pub fortify: bool,
    /// Whether an executable segment of an ELF file must hold code alone.
    pub separate_code: bool,
    /// Libraries and DLLs that may not be asked for, though a list above allows them; a name ending in `*` is a prefix.
    pub denied_libraries: Vec<String>,
    /// Whether all functions must be looked up at start; else the table of those that are not may stay writable.
    pub bind_now: bool,
    /// The PE subsystem.
    pub subsystem: SubsystemPolicy,
    /// Control flow guard of a PE file.
    pub control_flow_guard: Requirement,
    /// Whether a PE file must say that it works with shadow stacks (CET).
    pub cet_compat: bool,
    /// Whether the code of a PE file must be compiled with a stack protector.
    pub stack_cookies: bool,
    /// Whether a 64-bit PE file's preferred address must be above 4 GiB.
    pub high_image_base: bool,
    /// Whether a PE file may be packed, or an installer.
    pub packed: bool,
    /// Lines of the version resource that must be there and not empty, such as `ProductVersion`.
    pub version_resource: Vec<String>,
    /// What a manifest must say: setting and value, such as `requestedExecutionLevel` and `asInvoker`.
    pub manifest: BTreeMap<String, String>,
    /// An Authenticode signature of a PE file.
    pub authenticode: Requirement,
    /// SHA-256 fingerprints, in hexadecimal, of certificates that a signature's chain must lead to. Empty: not judged.
    pub trusted_certificates: Vec<String>,
    /// Whether an Authenticode signature must have a timestamp.
    pub authenticode_timestamp: bool,
    /// Whether symbol tables and debug sections must be gone.
    pub stripped: bool,
    /// Section names that may occur; a name ending in `*` is a prefix.
    pub sections: Vec<String>,
    /// Whether a build-id (ELF: GNU note, PE: CodeView entry) must be there.
    pub build_id: bool,
    /// Time stamps that may stand in a PE file, in seconds since 1970: 0 and the caller's SOURCE_DATE_EPOCH.
    pub timestamps: Vec<u32>,
    /// Whether the stored checksum of a PE file must be that of its bytes; all of them are read for it.
    pub checksum: bool,
    /// How many bytes may follow the last part that the headers name.
    pub trailing_bytes: u64,
    /// The largest size of the file, in bytes; `None`: any.
    pub size_budget: Option<u64>,
    /// Secrets to look for in all bytes. An empty list looks for none.
    pub secrets: Vec<Secret>,
    /// By how many percent a file may be larger than its older version.
    pub growth_percent: u32,
    /// Folders of this build that must not occur: workspace, cargo home, home, target folder. Given by the caller.
    pub build_paths: Vec<String>,
    /// Places on any build machine that must not occur; one `*` at most, which is a folder's name.
    pub path_patterns: Vec<String>,
    /// How remapped paths begin; they win over `build_paths` and `path_patterns`.
    pub allowed_paths: Vec<String>,
}

/// What `Subsystem` in a PE optional header must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubsystemPolicy {
    /// `IMAGE_SUBSYSTEM_WINDOWS_CUI` (3): Windows opens a console window.
    Console,
    /// `IMAGE_SUBSYSTEM_WINDOWS_GUI` (2): Windows opens none.
    Gui,
    /// Either of the two.
    Any,
}

/// How much something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// Not looked at.
    Ignore,
    /// It may be missing; where it is there, it must be right.
    Optional,
    /// It must be there and right.
    Required,
}

/// A protection of indirect jumps and of return addresses, as GNU properties name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlFlow {
    /// x86: indirect branch tracking.
    Ibt,
    /// x86: shadow stack.
    Shstk,
    /// AArch64: branch target identification.
    Bti,
    /// AArch64: pointer authentication.
    Pac,
    /// AArch64: guarded control stack.
    Gcs,
}

/// A kind of secret that can be told from its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// A private key in PEM form (RFC 7468), with its base64 text.
    PrivateKey,
    /// An access key ID of Amazon Web Services: `AKIA` or `ASIA` and 16 more letters and digits.
    AwsKey,
    /// A token of GitHub: `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_` and 36 more, or `github_pat_` and 82 more.
    GithubToken,
    /// A token of GitLab: `glpat-` and 20 more.
    GitlabToken,
    /// A token of Slack: `xoxb-`, `xoxp-`, `xoxa-`, `xoxr-`, `xoxs-` and digits.
    SlackToken,
    /// A key of Google's interfaces: `AIza` and 35 more.
    GoogleKey,
}

impl Policy {
    /// What a program for `target` is held to when nothing else is said.
    pub fn for_target(target: Target) -> Policy {
        let row = target.row();
        static FAMILIES: OnceLock<Families> = OnceLock::new();
        let families = FAMILIES.get_or_init(|| {
            toml::from_str(DEFAULT_POLICY).expect("the embedded default parses, see the test")
        });
        let family = match (row.format, row.linkage) {
            (BinaryFormat::Elf, Linkage::Dynamic) => &families.elf_glibc,
            (BinaryFormat::Elf, Linkage::StaticPie) => &families.elf_musl,
            (BinaryFormat::Pe, _) => &families.pe,
        };
        let fixed = Policy {
            format: row.format,
            machine: row.machine,
            linkage: row.linkage,
            kind: KindPolicy::Program,
            rules_off: Vec::new(),
            interpreter: row.interpreter.map(str::to_owned),
            linker: None,
            glibc_floor: row.glibc_floor.map(str::to_owned),
            libgcc_floor: None,
            glibcxx_floor: None,
            cxxabi_floor: None,
            floor_exceptions: Vec::new(),
            kernel_minimum: None,
            os_abi: Vec::new(),
            needed_libraries: Vec::new(),
            rpath: Vec::new(),
            soname: None,
            exported_symbols: None,
            undefined_symbols: Vec::new(),
            imported_dlls: Vec::new(),
            sysroot: None,
            unresolved_symbols: Vec::new(),
            system_dlls: Vec::new(),
            delay_loaded_dlls: None,
            exported_functions: Vec::new(),
            control_flow: Vec::new(),
            stack_protector: false,
            fortify: false,
            separate_code: false,
            denied_libraries: Vec::new(),
            bind_now: true,
            subsystem: SubsystemPolicy::Any,
            control_flow_guard: Requirement::Optional,
            cet_compat: false,
            stack_cookies: false,
            high_image_base: true,
            packed: false,
            version_resource: Vec::new(),
            manifest: BTreeMap::new(),
            authenticode: Requirement::Optional,
            trusted_certificates: Vec::new(),
            authenticode_timestamp: false,
            stripped: true,
            sections: Vec::new(),
            build_id: true,
            timestamps: Vec::new(),
            checksum: true,
            trailing_bytes: 0,
            size_budget: None,
            secrets: Vec::new(),
            growth_percent: 10,
            build_paths: Vec::new(),
            path_patterns: Vec::new(),
            allowed_paths: Vec::new(),
        };
        fixed.with(family)
    }

    /// Why the file is taken for a library; `None` for a program. What only programs have is not asked of libraries.
    pub(crate) fn library(&self, binary: &Binary) -> Option<&'static str> {
        let apparent = ApparentKind::of(binary);
        match self.kind {
            KindPolicy::Program => None,
            KindPolicy::Library => Some("the policy's word"),
            KindPolicy::Auto => (apparent.kind != Kind::Program).then_some(apparent.why),
        }
    }

    /// This policy, with the folders of a build that must not occur in what it made.
    #[must_use]
    pub fn with_build_paths(mut self, folders: impl IntoIterator<Item = String>) -> Policy {
        self.build_paths.extend(folders);
        self
    }

    /// This policy, with one more time stamp allowed, in seconds since 1970.
    #[must_use]
    pub fn with_timestamp(mut self, seconds: u32) -> Policy {
        self.timestamps.push(seconds);
        self
    }
}

/// The embedded file's tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Families {
    elf_glibc: PolicyOverrides,
    elf_musl: PolicyOverrides,
    pe: PolicyOverrides,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_policy_of_its_family() {
        for target in Target::all() {
            let policy = Policy::for_target(target);
            assert!(!policy.sections.is_empty() && !policy.path_patterns.is_empty(), "{target}");
            assert_eq!(policy.glibc_floor.is_some(), policy.libgcc_floor.is_some(), "{target}");
        }
        assert_eq!(Policy::for_target(Target::X86_64Windows).subsystem, SubsystemPolicy::Console);
        assert!(Policy::for_target(Target::Aarch64LinuxMusl).needed_libraries.is_empty());
    }

    #[test]
    fn every_table_of_the_default_says_every_key_it_can() {
        let tables: toml::Table = DEFAULT_POLICY.parse().unwrap();
        for (name, table) in tables {
            let given: Vec<_> = table.as_table().unwrap().keys().cloned().collect();
            // Floors come from the target table, or have no meaning for the family.
            for key in ["os-abi", "needed-libraries", "imported-dlls", "subsystem", "stripped", "sections"]
                .into_iter()
                .chain([
                    "build-id",
                    "timestamps",
                    "checksum",
                    "trailing-bytes",
                    "growth-percent",
                    "kind",
                    "rules-off",
                    "bind-now",
                    "denied-libraries",
                    "path-patterns",
                    "allowed-paths",
                ])
            {
                assert!(given.iter().any(|given| given == key), "[{name}] lacks {key}");
            }
        }
    }

    #[test]
    fn an_override_wins_and_leaves_the_rest() {
        let text = "subsystem = 'gui'\nimported-dlls = ['only.dll']";
        let overrides: PolicyOverrides = toml::from_str(text).unwrap();
        let default = Policy::for_target(Target::X86_64Windows);
        let policy = default.clone().with(&overrides);
        assert_eq!(policy.subsystem, SubsystemPolicy::Gui);
        assert_eq!(policy.imported_dlls, ["only.dll"]);
        assert_eq!(policy.sections, default.sections);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<PolicyOverrides>("imported-dll = []").unwrap_err().to_string();
        assert!(error.contains("imported-dll") && error.contains("imported-dlls"), "{error}");
        let policy = toml::Value::try_from(Policy::for_target(Target::Aarch64Linux)).unwrap();
        let mut table = policy.as_table().unwrap().clone();
        assert!(table.clone().try_into::<Policy>().is_ok());
        table.insert("relro".to_owned(), toml::Value::Boolean(false));
        let error = table.try_into::<Policy>().unwrap_err().to_string();
        assert!(error.contains("relro"), "{error}");
    }

    #[test]
    fn an_unknown_value_is_refused() {
        assert!(toml::from_str::<PolicyOverrides>("subsystem = 'window'").is_err());
        assert!(toml::from_str::<PolicyOverrides>("stripped = 'yes'").is_err());
    }
}
