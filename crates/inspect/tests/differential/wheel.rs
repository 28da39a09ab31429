//! What a wheel's tag promises: `manylinux_2_17` files need no glibc beyond 2.17 (PEP 600), `musllinux` files none (PEP 656).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Reading, Table};

pub(crate) fn read(files: &[PathBuf], ours: &BTreeMap<PathBuf, Table>) -> Reading {
    let promised = files.iter().filter_map(|path| Some((path, promise(path)?)));
    let tables = promised.map(|(path, promise)| {
        let floor = ours[path].get("glibc floor").cloned().unwrap_or_default();
        // What keeps the promise is agreed with; what breaks it is a difference from the promise itself.
        let kept = floor.iter().all(|floor| parse(floor) <= promise);
        let told = if kept { floor } else { vec![promise_text(promise)] };
        (path.clone(), Ok(Table::from([("glibc floor".to_owned(), told)])))
    });
    Reading { reader: "wheel tag", tables: tables.collect() }
}

/// The number of a version of glibc; other names (`GLIBC_PRIVATE`, `GLIBC_ABI_DT_RELR`) have none.
pub(crate) fn glibc(version: &str) -> Option<(u32, u32)> {
    parse(version.strip_prefix("GLIBC_")?)
}

/// The lowest glibc among the tags in the `WHEEL` file beside the program; 0.0 where it may need none.
fn promise(path: &Path) -> Option<Option<(u32, u32)>> {
    let root = path.ancestors().find(|folder| folder.join(".sha256").exists())?;
    let info = fs::read_dir(root).ok()?.flatten().find(|entry| entry.path().join("WHEEL").exists())?;
    let text = fs::read_to_string(info.path().join("WHEEL")).ok()?;
    let tags = text.lines().filter_map(|line| line.strip_prefix("Tag: "));
    tags.filter_map(|tag| {
        let platform = tag.rsplit('-').next()?;
        let parts: Vec<_> = platform.split('_').collect();
        match parts.as_slice() {
            ["manylinux", major, minor, ..] => Some(Some((major.parse().ok()?, minor.parse().ok()?))),
            ["manylinux2014", ..] => Some(Some((2, 17))),
            ["musllinux", ..] => Some(None),
            _ => None,
        }
    })
    .min()
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn promise_text(promise: Option<(u32, u32)>) -> String {
    promise.map_or("no glibc".to_owned(), |(major, minor)| format!("at most {major}.{minor}"))
}
