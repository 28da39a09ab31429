//! Settings: the files of /etc by digest, environment variables by value.

use artifact::Digest;
use closure::Sysroot;

use crate::capture::{self, Taker};
use crate::packages::Installed;
use crate::secret::is_secret;
use crate::{Class, Fact, Key, Place};

/// A file of more bytes is not read.
const LARGEST: u64 = 16 << 20;
/// More files are not looked at.
const MOST: usize = 20_000;
/// How deep folders are followed.
const DEPTH: usize = 12;
/// Files that each machine writes for itself, and that no program of ours reads.
const OWN: &[&str] = &[
    "/etc/machine-id",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/etc/timezone",
    "/etc/localtime",
    "/etc/default/locale",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/passwd",
];
/// Folders that packages' scripts fill: what they hold follows from the packages.
const MADE: &[&str] = &["/etc/alternatives/", "/etc/ssl/certs/", "/etc/rc"];
/// Files that hold secrets under a plain name.
const SECRET: &[&str] = &["/etc/shadow", "/etc/gshadow", "/etc/krb5.keytab"];
/// `NAME=value` a line (environment.d(5), pam_env(8)).
const ENVIRONMENT: &str = "/etc/environment";

/// Takes settings.
pub(crate) fn take(place: &Place, key: Option<&Key>, installed: &Installed, taker: &mut Taker) {
    let mut files = Vec::new();
    collect(place.root(), "/etc", 0, &mut files);
    if files.len() == MOST {
        taker.unknown(Class::Config, "further files", &format!("/etc has more than {MOST}"));
    }
    files.retain(|path| !MADE.iter().any(|folder| path.starts_with(folder)));
    for path in files {
        if path == ENVIRONMENT {
            environment(place, key, taker);
        } else if !OWN.contains(&path.as_str()) {
            file(place.root(), &path, key, installed, taker);
        }
    }
    if place.is_running() {
        let mut variables: Vec<_> = std::env::vars_os().collect();
        variables.sort();
        for name in ["LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD"] {
            if let Some((_, value)) = variables.iter().find(|(found, _)| found == name) {
                taker.text(
                    Class::Config,
                    &format!("variable {name}"),
                    value.to_string_lossy(),
                    capture::ENVIRONMENT,
                );
            }
        }
    }
}

/// The files below a folder, in order; links are files.
fn collect(root: &Sysroot, folder: &str, depth: usize, files: &mut Vec<String>) {
    for name in root.list(folder) {
        if files.len() == MOST {
            return;
        }
        let path = format!("{folder}/{name}");
        let is_link = root.link(&path).is_some();
        if !is_link && depth < DEPTH && !root.list(&path).is_empty() {
            collect(root, &path, depth + 1, files);
        } else {
            files.push(path);
        }
    }
}

fn file(root: &Sysroot, path: &str, key: Option<&Key>, installed: &Installed, taker: &mut Taker) {
    let hidden = is_secret(path) || SECRET.contains(&path);
    let value = match (root.link(path), root.file(path, LARGEST)) {
        (Some(target), _) => format!("-> {target}"),
        (None, Ok(Some(bytes))) => match key {
            _ if !hidden => format!("sha256:{}", Digest::of(&bytes)),
            Some(key) => key.digest(&bytes),
            None => "present, not told".to_owned(),
        },
        (None, Ok(None)) => return,
        (None, Err(why)) if why.contains("not a file") => return, // an empty folder, a pipe
        (None, Err(why)) => return taker.unknown(Class::Config, path, &why),
    };
    let package = installed.owner(path).cloned();
    taker.fact(Class::Config, path, Fact { value, source: path.to_owned(), package, ..Fact::default() });
}

fn environment(place: &Place, key: Option<&Key>, taker: &mut Taker) {
    let text = match place.text(ENVIRONMENT, LARGEST) {
        Ok(text) => text.unwrap_or_default(),
        Err(why) => return taker.unknown(Class::Config, ENVIRONMENT, &why),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim_start_matches("export ").trim(), value.trim().trim_matches('"'));
        let value = match key {
            _ if !is_secret(name) => value.to_owned(),
            Some(key) => key.digest(value.as_bytes()),
            None => "present, not told".to_owned(),
        };
        taker.text(Class::Config, &format!("variable {name}"), value, ENVIRONMENT);
    }
}
