//! The text of elfutils' eu-readelf, which shares no code with binutils.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::{Reading, Table, readelf};

pub(crate) fn read(files: &[PathBuf]) -> Reading {
    let shell = Shell::new().unwrap();
    // It names files only where there are several, so one is named twice.
    let first = &files[0];
    let text = cmd!(shell, "eu-readelf -hldVn {first} {files...}")
        .env("LC_ALL", "C")
        .quiet()
        .ignore_status()
        .ignore_stderr()
        .output()
        .expect("eu-readelf runs: apt-get install elfutils");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let mut tables = BTreeMap::new();
    let mut rest = text.as_str();
    for path in files.iter().rev() {
        let title = format!("\n{}:\n\n", path.display());
        let Some((before, part)) = rest.rsplit_once(&title) else {
            tables.insert(path.clone(), Err("eu-readelf printed nothing".to_owned()));
            continue;
        };
        tables.insert(path.clone(), Ok(table(part)));
        rest = before;
    }
    Reading { reader: "eu-readelf", tables }
}

fn table(text: &str) -> Table {
    let mut table = readelf::header(text, "Size of program header entries", "Size of section header entries");
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    put("segments", readelf::segments(text));
    put("interpreter", readelf::interpreter(text));
    for (fact, line) in [
        ("needed", " Shared library"),
        ("soname", " Library soname"),
        ("rpath", " Library rpath"),
        ("runpath", " Library runpath"),
    ] {
        put(fact, readelf::bracketed(text, line));
    }
    let (needed, defined) = readelf::versions(text);
    put("versions needed, without hashes", needed);
    put("versions defined", defined);
    put("build ID", readelf::build_id(text));
    put("ABI tag", readelf::abi_tag(text));
    table
}
