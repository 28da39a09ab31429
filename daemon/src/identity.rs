//! Which version, commit, target and build the running program is.

use serde::Serialize;

/// The program's name, also its service name.
pub(crate) const NAME: &str = "seaworthyd";

/// What `--version` tells.
#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    name: &'static str,
    version: String,
    commit: String,
    dirty: bool,
    target: String,
    build: Option<String>,
}

impl Identity {
    /// From the slot that the release wrote; a development build knows only what the compiler did.
    pub(crate) fn of_this_program() -> Self {
        match provenance::me() {
            Some(slot) => Self {
                name: NAME,
                version: slot.version,
                commit: slot.commit,
                dirty: slot.dirty,
                target: slot.target,
                build: Some(slot.build),
            },
            None => Self {
                name: NAME,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                commit: "unreleased".to_owned(),
                dirty: false,
                target: compiled_for(),
                build: None,
            },
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("strings and flags always serialise")
    }

    pub(crate) fn line(&self) -> String {
        let dirty = if self.dirty { "-dirty" } else { "" };
        format!("{} {} ({}{dirty}, {})", self.name, self.version, self.commit, self.target)
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn build(&self) -> Option<&str> {
        self.build.as_deref()
    }

    pub(crate) fn commit(&self) -> &str {
        &self.commit
    }
}

/// The target's name in Seaworthy's table, such as `aarch64-linux-musl`.
fn compiled_for() -> String {
    let suffix = if cfg!(target_env = "musl") { "-musl" } else { "" };
    format!("{}-{}{suffix}", std::env::consts::ARCH, std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_build_says_so() {
        let identity = Identity::of_this_program();
        let expected = format!("seaworthyd {} (unreleased, {})", env!("CARGO_PKG_VERSION"), compiled_for());
        assert_eq!(identity.line(), expected);
        let json: serde_json::Value = serde_json::from_str(&identity.json()).expect("JSON");
        assert_eq!(json["commit"], "unreleased");
        assert_eq!(json["build"], serde_json::Value::Null);
    }
}
