//! What was found out, in the manifest's form.

use manifest::{Builder, Manifest, Smoke};
use package::Archive;
use plan::ReleasePlan;
use smoke::SmokeResult;

use crate::failure::{Failure, Message};
use crate::pipeline::Accepted;

/// The manifest of a release.
pub(crate) fn manifest(plan: &ReleasePlan, programs: &[Accepted], archives: &[Archive]) -> Manifest {
    let mut manifest = Manifest::new(&plan.source);
    for Accepted { artifact, smoke } in programs {
        let identity = &artifact.stage().finished().toolchain;
        manifest.builders.insert(artifact.target(), Builder::new(identity, plan.builder.why.clone()));
        manifest.artifacts.push(manifest::Artifact::new(artifact, started(smoke)));
    }
    manifest.files = archives.iter().map(|archive| archive.record.clone()).collect();
    manifest
}

/// Only programs that ran, or could not be tried, come so far: a failed start ended the release.
fn started(smoke: &SmokeResult) -> Smoke {
    match smoke {
        SmokeResult::Ran { runner, output } => Smoke::Ran { runner: runner.clone(), output: output.clone() },
        SmokeResult::NotRun { why } | SmokeResult::Failed { why, .. } => Smoke::NotRun { why: why.clone() },
    }
}

/// One manifest of releases of single targets; all must be of one commit and none may bring a target twice.
pub(crate) fn together<'a>(parts: impl Iterator<Item = &'a Manifest>) -> Result<Manifest, Failure> {
    let mut together: Option<Manifest> = None;
    for part in parts {
        let Some(sum) = &mut together else {
            together = Some(part.clone());
            continue;
        };
        let same = |a: &Manifest, b: &Manifest| {
            (&a.product, &a.version, &a.commit, a.dirty) == (&b.product, &b.version, &b.commit, b.dirty)
        };
        if !same(sum, part) {
            let name = |manifest: &Manifest| {
                format!("{} {} of commit {}", manifest.product, manifest.version, manifest.commit)
            };
            let sentence = format!("{} and {} are not parts of one release", name(sum), name(part));
            return Err(Failure::Package(Message::new(sentence, "gather releases of one commit only")));
        }
        if let Some(target) = part.builders.keys().find(|target| sum.builders.contains_key(target)) {
            let sentence = format!("two parts bring {target}");
            return Err(Failure::Package(Message::new(sentence, "name each target's release once")));
        }
        sum.builders.extend(part.builders.clone());
        sum.artifacts.extend(part.artifacts.iter().cloned());
        sum.files.extend(part.files.iter().cloned());
    }
    together
        .ok_or_else(|| Failure::Package(Message::new("there is nothing to gather", "name release folders")))
}
