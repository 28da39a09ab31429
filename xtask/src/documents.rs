//! The JSON documents that `inspect`, `verify` and `reproduce` write: their schemas, and what each field means.
//!
//! Descriptions are the types' own documentation, so nothing is written twice; `x-source` beside one names where it is
//! specified, for a type and all inside of it that names no other.

use artifact::{Digest, Report};
use inspect::Facts;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::closing::Closed;
use crate::environment::{Checked, Trend};
use crate::failure::{Failure, Message};

/// What `inspect` says of one file.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(extend("x-source" = "Seaworthy"))]
pub(crate) struct Inspected {
    /// Where it is: a path, or `archive!member`.
    pub(crate) path: String,
    /// SHA-256 of all its bytes (FIPS 180-4), in hexadecimal.
    pub(crate) sha256: Digest,
    /// What was read from it.
    pub(crate) facts: Facts,
    /// The libraries that it finds in `--sysroot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closure: Option<Closed>,
}

/// The JSON Schema (2020-12) of what `inspect --format json` writes.
pub(crate) fn inspect_schema() -> Value {
    schema_of::<Vec<Inspected>>("Seaworthy inspect: one entry a file")
}

/// The JSON Schema (2020-12) of what `verify --format json` writes.
pub(crate) fn verify_schema() -> Value {
    schema_of::<Vec<Report>>("Seaworthy verify: one report a file")
}

/// The JSON Schema (2020-12) of what `reproduce` writes: rebuild.json.
pub(crate) fn rebuild_schema() -> Value {
    schema_of::<reproduce::Statement>("Seaworthy rebuild statement, version 1")
}

/// The JSON Schema (2020-12) of what `env capture` writes.
pub(crate) fn capture_schema() -> Value {
    schema_of::<environment::Capture>("Seaworthy environment capture, version 1")
}

/// The JSON Schema (2020-12) of what `env diff --format json` writes for two places.
pub(crate) fn drift_schema() -> Value {
    schema_of::<environment::Drift>("Seaworthy drift, version 1")
}

/// The JSON Schema (2020-12) of what `env diff --format json` writes for more.
pub(crate) fn fleet_schema() -> Value {
    schema_of::<environment::FleetDrift>("Seaworthy fleet drift, version 1")
}

/// The JSON Schema (2020-12) of what `env trend --format json` writes.
pub(crate) fn trend_schema() -> Value {
    schema_of::<Trend>("Seaworthy drift trend, version 1")
}

/// The JSON Schema (2020-12) of what `env check --format json` writes.
pub(crate) fn check_schema() -> Value {
    schema_of::<Checked>("Seaworthy release check, version 1")
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    for_readers(&mut schema);
    schema["title"] = title.into();
    schema
}

/// Descriptions are written for Rust's eyes; in JSON, `None` is `null`.
fn for_readers(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            if let Some(Value::String(text)) = parts.get_mut("description") {
                *text = text.replace("`None`", "`null`").replace('\n', " ");
            }
            parts.values_mut().for_each(for_readers);
        }
        Value::Array(parts) => parts.iter_mut().for_each(for_readers),
        _ => {}
    }
}

/// One field of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    /// The command that writes it.
    pub(crate) command: &'static str,
    /// Its place: the names of the fields above it and its own, with dots between.
    pub(crate) path: String,
    /// What it means, with its unit.
    pub(crate) meaning: String,
    /// Where that is specified.
    pub(crate) source: String,
}

/// Every field that `inspect` and `verify` write.
pub(crate) fn all_fields() -> Vec<Field> {
    [fields("inspect", &inspect_schema()), fields("verify", &verify_schema())].concat()
}

/// Every field of a document with that schema, in the schema's order.
fn fields(command: &'static str, schema: &Value) -> Vec<Field> {
    let mut walk = Walk { root: schema, open: Vec::new(), fields: Vec::new() };
    let nothing = Field { command, path: String::new(), meaning: String::new(), source: String::new() };
    walk.enter(schema, "", &nothing);
    walk.fields
}

/// The fields called `name`: by their whole path, or else by its last parts.
pub(crate) fn explained(name: &str, fields: &[Field]) -> Result<Vec<Field>, Failure> {
    let ends = |field: &&Field| {
        field.path == name || field.path.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
    };
    let found: Vec<_> = fields.iter().filter(ends).cloned().collect();
    let whole: Vec<_> = found.iter().filter(|field| field.path == name).cloned().collect();
    if !whole.is_empty() {
        return Ok(whole);
    }
    if found.is_empty() { Err(unknown(name, fields)) } else { Ok(found) }
}

fn unknown(name: &str, fields: &[Field]) -> Failure {
    const NAMED: usize = 3;
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let wanted = last(name);
    let mut names: Vec<_> = fields.iter().map(|field| last(&field.path)).collect();
    names.sort_unstable();
    names.dedup();
    let mut near = Vec::new();
    while near.len() < NAMED
        && let Some(found) = artifact::nearest(&wanted, &names.iter().map(String::as_str).collect::<Vec<_>>())
    {
        let found = found.to_owned();
        names.retain(|name| *name != found);
        near.push(format!("`{found}`"));
    }
    let hint = match near.as_slice() {
        [] => "`cargo xtask inspect --fields` lists all".to_owned(),
        near => format!("did you mean {}? `cargo xtask inspect --fields` lists all", near.join(" or ")),
    };
    Failure::Usage(Message::new(format!("`{name}` is no field of what inspect or verify write"), hint))
}

struct Walk<'s> {
    root: &'s Value,
    /// The definitions that are being looked at, so that one within itself ends.
    open: Vec<&'s str>,
    fields: Vec<Field>,
}

impl<'s> Walk<'s> {
    /// What is below `schema`, which stands at `path` in the field `above`.
    fn enter(&mut self, schema: &'s Value, path: &str, above: &Field) {
        let source = text(schema, "x-source").unwrap_or(&above.source).to_owned();
        let meaning = text(schema, "description").unwrap_or(&above.meaning).to_owned();
        let above = Field { command: above.command, path: path.to_owned(), meaning, source };
        let definition = text(schema, "$ref").and_then(|name| name.strip_prefix("#/$defs/"));
        if let Some(name) = definition.filter(|name| !self.open.contains(name)) {
            self.open.push(name);
            self.enter(&self.root["$defs"][name], path, &above);
            self.open.pop();
        }
        for key in ["items", "additionalProperties"] {
            self.enter_each(schema.get(key).filter(|inner| inner.is_object()), path, &above);
        }
        for key in ["oneOf", "anyOf", "prefixItems"] {
            self.enter_each(schema[key].as_array().into_iter().flatten(), path, &above);
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let field = Field { path: path.clone(), ..self.field(inner, &above) };
            // The variants of an enum may call different things the same.
            if !self.fields.contains(&field) {
                self.fields.push(field.clone());
            }
            self.enter(inner, &path, &field);
        }
    }

    fn enter_each(&mut self, schemas: impl IntoIterator<Item = &'s Value>, path: &str, above: &Field) {
        for schema in schemas {
            self.enter(schema, path, above);
        }
    }

    /// What is said of a property; of an enum's variant, what is said of the variant.
    fn field(&self, schema: &'s Value, above: &Field) -> Field {
        let named = text(schema, "$ref").and_then(|name| name.strip_prefix("#/$defs/"));
        let definition = named.map(|name| &self.root["$defs"][name]);
        // The tag of an enum's variant.
        let tag = schema.get("const").map(|_| "Which case it is; it decides on the fields beside it.");
        let meaning = text(schema, "description")
            .or(tag)
            .or_else(|| definition.and_then(|definition| text(definition, "description")))
            .unwrap_or(&above.meaning);
        // A field is specified where its owner is; what is inside of it may be elsewhere.
        let source = text(schema, "x-source").unwrap_or(&above.source);
        let (meaning, source) = (meaning.to_owned(), source.to_owned());
        Field { command: above.command, path: String::new(), meaning, source }
    }
}

fn text<'s>(schema: &'s Value, key: &str) -> Option<&'s str> {
    schema.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/inspect.json");
    const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/verify.json");

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        for (path, made) in [(INSPECT, inspect_schema()), (VERIFY, verify_schema())] {
            if std::env::var_os("SEAWORTHY_BLESS").is_some_and(|value| value == "1") {
                std::fs::write(path, format!("{made:#}\n")).unwrap();
            }
            let committed: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            assert_eq!(
                committed, made,
                "run this test once with SEAWORTHY_BLESS=1 and look at the difference"
            );
        }
    }

    #[test]
    fn every_field_has_a_meaning_and_a_source_and_is_found_by_its_name() {
        let all = all_fields();
        assert!(all.iter().any(|field| field.command == "verify") && all.len() > 100, "{all:?}");
        let is_sentence =
            |text: &str| text.contains(' ') && text.ends_with(['.', '…']) && !text.contains("[`");
        let wrong = all.iter().filter(|field| !is_sentence(&field.meaning) || field.source.is_empty());
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&Field>::new());
        for field in &all {
            assert!(explained(&field.path, &all).unwrap().contains(field));
        }
    }

    #[test]
    fn a_field_is_explained_by_the_end_of_its_path() {
        let all = all_fields();
        let told = explained("elf.entry", &all).unwrap();
        assert_eq!(told[0].path, "facts.binary.elf.entry");
        assert!(told[0].meaning.contains("`e_entry`") && told[0].source == "ELF gABI", "{told:?}");
        let several = explained("flags", &all).unwrap();
        assert!(several.len() > 3 && several.iter().all(|field| field.path.ends_with(".flags")));
        let Err(Failure::Usage(message)) = explained("facts.binary.elf.entri", &all) else {
            panic!("an unknown field is a usage error");
        };
        assert!(message.hint.unwrap().starts_with("did you mean `entry`"));
    }

    #[test]
    fn a_definition_within_itself_ends() {
        let schema = serde_json::json!({
            "$ref": "#/$defs/Tree",
            "$defs": { "Tree": { "properties": { "child": { "$ref": "#/$defs/Tree", "description": "One." } } } },
        });
        assert_eq!(fields("inspect", &schema).len(), 1);
    }
}
