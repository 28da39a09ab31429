//! `release.toml` over the embedded default. Tables are merged key by key; unknown keys are refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifact::{BuilderKind, Target, Waiver, nearest, nearest_in};
use finish::FinishOptions;
use serde::Deserialize;
use toml::{Table, Value};
use verify::PolicyOverrides;

use crate::{Error, ErrorKind};

/// The default, commented line by line: also a template for one's own.
pub const DEFAULT: &str = include_str!("default-release.toml");

/// What `release.toml` may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What is released.
    pub product: Product,
    /// How it is built.
    pub build: Build,
    /// How it is packed.
    pub package: Package,
    /// How it is started.
    pub smoke: Smoke,
    /// How it is finished, for all targets.
    pub finish: FinishOptions,
    /// What differs for one target.
    pub target: BTreeMap<String, TargetConfig>,
    /// What differs from the target's verification policy, for all targets.
    pub policy: PolicyOverrides,
    /// Refusals of the gate that a person has accepted for a time.
    pub waiver: Vec<Waiver>,
}

/// `[product]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Product {
    /// The first word of every archive's name.
    pub name: Option<String>,
    /// The cargo package.
    pub package: Option<String>,
    /// Its binaries to ship.
    pub binaries: Option<Vec<String>>,
    /// Cargo features.
    pub features: Vec<String>,
    /// Whether the package's default features are on.
    pub default_features: Option<bool>,
    /// The targets, by name.
    pub targets: Vec<String>,
}

/// `[build]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Build {
    /// The builder.
    pub builder: Option<BuilderChoice>,
    /// The cargo profile.
    pub profile: Option<String>,
}

/// A builder's name, or `auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuilderChoice {
    /// The first engine that answers, else zig.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// zig.
    Zig,
    /// This machine's cross compilers.
    Host,
}

impl BuilderChoice {
    /// The builder asked for; `None` for `auto`.
    pub fn wanted(self) -> Option<BuilderKind> {
        match self {
            BuilderChoice::Auto => None,
            BuilderChoice::Docker => Some(BuilderKind::Docker),
            BuilderChoice::Podman => Some(BuilderKind::Podman),
            BuilderChoice::Zig => Some(BuilderKind::Zig),
            BuilderChoice::Host => Some(BuilderKind::Host),
        }
    }
}

/// `[package]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Package {
    /// Where releases appear.
    pub out: Option<PathBuf>,
    /// What goes into the archives beside the programs.
    pub files: Vec<BundledFile>,
}

/// One entry of `package.files`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BundledFile {
    /// Relative to the workspace.
    pub from: PathBuf,
    /// Relative to the archive's top folder; default: the file's own name.
    pub to: Option<String>,
    /// Which archives; default: all.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// `[smoke]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Smoke {
    /// The program's arguments.
    pub args: Option<Vec<String>>,
    /// What it must answer.
    pub expect: Option<SmokeExpectation>,
    /// Seconds until it counts as hanging.
    pub timeout_seconds: Option<u64>,
}

/// `smoke.expect`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmokeExpectation {
    /// A JSON object with version, commit and target.
    VersionJson,
    /// Text with the version in it.
    Version,
    /// Exit code 0.
    Exit,
}

/// `[target.<name>]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TargetConfig {
    /// The oldest glibc the program must start on, such as `2.31`.
    pub glibc_floor: Option<String>,
    /// Finish options that win over the general ones.
    pub finish: FinishOptions,
    /// Policy that wins over the general one.
    pub policy: PolicyOverrides,
}

impl Config {
    /// The configuration of the workspace at `root`: its `release.toml`, where there is one, over the default.
    pub fn read(root: &Path) -> Result<Config, Error> {
        let path = root.join("release.toml");
        match fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Config::parse("", &path),
            Err(error) => Err(Error::new(ErrorKind::BadConfig, format!("cannot read {}", path.display()))
                .with_source(error)),
        }
    }

    /// As [`Config::read`], from text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Error> {
        // Once alone, for an error that points into the user's own text …
        let own: Config = toml::from_str(text).map_err(|error| refused(&error, path))?;
        for name in own.target.keys().chain(&own.product.targets) {
            find_target(name).map_err(|error| {
                Error::new(ErrorKind::BadConfig, format!("{}: {error}", path.display()))
                    .with_hint(hint(&error))
            })?;
        }
        // … and once merged, table by table.
        let parsed = |text: &str| text.parse::<Table>().map_err(|error| refused(&error, path));
        let (mut merged, own) = (parsed(DEFAULT)?, parsed(text)?);
        merge(&mut merged, own);
        let general = |key: &str| merged.get(key).cloned();
        let (finish, policy) = (general("finish"), general("policy"));
        for target in Target::all() {
            inherit(&mut merged, target, "finish", finish.clone());
            inherit(&mut merged, target, "policy", policy.clone());
        }
        merged.try_into().map_err(|error: toml::de::Error| refused(&error, path))
    }

    /// What is configured for `target`, the general tables already merged in.
    pub fn of(&self, target: Target) -> TargetConfig {
        self.target.get(target.name()).cloned().unwrap_or_default()
    }
}

/// Looks `name` up in the target table.
pub(crate) fn find_target(name: &str) -> Result<Target, Error> {
    name.parse().map_err(|error: artifact::UnknownTarget| {
        let names: Vec<_> = Target::all().map(Target::name).collect();
        let refused = Error::new(ErrorKind::UnknownTarget, error.to_string());
        match nearest(name, &names) {
            Some(nearest) => refused.with_hint(format!("did you mean `{nearest}`?")),
            None => refused,
        }
    })
}

fn hint(error: &Error) -> String {
    error.hint().unwrap_or("name a target of the table").to_owned()
}

/// Puts `upper`'s keys over `lower`'s; tables merge, everything else is replaced.
fn merge(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// Gives `[target.<target>.<key>]` what the general `[<key>]` says and it does not say itself.
fn inherit(merged: &mut Table, target: Target, key: &str, general: Option<Value>) {
    let Some(general) = general else { return };
    let targets = merged.entry("target").or_insert_with(|| Value::Table(Table::new()));
    let Some(targets) = targets.as_table_mut() else { return };
    let row = targets.entry(target.name()).or_insert_with(|| Value::Table(Table::new()));
    let Some(row) = row.as_table_mut() else { return };
    let own = row.insert(key.to_owned(), general);
    if let (Some(Value::Table(below)), Some(Value::Table(own))) = (row.get_mut(key), own) {
        merge(below, own);
    }
}

fn refused(error: &toml::de::Error, path: &Path) -> Error {
    let text = error.to_string();
    let refused = Error::new(ErrorKind::BadConfig, format!("{}: {}", path.display(), text.trim_end()));
    match nearest_in(error.message()) {
        Some(nearest) => refused.with_hint(format!("did you mean `{nearest}`?")),
        None => refused.with_hint("`cargo xtask plan --print-config` shows every key with its default"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Error> {
        Config::parse(text, Path::new("release.toml"))
    }

    #[test]
    fn the_default_alone_is_complete() {
        let config = parse("").unwrap();
        assert_eq!(config.product.targets, ["aarch64-linux", "x86_64-windows"]);
        assert_eq!(config.of(Target::Aarch64Linux).glibc_floor.as_deref(), Some("2.31"));
        assert_eq!(config.smoke.expect, Some(SmokeExpectation::Version));
    }

    #[test]
    fn a_general_table_reaches_every_target_and_the_targets_own_wins() {
        let config = parse(
            "[finish]\ndrop-sections = ['.comment']\n[target.aarch64-linux.finish]\ndrop-sections = ['.note.x']",
        )
        .unwrap();
        assert_eq!(config.of(Target::X86_64Windows).finish.drop_sections, [".comment"]);
        assert_eq!(config.of(Target::X86_64LinuxMusl).finish.drop_sections, [".comment"]);
        assert_eq!(config.of(Target::Aarch64Linux).finish.drop_sections, [".note.x"]);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_with_the_nearest_known_one() {
        let error = parse("[product]\nbinarys = ['x']").unwrap_err();
        assert!(error.to_string().contains("binarys") && error.to_string().contains("line 2"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `binaries`?"));
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_nearest_known_one() {
        for text in ["[target.aarch64-linus]", "[product]\ntargets = ['aarch64-linus']"] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("release.toml: unknown target `aarch64-linus`"), "{error}");
            assert_eq!(error.hint(), Some("did you mean `aarch64-linux`?"));
        }
    }

    #[test]
    fn a_wrong_type_and_broken_text_are_refused_with_their_line() {
        for text in ["\n[build]\nbuilder = 3", "\n[build]\nbuilder = 'cross'", "\n[build\n"] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("line "), "{error}");
        }
    }
}
