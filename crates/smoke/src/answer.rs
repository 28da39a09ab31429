//! What the program said, held against the plan.

use artifact::Target;
use serde_json::Value;

use crate::command::Spoken;
use crate::{Expect, SmokeRequest};

/// `Err` says what is wrong.
pub(crate) fn judge(spoken: &Spoken, target: Target, request: &SmokeRequest) -> Result<(), String> {
    spoken.ended_well(request.timeout)?;
    match &request.expect {
        Expect::ExitOnly => Ok(()),
        Expect::Contains(texts) => match texts.iter().find(|text| !spoken.output.contains(text.as_str())) {
            Some(text) => Err(format!("its answer does not contain `{text}`")),
            None => Ok(()),
        },
        Expect::VersionJson => version_json(&spoken.output, target, request),
    }
}

fn version_json(output: &str, target: Target, request: &SmokeRequest) -> Result<(), String> {
    let said: Value =
        serde_json::from_str(output).map_err(|error| format!("its answer is no JSON object: {error}"))?;
    let source = &request.source;
    for (key, expected) in
        [("version", source.version.as_str()), ("commit", source.commit.as_str()), ("target", target.name())]
    {
        match said.get(key).and_then(Value::as_str) {
            Some(value) if value == expected => {}
            Some(value) => return Err(format!("it says {key} `{value}`, the release is `{expected}`")),
            None => return Err(format!("its answer has no `{key}`")),
        }
    }
    Ok(())
}
