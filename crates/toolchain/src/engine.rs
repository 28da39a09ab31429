//! The container engine, through its command line: what Docker and Podman both understand, and nothing else.

use std::env;
use std::path::Path;
use std::time::Duration;

use artifact::Engine;
use serde::Deserialize;

use crate::command::{Ended, Program};
use crate::{Error, ErrorKind};

/// Arguments that this machine's engine needs for every `run` and `build`, separated by spaces.
const EXTRA: &str = "SEAWORTHY_ENGINE_ARGS";

/// Whether the engine answers within `patience`.
pub(crate) fn answers(engine: Engine, patience: Duration) -> bool {
    Program::new(engine.program()).arg("info").answers(patience)
}

/// The error for an engine that was asked for.
pub(crate) fn not_running(engine: Engine) -> Error {
    let hint = match engine {
        Engine::Docker => {
            "start it (`systemctl start docker`, or `dockerd &` as root), install it (`apt-get install docker.io iptables`), or pass `--builder zig`"
        }
        Engine::Podman => {
            "install it (`apt-get install podman`), see what `podman info` says, or pass `--builder zig`"
        }
    };
    Error::new(ErrorKind::EngineNotRunning, format!("{} does not answer", engine.program())).with_hint(hint)
}

/// What an engine tells of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageFacts {
    /// `sha256:…`
    pub(crate) id: String,
    /// `sha256:…` of each layer's tar file, the lowest first.
    pub(crate) layers: Vec<String>,
}

/// The image `reference` (an ID or a tag), if the engine has it.
pub(crate) fn image(engine: Engine, reference: &str) -> Result<Option<ImageFacts>, Error> {
    let program = Program::new(engine.program()).args(["image", "inspect", reference]);
    let ended = program.run()?;
    if !ended.success {
        return if says_unknown(&ended) {
            Ok(None)
        } else {
            Err(program.failed(ErrorKind::EngineFailed, &ended))
        };
    }
    parse(&ended.out).map(Some).map_err(|cause| {
        Error::new(ErrorKind::EngineFailed, format!("`{}` prints no image: {}", program.line(), ended.out))
            .with_source(cause)
    })
}

fn says_unknown(ended: &Ended) -> bool {
    let told = ended.err.to_lowercase();
    ["no such image", "image not known", "failed to find image"].iter().any(|words| told.contains(words))
}

fn parse(json: &str) -> Result<ImageFacts, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inspected {
        id: String,
        #[serde(rename = "RootFS")]
        root_fs: RootFs,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct RootFs {
        layers: Option<Vec<String>>,
    }
    let [Inspected { id, root_fs }] = serde_json::from_str(json)?;
    let id = if id.starts_with("sha256:") { id } else { format!("sha256:{id}") }; // Podman leaves it out
    Ok(ImageFacts { id, layers: root_fs.layers.unwrap_or_default() })
}

/// Loads an image archive.
pub(crate) fn load(engine: Engine, archive: &Path) -> Result<(), Error> {
    let path = archive.to_string_lossy();
    Program::new(engine.program())
        .args(["load", "--quiet", "--input", &path])
        .read(ErrorKind::EngineFailed)
        .map(drop)
}

/// Gets an image from a registry by its digest and gives it the name `tag`.
pub(crate) fn pull(
    engine: Engine,
    reference: &str,
    tag: &str,
    on_line: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let program = Program::new(engine.program());
    program.clone().args(["pull", reference]).follow(ErrorKind::ImageNotMade, on_line)?;
    program.args(["tag", reference, tag]).read(ErrorKind::EngineFailed).map(drop)
}

/// Runs a command in a new container of `image`, without network, and gives what it prints.
pub(crate) fn read_in(engine: Engine, image: &str, command: &[&str]) -> Result<String, Error> {
    Program::new(engine.program())
        .args(["run", "--rm", "--network", "none"])
        .args(extra_args())
        .arg(image)
        .args(command.iter().copied())
        .read(ErrorKind::EngineFailed)
}

fn extra_args() -> Vec<String> {
    let set = env::var(EXTRA).unwrap_or_default();
    set.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_both_engines_print() {
        let docker = r#"[{"Id":"sha256:ab","RootFS":{"Type":"layers","Layers":["sha256:01"]},"Config":{"Labels":null}}]"#;
        let podman = r#"[{"Id":"ab","RootFS":{"Layers":["sha256:01"]},"Config":{"Labels":{"a":"b"}}}]"#;
        let (docker, podman) = (parse(docker).unwrap(), parse(podman).unwrap());
        assert_eq!((&docker.id, &docker.layers), (&podman.id, &podman.layers));
        assert!(parse("[]").is_err());
    }

    #[test]
    fn an_engine_that_is_asked_for_names_the_command_that_starts_it() {
        let error = not_running(Engine::Docker);
        assert_eq!(error.kind(), ErrorKind::EngineNotRunning);
        assert!(error.hint().unwrap().contains("dockerd"), "{error}");
    }
}
