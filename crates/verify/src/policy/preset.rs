//! Presets: named sets of overrides, as data in `presets.toml`.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::PolicyOverrides;

/// The presets, commented line by line.
pub const PRESETS: &str = include_str!("../presets.toml");

/// A named policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// A program of ours that leaves for devices: the default.
    Daemon,
    /// A shared library of ours.
    Library,
    /// Everything that can be asked.
    Strict,
    /// Any distribution's files.
    Distro,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    daemon: PolicyOverrides,
    library: PolicyOverrides,
    strict: PolicyOverrides,
    distro: PolicyOverrides,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 4] = [Preset::Daemon, Preset::Library, Preset::Strict, Preset::Distro];

    /// Its name in a policy.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Daemon => "daemon",
            Preset::Library => "library",
            Preset::Strict => "strict",
            Preset::Distro => "distro",
        }
    }

    /// What differs from the target's default.
    pub fn overrides(self) -> &'static PolicyOverrides {
        static TABLE: OnceLock<Table> = OnceLock::new();
        let table =
            TABLE.get_or_init(|| toml::from_str(PRESETS).expect("the embedded presets parse, see the test"));
        match self {
            Preset::Daemon => &table.daemon,
            Preset::Library => &table.library,
            Preset::Strict => &table.strict,
            Preset::Distro => &table.distro,
        }
    }
}

#[cfg(test)]
mod tests {
    use artifact::Target;

    use super::*;
    use crate::Policy;
    use crate::policy::sound;

    #[test]
    fn every_preset_parses_is_sound_for_every_target_and_keeps_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.overrides().preset, None, "{preset:?} stands on no other");
            assert_eq!(toml::Value::try_from(preset).unwrap().as_str(), Some(preset.name()));
            for target in Target::all() {
                let policy = Policy::for_target(target).with(preset.overrides());
                assert!(sound(&policy).is_ok(), "{preset:?} {target}: {:?}", sound(&policy));
            }
        }
    }

    #[test]
    fn the_daemon_is_the_default() {
        for target in Target::all() {
            let default = Policy::for_target(target);
            assert_eq!(default.clone().with(Preset::Daemon.overrides()), default);
        }
    }
}
