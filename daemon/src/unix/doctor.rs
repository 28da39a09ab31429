//! What may be wrong with an installation on Linux: who may change what root runs, a configuration that is not valid, files
//! that lie, and a unit that keeps more than it needs.
#![expect(clippy::disallowed_methods, reason = "systemd's own judgement of the unit is asked for")]

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{pid_file, socket};
use crate::config::Config;
use crate::doctor::Finding;
use crate::failure::Failure;
use crate::identity::NAME;

/// Where the unit is installed, by README.md.
pub(super) const UNIT: &str = "/etc/systemd/system/seaworthyd.service";
/// Where its configuration is, by the unit.
const CONFIG: &str = "/etc/seaworthyd/seaworthyd.toml";
/// What systemd calls "exposure" in tenths; more than this is more than the unit that comes with the program has.
const MOST_EXPOSURE: u32 = 20;

/// Looks at the program, at `config` or else the installed configuration, at what a daemon leaves where it listens, and at
/// the unit.
pub(crate) fn doctor(config: Option<&Path>) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    let installed = Some(Path::new(CONFIG)).filter(|path| path.exists());
    let mut socket = socket::default_path();
    if let Some(path) = config.or(installed) {
        writable(path, "only root should write it: chown root and chmod go-w", &mut found);
        match Config::read(path) {
            Ok(config) => socket = config.control.path.unwrap_or(socket),
            Err(failure) => found.push(Finding {
                what: failure.message().to_owned(),
                cure: "correct the file; a running daemon goes on with the old one",
            }),
        }
    }
    if let Ok(program) = std::env::current_exe() {
        writable(
            &program,
            "install it below a folder that only root writes, such as /usr/local/bin",
            &mut found,
        );
    }
    left_behind(&socket, &mut found);
    if Path::new(UNIT).exists() {
        exposed(Path::new(UNIT), &mut found);
    }
    Ok(found)
}

/// Whether anybody but root and this user may change `path`, or put something else in its place.
fn writable(path: &Path, cure: &'static str, found: &mut Vec<Finding>) {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let me = rustix::process::geteuid().as_raw();
    for (index, part) in path.ancestors().enumerate() {
        let Ok(there) = part.symlink_metadata() else { continue };
        // In a folder such as /tmp one may only replace one's own.
        let is_shared = index > 0 && there.mode() & 0o1000 != 0;
        if let Some(who) = strangers(&there, me).filter(|_| !is_shared) {
            found.push(Finding { what: format!("{} may be changed by {who}", part.display()), cure });
        }
    }
}

fn strangers(there: &Metadata, me: u32) -> Option<String> {
    if there.uid() != 0 && there.uid() != me {
        return Some(format!("user {}", there.uid()));
    }
    if there.mode() & 0o002 != 0 {
        return Some("everybody".to_owned());
    }
    (there.mode() & 0o020 != 0 && there.gid() != 0).then(|| format!("group {}", there.gid()))
}

/// The socket must be closed to others, and a pid file beside it must not name a stranger.
fn left_behind(socket: &Path, found: &mut Vec<Finding>) {
    if let Ok(there) = socket.symlink_metadata()
        && there.mode() & 0o007 != 0
    {
        let what = format!("{} is open to everybody", socket.display());
        found.push(Finding { what, cure: "stop the daemon and start it again: it makes the socket anew" });
    }
    let pid_file: PathBuf = socket.with_file_name(NAME).with_extension("pid");
    match pid_file::names_a_running_process(&pid_file) {
        Ok(true) => {}
        Ok(false) => found.push(Finding {
            what: format!("{} names a process that does not run any more", pid_file.display()),
            cure: "nothing trusts it: the lock is what counts; remove the file or start the daemon",
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => found.push(Finding {
            what: format!("{} cannot be read: {error}", pid_file.display()),
            cure: "remove the file, or look at it as the daemon's user",
        }),
    }
}

/// What systemd says of the unit (systemd-analyze(1), "security"); where it is not installed it has nothing to say.
fn exposed(unit: &Path, found: &mut Vec<Finding>) {
    let threshold = format!("--threshold={MOST_EXPOSURE}");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", &threshold]).arg(unit).stdin(Stdio::null());
    let Ok(output) = command.output() else { return };
    if output.status.success() {
        return;
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let last =
        told.lines().rev().find(|line| line.contains("exposure")).unwrap_or("systemd-analyze refuses it");
    found.push(Finding {
        what: format!("{}: {}", unit.display(), last.trim_start_matches(|c: char| !c.is_ascii_alphabetic())),
        cure: "systemd-analyze security seaworthyd shows which settings are missing",
    });
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is found with a configuration of this text and mode, whose socket is beside it.
    fn found(text: &str, mode: u32, prepare: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("seaworthyd.toml");
        let socket = folder.path().join("control.sock");
        fs::write(&path, format!("control.path = {socket:?}\n{text}")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its own");
        prepare(folder.path());
        let told = crate::doctor::text(&doctor(Some(&path)).expect("looked at"));
        told.replace(&folder.path().display().to_string(), "FOLDER")
    }

    #[test]
    fn a_good_installation_is_not_talked_about() {
        let told = found("", 0o644, |_| {});
        assert!(!told.contains("FOLDER"), "{told}");
    }

    #[test]
    fn each_weakness_is_named_with_its_cure() {
        let told = found("", 0o666, |_| {});
        assert!(told.contains("FOLDER/seaworthyd.toml may be changed by everybody"), "{told}");
        let told = found("stop_secs = 1\n", 0o644, |_| {});
        assert!(told.contains("unknown field `stop_secs`"), "{told}");
        let told = found("", 0o644, |folder| {
            fs::write(folder.join("seaworthyd.pid"), "1\n9999999999999\n").expect("written")
        });
        assert!(told.contains("FOLDER/seaworthyd.pid names a process that does not run"), "{told}");
        let told = found("", 0o644, |folder| {
            let socket = folder.join("control.sock");
            fs::write(&socket, "").expect("written");
            fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("its own");
        });
        assert!(told.contains("FOLDER/control.sock is open to everybody"), "{told}");
    }

    #[test]
    fn a_unit_that_keeps_everything_is_named_and_ours_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut lax = Vec::new();
        let unit = folder.path().join("lax.service");
        fs::write(&unit, "[Service]\nExecStart=/bin/true\n").expect("written");
        exposed(&unit, &mut lax);
        assert_eq!(lax.len(), 1, "systemd-analyze (Debian package systemd) finds it");
        assert!(lax[0].what.contains("exposure level"), "{lax:?}");
        let ours = folder.path().join("seaworthyd.service");
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/seaworthyd.service"), &ours)
            .expect("copied");
        let mut strict = Vec::new();
        exposed(&ours, &mut strict);
        assert_eq!(strict, []);
    }
}
