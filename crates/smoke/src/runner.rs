//! Ways to start a program that was built for another system.

use std::env;
use std::path::{Path, PathBuf};

use artifact::{BinaryFormat, Engine, Linkage, Machine, Target};
use serde::Serialize;

use crate::command;

/// One way to start a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// On this machine, as it is.
    Native,
    /// With qemu's user-mode emulation.
    Qemu {
        /// `qemu-<machine>-static`.
        program: String,
        /// Where the target's loader and libraries are; `None` for a static program.
        sysroot: Option<PathBuf>,
    },
    /// With this machine's Wine.
    Wine {
        /// `wine`.
        program: String,
    },
    /// In a container without network.
    Container {
        /// Whose command line.
        engine: Engine,
        /// The image's own ID.
        image: String,
        /// What goes before the program's path, such as `run-exe`.
        command: Vec<String>,
    },
}

/// How programs for `target` could be started here, best way first. `container` is the image that built it, which
/// carries the matching emulator.
pub fn runners(target: Target, container: Option<(Engine, &str)>) -> Vec<Runner> {
    let row = target.row();
    let in_container = |command: &[&str]| {
        container.map(|(engine, image)| Runner::Container {
            engine,
            image: image.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        })
    };
    if row.format == BinaryFormat::Pe {
        let wine = Runner::Wine { program: "wine".to_owned() };
        return in_container(&["run-exe"]).into_iter().chain([wine]).collect();
    }
    let machine = match row.machine {
        Machine::Aarch64 => "aarch64",
        Machine::X86_64 => "x86_64",
    };
    if env::consts::OS == "linux" && env::consts::ARCH == machine {
        return vec![Runner::Native];
    }
    let program = format!("qemu-{machine}-static");
    let sysroot =
        (row.linkage == Linkage::Dynamic).then(|| PathBuf::from(format!("/usr/{machine}-linux-gnu")));
    let in_image = match row.linkage {
        Linkage::Dynamic => in_container(&[&program, "-L", "/usr/aarch64-linux-gnu"]),
        Linkage::StaticPie => in_container(&[&program]),
    };
    let on_host = Runner::Qemu { program, sysroot };
    [on_host].into_iter().chain(in_image).collect()
}

impl Runner {
    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Runner::Native => "native".to_owned(),
            Runner::Qemu { program, .. } | Runner::Wine { program } => program.clone(),
            Runner::Container { engine, command, .. } => {
                let emulator = command.first().map_or("", String::as_str);
                format!("{emulator} in {}", engine.program())
            }
        }
    }

    /// Whether it is there and can run what Rust builds today; otherwise what is missing.
    pub(crate) fn usable(&self) -> Result<(), String> {
        match self {
            Runner::Native | Runner::Container { .. } => Ok(()),
            Runner::Qemu { program, sysroot } => {
                on_path(program).ok_or_else(|| {
                    format!("{program} is not on PATH (Debian: apt-get install qemu-user-static)")
                })?;
                match sysroot {
                    Some(sysroot) if !sysroot.is_dir() => Err(format!(
                        "{} with the target's loader is missing (Debian: apt-get install libc6-dev-arm64-cross)",
                        sysroot.display()
                    )),
                    _ => Ok(()),
                }
            }
            Runner::Wine { program } => {
                let path = on_path(program)
                    .ok_or_else(|| format!("{program} is not on PATH (Debian 13: apt-get install wine)"))?;
                match command::version_of(&path) {
                    Some(major) if major >= 9 => Ok(()),
                    Some(major) => Err(format!(
                        "wine {major} lacks bcryptprimitives.dll, which every Rust program imports; wine 10 has it"
                    )),
                    None => Err(format!("{program} does not say its version")),
                }
            }
        }
    }

    /// The words that start `program` with `args`; the container's name, where it has one, is `container`.
    pub(crate) fn words(&self, program: &Path, args: &[String], container: &str) -> Vec<String> {
        let mut words = match self {
            Runner::Native => vec![program.display().to_string()],
            Runner::Qemu { program: qemu, sysroot } => {
                let sysroot = sysroot.iter().flat_map(|path| ["-L".to_owned(), path.display().to_string()]);
                let words = std::iter::once(qemu.clone()).chain(sysroot);
                words.chain([program.display().to_string()]).collect()
            }
            Runner::Wine { program: wine } => vec![wine.clone(), program.display().to_string()],
            Runner::Container { engine, image, command } => {
                let folder = program.parent().unwrap_or(Path::new("."));
                let name =
                    program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                // The label is the one by which a later run finds and removes what a killed run left.
                let mut words: Vec<String> =
                    [engine.program(), "run", "--rm", "--network", "none", "--name", container]
                        .map(str::to_owned)
                        .to_vec();
                words.extend(engine_arguments());
                words.extend([
                    "--volume".to_owned(),
                    format!("{}:/smoke:ro", folder.display()),
                    image.clone(),
                ]);
                words.extend(command.iter().cloned());
                words.push(format!("/smoke/{name}"));
                words
            }
        };
        words.extend(args.iter().cloned());
        words
    }
}

/// Further arguments for the engine, from `SEAWORTHY_ENGINE_ARGS`, as for builds.
fn engine_arguments() -> Vec<String> {
    let arguments = env::var("SEAWORTHY_ENGINE_ARGS").unwrap_or_default();
    arguments.split_whitespace().map(str::to_owned).collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_emulator_is_named_with_the_package_that_has_it() {
        let runner = Runner::Qemu { program: "qemu-nothing-static".to_owned(), sysroot: None };
        let why = runner.usable().unwrap_err();
        assert!(why.contains("qemu-nothing-static") && why.contains("qemu-user-static"), "{why}");
        let runner = Runner::Wine { program: "no-wine".to_owned() };
        assert!(runner.usable().unwrap_err().contains("no-wine"));
    }

    #[test]
    fn a_windows_program_is_started_in_the_image_before_this_machines_wine() {
        let found = runners(Target::X86_64Windows, Some((Engine::Docker, "sha256:1")));
        assert!(
            matches!(&found[0], Runner::Container { command, .. } if command == &["run-exe"]),
            "{found:?}"
        );
        assert!(matches!(found[1], Runner::Wine { .. }), "{found:?}");
    }
}
