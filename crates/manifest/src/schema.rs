//! The published JSON Schema (2020-12), made from the types, and the parts of it that types alone do not tell.

use artifact::{BuilderKind, Outcome, Target};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use crate::{Builder, Manifest, SCHEMA_VERSION};

/// The JSON Schema of `manifest.json`. Descriptions are the documentation of the types.
pub fn schema() -> Value {
    schemars::schema_for!(Manifest).to_value()
}

const HEX_64: &str = "^[0-9a-f]{64}$";

pub(crate) fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": SCHEMA_VERSION })
}

pub(crate) fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": HEX_64 })
}

pub(crate) fn optional_digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": HEX_64 })
}

pub(crate) fn target(_: &mut SchemaGenerator) -> Schema {
    one_of_the_names(&Target::all().collect::<Vec<_>>())
}

pub(crate) fn builders(generator: &mut SchemaGenerator) -> Schema {
    let names = target(generator);
    let builder = generator.subschema_for::<Builder>();
    json_schema!({ "type": "object", "propertyNames": names, "additionalProperties": builder })
}

pub(crate) fn builder_kind(_: &mut SchemaGenerator) -> Schema {
    one_of_the_names(&[BuilderKind::Docker, BuilderKind::Podman, BuilderKind::Zig, BuilderKind::Host])
}

pub(crate) fn outcome(_: &mut SchemaGenerator) -> Schema {
    one_of_the_names(&[Outcome::Pass, Outcome::Fail, Outcome::NotApplicable, Outcome::CannotTell])
}

fn one_of_the_names<T: Serialize>(values: &[T]) -> Schema {
    let names: Vec<_> =
        values.iter().map(|value| serde_json::to_value(value).expect("a name is a string")).collect();
    json_schema!({ "type": "string", "enum": names })
}
