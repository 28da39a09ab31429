//! A release made again: its commit in another folder, this program started on it in an environment that differs.
#![expect(clippy::disallowed_methods, reason = "git and this program itself are started here")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use artifact::{BuilderKind, Target};
use manifest::Manifest;
use serde_json::Value;
use tempfile::TempDir;

use crate::args::Variation;
use crate::failure::{Failure, Message};

/// What to make again, and how.
pub(crate) struct Request<'a> {
    /// A folder inside the repository: the workspace that was released.
    pub(crate) workspace: &'a Path,
    /// The full object name of the commit.
    pub(crate) commit: &'a str,
    /// Its committer time, in seconds since 1970: the day on which waivers must hold is that one, as it was then.
    pub(crate) commit_time: i64,
    /// When it had been made at the latest, by this machine's clock.
    pub(crate) made: SystemTime,
    /// Who builds, and for which targets.
    pub(crate) builds: BTreeMap<BuilderKind, Vec<Target>>,
    /// What is to be different on purpose; the folder always is.
    pub(crate) varied: BTreeSet<Variation>,
    /// Whether the network must not be used.
    pub(crate) offline: bool,
}

/// What was made again. The folder goes away with it.
pub(crate) struct Rebuilt {
    _place: TempDir,
    /// One release for each kind of builder.
    pub(crate) releases: Vec<(PathBuf, Manifest)>,
    /// What could not be made, and why: a builder that cannot be had here.
    pub(crate) missing: Vec<(Vec<Target>, String)>,
}

/// Why there is no source to build.
pub(crate) enum NoSource {
    /// The repository does not have it.
    Missing(String),
    /// Something went wrong.
    Failed(Failure),
}

/// Makes it again.
pub(crate) fn again(request: &Request<'_>, on_build: &dyn Fn(BuilderKind)) -> Result<Rebuilt, NoSource> {
    let place = tempfile::Builder::new().prefix("seaworthy-rebuild-").tempdir();
    let place = place.map_err(|error| NoSource::Failed(cannot("make a folder to build in", &error)))?;
    let workspace = check_out(request, place.path())?;
    thread::sleep(until_another_time(request.made, SystemTime::now()));
    let mut rebuilt = Rebuilt { _place: place, releases: Vec::new(), missing: Vec::new() };
    for (kind, targets) in &request.builds {
        on_build(*kind);
        let place = rebuilt._place.path().to_owned();
        match release(request, *kind, targets, &workspace, &place).map_err(NoSource::Failed)? {
            Ok(release) => rebuilt.releases.push(release),
            Err(why) => rebuilt.missing.push((targets.clone(), why)),
        }
    }
    Ok(rebuilt)
}

/// How long to wait until every stamp differs from those of what was `made`: a build that writes down the time would else be
/// found the same because it is quick. The coarsest stamps in common use, those in zip archives, are of every second second.
fn until_another_time(made: SystemTime, now: SystemTime) -> Duration {
    const COARSEST: Duration = Duration::from_secs(2);
    // What is of a later time than now was made by another clock, or this one was set back.
    COARSEST.saturating_sub(now.duration_since(made).unwrap_or(Duration::ZERO))
}

/// The commit's files in a repository of their own, and the workspace's folder there.
fn check_out(request: &Request<'_>, place: &Path) -> Result<PathBuf, NoSource> {
    let repository = request.workspace.display();
    let commit = request.commit;
    let is_name = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let object = format!("{commit}^{{commit}}");
    if !is_name || git(request.workspace, &["cat-file", "-e", &object]).is_err() {
        return Err(NoSource::Missing(format!(
            "the commit {commit}: it is not in the repository of {repository}"
        )));
    }
    let inside = git(request.workspace, &["rev-parse", "--show-prefix"]).map_err(NoSource::Failed)?;
    let from = git(request.workspace, &["rev-parse", "--absolute-git-dir"]).map_err(NoSource::Failed)?;
    let source = place.join("source");
    fs::create_dir(&source).map_err(|error| NoSource::Failed(cannot("make a folder to build in", &error)))?;
    // Fetched by name, since no branch needs to lead to it any more.
    for words in [
        &["init", "--quiet"][..],
        &["fetch", "--quiet", "--tags", from.trim(), commit],
        &["checkout", "--quiet", "--detach", commit],
    ] {
        git(&source, words).map_err(NoSource::Failed)?;
    }
    Ok(source.join(inside.trim()))
}

/// One release by one builder; the inner error says what is missing to provision that builder.
fn release(
    request: &Request<'_>,
    kind: BuilderKind,
    targets: &[Target],
    workspace: &Path,
    place: &Path,
) -> Result<Result<(PathBuf, Manifest), String>, Failure> {
    let this_program =
        std::env::current_exe().map_err(|error| cannot("find this program's own file", &error))?;
    let mut words: Vec<OsString> =
        vec![this_program.into(), "release".into(), "--format".into(), "json".into()];
    words.extend(["--builder".into(), kind.name().into()]);
    words.extend(["--workspace".into(), workspace.into()]);
    words.extend(["--out".into(), place.join("out").join(kind.name()).into()]);
    words.extend(targets.iter().flat_map(|target| ["--target".into(), target.name().into()]));
    words.extend(request.offline.then(|| "--offline".into()));
    let mut command = varied(&words, &request.varied, place)?;
    command.env("SOURCE_DATE_EPOCH", request.commit_time.to_string());
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| cannot("start this program again", &error))?;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if !output.status.success() {
        let why = told["error"].as_str().unwrap_or("see above").to_owned();
        // Exit code 5: the builder is missing, off its lock, or cannot be provisioned.
        if output.status.code() == Some(5) {
            return Ok(Err(format!("the builder `{}`: {why}", kind.name())));
        }
        let message = Message::new(
            format!("the release could not be made again with {} ({}): {why}", kind.name(), output.status),
            "make it by hand: check out the commit elsewhere and run `cargo xtask release`",
        );
        return Err(Failure::Build(message));
    }
    let folder = PathBuf::from(told["folder"].as_str().unwrap_or_default());
    let (manifest, _) = package::read_release(&folder)?;
    Ok(Ok((folder, manifest)))
}

/// `words` as a command whose environment differs from this one's in `variations`.
fn varied(words: &[OsString], variations: &BTreeSet<Variation>, place: &Path) -> Result<Command, Failure> {
    let mut before: Vec<OsString> = Vec::new();
    let mut env: Vec<(&str, OsString)> = Vec::new();
    for variation in variations {
        match variation {
            Variation::Directory => {}
            Variation::TargetDirectory => {
                env.push(("CARGO_TARGET_DIR", place.join("elsewhere/built").into()))
            }
            Variation::Locale => env.extend([
                ("LC_ALL", "tr_TR.UTF-8".into()),
                ("LANG", "tr_TR.UTF-8".into()),
                ("TZ", "Asia/Kathmandu".into()),
            ]),
            Variation::Umask => before.extend(["sh", "-c", "umask 077; exec \"$@\"", "sh"].map(Into::into)),
            Variation::Hostname => {
                let script = "hostname rebuilt.example && exec \"$@\"";
                before.extend(["unshare", "--uts", "sh", "-c", script, "sh"].map(Into::into));
            }
            Variation::CargoHome | Variation::Jobs => {
                let home = cargo_home(place, variations.contains(&Variation::Jobs))?;
                env.push(("CARGO_HOME", home.into()));
            }
        }
    }
    if !variations.contains(&Variation::TargetDirectory) {
        // Its own in any case: in a folder that this process's variable or cargo's settings name, the first build lies ready,
        // and would be compared with itself.
        env.push(("CARGO_TARGET_DIR", place.join("source/target").into()));
    }
    before.extend(words.iter().cloned());
    let mut command = Command::new(&before[0]);
    command.args(&before[1..]).envs(env);
    Ok(command)
}

/// Another home for cargo, with what was downloaded and nothing that was unpacked. One job at a time is a setting there:
/// builders pass no such variable on.
fn cargo_home(place: &Path, one_job: bool) -> Result<PathBuf, Failure> {
    let home = place.join("another/cargo-home");
    let theirs = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let theirs = theirs.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    fs::create_dir_all(home.join("registry")).map_err(|error| cannot("make another CARGO_HOME", &error))?;
    for part in ["registry/index", "registry/cache", "git/db"] {
        let from = theirs.as_deref().map(|theirs| theirs.join(part)).filter(|from| from.is_dir());
        let Some(from) = from else { continue };
        fs::create_dir_all(home.join(part).parent().unwrap_or(&home))
            .map_err(|error| cannot("make another CARGO_HOME", &error))?;
        let copied =
            Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(home.join(part)).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(Failure::Build(Message::new(
                format!("cannot copy cargo's downloads to {}", home.display()),
                "free some space, or name another folder in TMPDIR",
            )));
        }
    }
    let mut settings = String::new();
    if let Some(theirs) = theirs.as_deref() {
        settings = fs::read_to_string(theirs.join("config.toml")).unwrap_or_default();
    }
    if one_job {
        settings = with_one_job(&settings)?;
    }
    fs::write(home.join("config.toml"), settings)
        .map_err(|error| cannot("make another CARGO_HOME", &error))?;
    Ok(home)
}

/// Cargo's settings with `build.jobs = 1`.
fn with_one_job(settings: &str) -> Result<String, Failure> {
    let broken = |error: String| {
        Failure::Usage(Message::new(format!("cargo's own config.toml cannot be read: {error}"), "mend it"))
    };
    let mut settings: toml::Table =
        settings.parse().map_err(|error: toml::de::Error| broken(error.to_string()))?;
    let build = settings.entry("build").or_insert_with(|| toml::Table::new().into());
    let build = build.as_table_mut().ok_or_else(|| broken("`build` is no table".to_owned()))?;
    build.insert("jobs".to_owned(), 1.into());
    toml::to_string(&settings).map_err(|error| broken(error.to_string()))
}

fn git(folder: &Path, words: &[&str]) -> Result<String, Failure> {
    let output = Command::new("git").arg("-C").arg(folder).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| cannot("start git", &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let message = format!("`git {}` failed in {}: {said}", words.join(" "), folder.display());
    Err(Failure::Plan(Message::new(message, "see whether the repository is whole: `git fsck`")))
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Build(Message::new(
        format!("cannot {what}: {error}"),
        "free some space, or name another folder in TMPDIR",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rebuild_has_a_target_folder_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        for variations in [&[][..], &[Variation::Umask], &[Variation::TargetDirectory]] {
            let varied =
                varied(&["true".into()], &variations.iter().copied().collect(), place.path()).unwrap();
            let folder =
                varied.get_envs().find(|(name, _)| *name == "CARGO_TARGET_DIR").and_then(|(_, value)| value);
            assert!(
                folder.is_some_and(|folder| Path::new(folder).starts_with(place.path())),
                "{variations:?}"
            );
        }
    }

    #[test]
    fn no_stamp_of_a_rebuild_is_the_release_s() {
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let wait = |since: u64| until_another_time(made, made + Duration::from_millis(since)).as_millis();
        assert_eq!([wait(0), wait(300), wait(1999), wait(2000), wait(86_400_000)], [2000, 1700, 1, 0, 0]);
        assert_eq!(until_another_time(made + Duration::from_secs(9), made).as_millis(), 2000, "set back");
    }

    #[test]
    fn one_job_is_added_to_the_settings_that_are_there() {
        let settings = "[build]\njobs = 8\ntarget-dir = \"x\"\n\n[net]\noffline = true\n";
        let settings: toml::Table = with_one_job(settings).unwrap().parse().unwrap();
        assert_eq!(settings["build"]["jobs"].as_integer(), Some(1));
        assert_eq!(settings["build"]["target-dir"].as_str(), Some("x"));
        assert_eq!(settings["net"]["offline"].as_bool(), Some(true));
        assert!(with_one_job("build = 1").is_err());
    }
}
