//! A policy file: `[policy]`, `[target.<name>.policy]`, `[kind.<name>.policy]` and `[[waiver]]`.

use std::collections::BTreeMap;

use artifact::{Target, Waiver, nearest, nearest_in};
use serde::Deserialize;

use super::{Kind, Policy, PolicyOverrides, Preset, sound};
use crate::waivers::Waivers;
use crate::{Error, ErrorKind};
use artifact::Date;

/// What a policy file says: sound, and checked for every target.
#[derive(Debug, Default)]
pub struct PolicyFile {
    text: Text,
    /// Its waivers.
    pub waivers: Waivers,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Text {
    /// For every file.
    policy: PolicyOverrides,
    /// For the files of one target.
    target: BTreeMap<String, Scope>,
    /// For the files of one kind; wins over the target's.
    kind: BTreeMap<Kind, Scope>,
    waiver: Vec<Waiver>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Scope {
    policy: PolicyOverrides,
}

impl PolicyFile {
    /// Reads a policy file's text; waivers must hold on `today`. `name` is for messages.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`], [`ErrorKind::BadWaiver`] or [`ErrorKind::UnknownRule`], with what is wrong by name
    /// and, where it is a name, the nearest known one.
    pub fn parse(text: &str, name: &str, today: Date) -> Result<PolicyFile, Error> {
        let text: Text = toml::from_str(text).map_err(|error| refused(&error, name))?;
        let names: Vec<_> = Target::all().map(Target::name).collect();
        for target in text.target.keys() {
            if let Err(error) = target.parse::<Target>() {
                let error = Error::new(ErrorKind::BadPolicy, format!("{name}: {error}"));
                return Err(match nearest(target, &names) {
                    Some(nearest) => error.with_hint(format!("did you mean `{nearest}`?")),
                    None => error.with_hint("name one of them"),
                });
            }
        }
        if text.kind.contains_key(&Kind::Object) {
            let message =
                format!("{name}: [kind.object] is asked of no file: objects are held to [kind.program]");
            return Err(
                Error::new(ErrorKind::BadPolicy, message).with_hint("take it out, or write [kind.program]")
            );
        }
        let waivers = Waivers::new(text.waiver.clone(), today).map_err(|error| about(name, error))?;
        let file = PolicyFile { text, waivers };
        for target in Target::all() {
            for kind in [Kind::Program, Kind::Library] {
                sound(&file.policy(None, target, kind)).map_err(|error| about(name, error))?;
            }
        }
        Ok(file)
    }

    /// The preset that the file asks for, for every file.
    pub fn preset(&self) -> Option<Preset> {
        self.text.policy.preset
    }

    /// What a file of `kind` for `target` is held to: the target's default, `preset`, then the file's tables from
    /// the general to the particular.
    pub fn policy(&self, preset: Option<Preset>, target: Target, kind: Kind) -> Policy {
        let base = Policy::for_target(target);
        let base = preset.map_or(base.clone(), |preset| base.with(preset.overrides()));
        let of_target =
            |(name, scope): (&String, &Scope)| (name.parse() == Ok(target)).then(|| scope.policy.clone());
        let of_target = self.text.target.iter().filter_map(of_target);
        let of_kind = self.text.kind.get(&kind).map(|scope| scope.policy.clone());
        let layers = std::iter::once(self.text.policy.clone()).chain(of_target).chain(of_kind);
        layers.fold(base, |policy, overrides| policy.with(&overrides))
    }
}

fn refused(error: &toml::de::Error, name: &str) -> Error {
    let message = format!("{name}: {}", error.to_string().trim_end());
    let refused = Error::new(ErrorKind::BadPolicy, message);
    match nearest_in(error.message()) {
        Some(nearest) => refused.with_hint(format!("did you mean `{nearest}`?")),
        None => refused.with_hint("`cargo xtask verify --print-policy` shows every key with its default"),
    }
}

/// The same error, with the file's name in front of its sentence.
fn about(name: &str, error: Error) -> Error {
    let named = Error::new(error.kind(), format!("{name}: {error}"));
    match error.hint() {
        Some(hint) => named.with_hint(hint),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KindPolicy, SubsystemPolicy};

    fn parse(text: &str) -> Result<PolicyFile, Error> {
        PolicyFile::parse(text, "policy.toml", Date::parse("2026-01-01").unwrap())
    }

    #[track_caller]
    fn refused(text: &str, kind: ErrorKind, sentence: &str, hint: &str) {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains("policy.toml") && error.to_string().contains(sentence), "{error}");
        assert!(error.hint().is_some_and(|given| given.contains(hint)), "{:?}", error.hint());
    }

    #[test]
    fn the_particular_wins_over_the_general() {
        let file = parse(
            "[policy]\npreset = 'distro'\nsubsystem = 'gui'\ntrailing-bytes = 1\n\
             [target.x86_64-windows.policy]\ntrailing-bytes = 2\n\
             [kind.library.policy]\ntrailing-bytes = 3",
        )
        .unwrap();
        let policy = |target, kind| file.policy(None, target, kind);
        assert_eq!(file.preset(), Some(Preset::Distro));
        assert_eq!(policy(Target::X86_64Linux, Kind::Program).trailing_bytes, 1);
        assert_eq!(policy(Target::X86_64Windows, Kind::Program).trailing_bytes, 2);
        assert_eq!(policy(Target::X86_64Windows, Kind::Library).trailing_bytes, 3);
        let program = policy(Target::X86_64Windows, Kind::Program);
        assert_eq!((program.kind, program.subsystem), (KindPolicy::Auto, SubsystemPolicy::Gui));
        let library = parse("").unwrap().policy(Some(Preset::Library), Target::X86_64Linux, Kind::Library);
        assert_eq!(library.kind, KindPolicy::Library);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_with_the_nearest() {
        use ErrorKind::{BadPolicy, BadWaiver, UnknownRule};
        refused("[policy]\nglibc-flor = '2.31'", BadPolicy, "glibc-flor", "`glibc-floor`");
        refused("[polcy]", BadPolicy, "polcy", "`policy`");
        refused("[policy]\npreset = 'distor'", BadPolicy, "distor", "`distro`");
        refused("[policy]\nkind = 'libary'", BadPolicy, "libary", "`library`");
        refused("[target.aarch64-linus.policy]", BadPolicy, "aarch64-linus", "`aarch64-linux`");
        refused("[kind.libary.policy]", BadPolicy, "libary", "`library`");
        refused("[kind.object.policy]\nsize-budget = 1", BadPolicy, "[kind.object]", "[kind.program]");
        refused("[kind.library]\nfloor = 1", BadPolicy, "floor", "");
        refused("[policy]\nrules-off = ['SW-ELF-PAI']", UnknownRule, "SW-ELF-PAI", "`SW-ELF-PIE`");
        refused("[target.x86_64-linux.policy]\nglibc-floor = 'new'", BadPolicy, "`new`", "2.31");
        let waiver = "rule = 'SW-ELF-PIE'\npath = 'x'\nreason = 'r'\nticket = 't'\n";
        let expired = format!("[[waiver]]\n{waiver}expires = '2025-12-31'");
        refused(&expired, BadWaiver, "expired on 2025-12-31", "t");
        refused(&format!("[[waiver]]\n{waiver}expire = '2026-12-31'"), BadPolicy, "expire", "`expires`");
        refused(&format!("[[waiver]]\n{waiver}"), BadPolicy, "expires", "");
        let valid = format!("[[waiver]]\n{waiver}expires = '2026-12-31'\n");
        assert!(parse(&valid).is_ok());
        refused(&valid.repeat(2), BadWaiver, "twice", "");
        refused("[policy]\ntrailing-bytes = -1", BadPolicy, "trailing-bytes", "");
        refused("[policy", BadPolicy, "line 1", "");
    }
}
