//! What programs find when they run: system, time zone, language, users, and of a running place kernel and limits.

use crate::capture::{KERNEL, Taker};
use crate::{Class, Place};

/// A file of more bytes is not read.
const LARGEST: u64 = 1 << 20;
/// More users are not told.
const USERS: usize = 1_000;

/// Takes them.
pub(crate) fn take(place: &Place, taker: &mut Taker) {
    system(place, taker);
    zone(place, taker);
    for name in ["/etc/default/locale", "/etc/locale.conf"] {
        lines(place, name, "locale", taker);
    }
    users(place, taker);
    if place.is_running() {
        running(place, taker);
    }
}

fn system(place: &Place, taker: &mut Taker) {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        let text = match place.text(path, LARGEST) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(why) => return taker.unknown(Class::Runtime, "system", &why),
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']).to_owned())
        };
        taker.capture.system = field("PRETTY_NAME");
        for name in ["ID", "VERSION_ID"] {
            if let Some(value) = field(name) {
                taker.text(Class::Runtime, &format!("system {name}"), value, path);
            }
        }
        return;
    }
    taker.unknown(Class::Runtime, "system", "there is no os-release");
}

/// The zone's name out of the link that localtime(5) describes, else out of Debian's text file.
fn zone(place: &Place, taker: &mut Taker) {
    let link = place.root().link("/etc/localtime");
    if let Some(name) = link.as_deref().and_then(|target| target.split_once("zoneinfo/")) {
        return taker.text(Class::Runtime, "time zone", name.1, "/etc/localtime");
    }
    if let Ok(Some(text)) = place.text("/etc/timezone", LARGEST) {
        taker.text(Class::Runtime, "time zone", text.trim(), "/etc/timezone");
    }
}

fn lines(place: &Place, path: &str, what: &str, taker: &mut Taker) {
    let Ok(Some(text)) = place.text(path, LARGEST) else { return };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            taker.text(
                Class::Runtime,
                &format!("{what} {}", name.trim()),
                value.trim().trim_matches('"'),
                path,
            );
        }
    }
}

/// Users by name: their numbers decide who owns what.
fn users(place: &Place, taker: &mut Taker) {
    match place.text("/etc/passwd", LARGEST) {
        Ok(Some(text)) => {
            for line in text.lines().take(USERS) {
                let fields: Vec<_> = line.split(':').collect();
                if let [name, _, user, group, _, _, shell, ..] = fields.as_slice() {
                    taker.text(
                        Class::Runtime,
                        &format!("user {name}"),
                        format!("{user}:{group} {shell}"),
                        "/etc/passwd",
                    );
                }
            }
        }
        Ok(None) => {}
        Err(why) => taker.unknown(Class::Runtime, "users", &why),
    }
}

fn running(place: &Place, taker: &mut Taker) {
    if let Some([major, minor, patch]) = place.kernel() {
        taker.text(Class::Runtime, "kernel", format!("{major}.{minor}.{patch}"), KERNEL);
    }
    match place.text("/proc/self/limits", LARGEST) {
        Ok(Some(text)) => {
            for line in text.lines().skip(1) {
                // Columns of fixed width: name, soft limit, hard limit, unit (proc_pid_limits(5)).
                if let (Some(name), Some(soft), Some(hard)) =
                    (line.get(..26), line.get(26..46), line.get(47..67))
                {
                    let value = format!("{} {}", soft.trim(), hard.trim());
                    taker.text(Class::Runtime, &format!("limit {}", name.trim()), value, "/proc/self/limits");
                }
            }
        }
        _ => taker.unknown(Class::Runtime, "limits", "/proc/self/limits cannot be read"),
    }
    if let Ok(Some(text)) = place.text("/proc/self/mounts", LARGEST) {
        for line in text.lines() {
            if let [_, at, kind, ..] = line.split(' ').collect::<Vec<_>>().as_slice()
                && matches!(*at, "/" | "/tmp" | "/var" | "/home" | "/run" | "/dev/shm")
            {
                taker.text(Class::Runtime, &format!("mount {at}"), *kind, "/proc/self/mounts");
            }
        }
    }
}
