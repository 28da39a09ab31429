//! LIEF and pefile, through `facts.py` in the Python environment that `ci/corpora` made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{Reading, Table, corpora};

pub(crate) fn read(files: &[PathBuf]) -> Vec<Reading> {
    let python = corpora::readers().join("bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/facts.py");
    let shell = Shell::new().unwrap();
    let list: Vec<_> = files.iter().map(|path| path.to_str().expect("paths are UTF-8")).collect();
    let text = cmd!(shell, "{python} {script}").stdin(list.join("\n")).quiet().read().expect("facts.py runs");
    let mut readings = ["LIEF", "pefile"].map(|reader| Reading { reader, tables: BTreeMap::new() });
    for line in text.lines() {
        let reply: Value = serde_json::from_str(line).expect("facts.py writes JSON lines");
        let path = PathBuf::from(reply["path"].as_str().expect("a path"));
        let reading = readings.iter_mut().find(|reading| reply["reader"] == reading.reader);
        reading.expect("a known reader").tables.insert(path, table(&reply));
    }
    readings.into()
}

fn table(reply: &Value) -> Result<Table, String> {
    if let Some(error) = reply["error"].as_str() {
        return Err(error.to_owned());
    }
    let facts = reply["facts"].as_object().expect("facts").iter();
    let facts = facts.map(|(name, texts)| {
        let texts = texts.as_array().expect("a list").iter();
        (name.clone(), texts.map(|text| text.as_str().expect("a text").to_owned()).collect())
    });
    Ok(facts.collect())
}
