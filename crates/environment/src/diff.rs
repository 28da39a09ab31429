//! Two captures: the drift rate, what it is made of, and what fails whatever the rate. `docs/drift.md` has the formula.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::version::Version;
use crate::{Capture, Class, DriftPolicy, DriftWaiver, Error, ErrorKind, Fact, distance};

const MET: &str = "met";

/// How two places compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The drift rate is not above the threshold.
    Within,
    /// It is.
    Drifted,
    /// Too little is known on one of the two sides.
    NotComparable,
    /// A gate fails: a program does not run there.
    Gated,
}

/// One class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassDrift {
    /// What it weighs beside the others.
    pub weight: f64,
    /// How much it differs: 0 nothing, 1 everything.
    pub distance: f64,
    /// How many keys either side has.
    pub keys: usize,
    /// How many of them differ and are not waived.
    pub differing: usize,
}

/// One fact that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What it is about.
    pub class: Class,
    /// Which fact.
    pub key: String,
    /// What A says; missing where A does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// What B says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// How far apart they are: 0.25 another revision or build, 0.5 the same first number, 1 otherwise.
    pub distance: f64,
    /// Its part of the drift rate; 0 for a gate, which is not counted.
    pub points: f64,
    /// What it means.
    pub why: String,
    /// What removes it.
    pub fix: String,
    /// Who accepts it, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<DriftWaiver>,
}

/// Everything about two places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Seaworthy drift, version 1")]
pub struct Drift {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// The place that is as it should be.
    pub a: String,
    /// The other one.
    pub b: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The drift rate, 0 to 100.
    pub score: f64,
    /// The part of facts that is known on both sides, by weight; 0 to 1.
    pub coverage: f64,
    /// By class.
    pub classes: BTreeMap<Class, ClassDrift>,
    /// What fails whatever the rate.
    pub gates: Vec<Difference>,
    /// What differs, the heaviest first; also what is waived.
    pub differences: Vec<Difference>,
    /// Keys that are not known on one of the two sides, as `class/key: why`.
    pub unknown: Vec<String>,
}

/// Compares `b` with `a`, which is as it should be.
///
/// # Errors
/// [`ErrorKind::BadPolicy`] where a waiver waives nothing.
pub fn diff(a: &Capture, b: &Capture, policy: &DriftPolicy) -> Result<Drift, Error> {
    let (drift, used) = compare(a, b, policy);
    unused(policy, &used)?;
    Ok(drift)
}

/// Refuses waivers that were of no use.
pub(crate) fn unused(policy: &DriftPolicy, used: &BTreeSet<usize>) -> Result<(), Error> {
    match policy.waiver.iter().enumerate().find(|(index, _)| !used.contains(index)) {
        None => Ok(()),
        Some((_, waiver)) => {
            let message = format!("the waiver of `{}` ({}) waives nothing", waiver.key, waiver.ticket);
            Err(Error::new(ErrorKind::BadPolicy, message)
                .with_hint("take it out: what it was for is mended, or its key is wrong"))
        }
    }
}

/// The comparison, and which waivers were of use.
pub(crate) fn compare(a: &Capture, b: &Capture, policy: &DriftPolicy) -> (Drift, BTreeSet<usize>) {
    let mut used = BTreeSet::new();
    let (mut classes, mut differences) = (BTreeMap::new(), Vec::new());
    for class in Class::WEIGHED {
        let found = of_class(class, a, b, policy, &mut used, &mut differences);
        if found.keys > 0 {
            classes.insert(class, found);
        }
    }
    let all: f64 = classes.values().map(|class: &ClassDrift| class.weight).sum();
    let all = if all > 0.0 { all } else { 1.0 };
    for difference in &mut differences {
        difference.points = 100.0 * difference.points / all;
    }
    let sum: f64 = classes.values().map(|class| class.weight * class.distance).sum();
    let score = 100.0 * sum / all;
    differences.sort_by(|one, other| {
        let by_points = other.points.total_cmp(&one.points);
        by_points.then_with(|| (one.class, &one.key).cmp(&(other.class, &other.key)))
    });
    let (gates, untold) = gates(a, b, policy, &mut used);
    let mut unknown: Vec<_> = [a, b]
        .iter()
        .flat_map(|capture| &capture.unknown)
        .map(|unknown| format!("{}/{}: {}", unknown.class.name(), unknown.key, unknown.why))
        .chain(untold.iter().cloned())
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let coverage = coverage(a, b, &classes);
    let verdict = if gates.iter().any(|gate| gate.waived.is_none()) {
        Verdict::Gated
    } else if coverage < policy.coverage || !untold.is_empty() {
        Verdict::NotComparable
    } else if score > policy.threshold {
        Verdict::Drifted
    } else {
        Verdict::Within
    };
    let drift = Drift {
        schema_version: 1,
        a: a.name.clone(),
        b: b.name.clone(),
        verdict,
        score,
        coverage,
        classes,
        gates,
        differences,
        unknown,
    };
    (drift, used)
}

/// One class: its facts' mean distance by weight. Points of differences are shares of the class's weight.
fn of_class(
    class: Class,
    a: &Capture,
    b: &Capture,
    policy: &DriftPolicy,
    used: &mut BTreeSet<usize>,
    differences: &mut Vec<Difference>,
) -> ClassDrift {
    let mut found = ClassDrift { weight: class.weight(), ..ClassDrift::default() };
    let nothing = BTreeMap::new();
    let (ours, theirs) = (a.facts.get(&class).unwrap_or(&nothing), b.facts.get(&class).unwrap_or(&nothing));
    let (mut total, mut sum, first) = (0.0, 0.0, differences.len());
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let (one, other) = (ours.get(key), theirs.get(key));
        if follows(one, other, b) || follows(other, one, a) {
            continue;
        }
        let weight = [one, other].into_iter().flatten().filter_map(|fact| fact.weight).max().unwrap_or(1);
        let (weight, apart) = (f64::from(weight), apart(one, other));
        total += weight;
        found.keys += 1;
        if apart == 0.0 {
            continue;
        }
        let mut difference = difference(class, key, one, other, apart);
        match policy.waiver_of(&format!("{}/{key}", class.name())) {
            Some(index) => {
                used.insert(index);
                difference.waived = Some(policy.waiver[index].clone());
            }
            None => {
                sum += weight * apart;
                found.differing += 1;
                difference.points = weight * apart;
            }
        }
        differences.push(difference);
    }
    if total > 0.0 {
        found.distance = sum / total;
        for difference in &mut differences[first..] {
            difference.points *= class.weight() / total;
        }
    }
    found
}

/// Whether a fact of one side alone says nothing new of `without`, the side that lacks it: it is of a system that runs, and
/// that one does not; or it is a setting of a package that is missing there, which is told of the package.
fn follows(fact: Option<&Fact>, other: Option<&Fact>, without: &Capture) -> bool {
    let (Some(fact), None) = (fact, other) else { return false };
    if fact.is_of_running() && !without.running {
        return true;
    }
    let package = fact.package.as_deref().and_then(|package| package.split_once('='));
    let (Some((name, _)), true) = (package, fact.source.starts_with("/etc/")) else { return false };
    let inventory = without.facts.get(&Class::Inventory);
    let has = |packages: &BTreeMap<String, Fact>| {
        packages.contains_key(name) || packages.keys().any(|key| key.split(':').next() == Some(name))
    };
    !inventory.is_some_and(has)
}

/// How far two facts are apart.
fn apart(a: Option<&Fact>, b: Option<&Fact>) -> f64 {
    match (a, b) {
        (Some(a), Some(b)) if a.value == b.value => 0.0,
        (Some(a), Some(b)) => match (&a.version, &b.version) {
            (Some(one), Some(other)) => distance(one, other).max(0.25),
            _ => 1.0,
        },
        _ => 1.0,
    }
}

fn difference(class: Class, key: &str, a: Option<&Fact>, b: Option<&Fact>, distance: f64) -> Difference {
    let told = |fact: &Fact| match (&fact.package, class) {
        (Some(package), Class::Abi) => format!("{} ({package})", fact.value),
        _ => fact.value.clone(),
    };
    let (why, fix) = consequence(class, key, a, b);
    Difference {
        class,
        key: key.to_owned(),
        a: a.map(told),
        b: b.map(told),
        distance,
        points: 0.0,
        why,
        fix,
        waived: None,
    }
}

/// What a difference means, and what removes it.
fn consequence(class: Class, key: &str, a: Option<&Fact>, b: Option<&Fact>) -> (String, String) {
    let install = |fact: &Fact| match &fact.package {
        Some(package) if class != Class::Config => format!("install {package} in B"),
        _ if class == Class::Runtime => format!("set it alike in A and B ({})", fact.source),
        _ => format!("copy {} from A", fact.source),
    };
    match (a, b) {
        (Some(a), None) => {
            let why = match class {
                Class::Abi => format!("library {key} is absent in B"),
                Class::Artifact => format!("{key} is not in B"),
                Class::Inventory => format!("package {key} is not installed in B"),
                _ => format!("{key} is not set in B"),
            };
            (why, install(a))
        }
        (None, Some(b)) => {
            let fix = match &b.package {
                Some(package) if class != Class::Config => {
                    format!("remove {package} from B, or install it in A")
                }
                _ if class == Class::Runtime => format!("set it alike in A and B ({})", b.source),
                _ => format!("remove {} from B, or add it to A", b.source),
            };
            (format!("{key} is only in B"), fix)
        }
        (Some(a), Some(b)) => {
            let order = match (&a.version, &b.version) {
                (Some(one), Some(other)) => match Version::parse(other).cmp(&Version::parse(one)) {
                    std::cmp::Ordering::Less => format!("is older in B: {other}, not {one}"),
                    std::cmp::Ordering::Greater => format!("is newer in B: {other}, not {one}"),
                    std::cmp::Ordering::Equal => "is another build of the same version in B".to_owned(),
                },
                _ => "is another one in B".to_owned(),
            };
            let what = if class == Class::Abi { "library " } else { "" };
            (format!("{what}{key} {order}"), install(a))
        }
        (None, None) => (String::new(), String::new()),
    }
}

/// What fails whatever the rate; and programs of A about which B says nothing.
fn gates(
    a: &Capture,
    b: &Capture,
    policy: &DriftPolicy,
    used: &mut BTreeSet<usize>,
) -> (Vec<Difference>, Vec<String>) {
    let nothing = BTreeMap::new();
    let gates =
        |capture: &'_ Capture| capture.facts.get(&Class::Gate).cloned().unwrap_or_else(|| nothing.clone());
    let (ours, theirs) = (gates(a), gates(b));
    let mut failed = Vec::new();
    let mut fail = |key: &str, why: String, fix: String| {
        let waived = policy.waiver_of(&format!("gate/{key}")).map(|index| {
            used.insert(index);
            policy.waiver[index].clone()
        });
        let value = |facts: &BTreeMap<String, Fact>| facts.get(key).map(|fact| fact.value.clone());
        let (a, b) = (value(&ours), value(&theirs));
        failed.push(Difference {
            class: Class::Gate,
            key: key.to_owned(),
            a,
            b,
            distance: 1.0,
            points: 0.0,
            why,
            fix,
            waived,
        });
    };
    for key in ["architecture", "loader"] {
        let Some(one) = ours.get(key) else { continue };
        match theirs.get(key) {
            Some(other) if other.value == one.value => {}
            Some(other) => {
                let why = format!(
                    "the {key} is {} in B, {} in A: programs for the one do not start in the other",
                    other.value, one.value
                );
                fail(key, why, "use a system for the same processor, with the same C library".to_owned());
            }
            None => fail(
                key,
                format!("B has no loader that is known, A has {}", one.value),
                "install a C library in B".to_owned(),
            ),
        }
    }
    for (key, fact) in theirs.iter().filter(|(key, _)| key.contains(": ")) {
        if fact.value == MET {
            continue;
        }
        let before = ours.get(key).filter(|fact| fact.value == MET);
        let library = before.map(|fact| fact.source.rsplit('/').next().unwrap_or_default());
        let package = library.and_then(|name| a.facts.get(&Class::Abi)?.get(name)?.package.clone());
        let fix = match package {
            Some(package) => format!("install {package} in B, as in A"),
            None => "install what it needs in B, or build it for an older system".to_owned(),
        };
        fail(key, format!("{} in B", fact.value), fix);
    }
    let program = |key: &String| key.split_once(": ").map(|(name, _)| name.to_owned());
    let told: BTreeSet<_> = theirs.keys().filter_map(program).collect();
    let untold: BTreeSet<_> = ours.keys().filter_map(program).filter(|name| !told.contains(name)).collect();
    let untold = untold.into_iter().map(|name| format!("gate/{name}: B was captured without it")).collect();
    (failed, untold)
}

/// The part of facts that both sides know, class by class and by weight.
fn coverage(a: &Capture, b: &Capture, classes: &BTreeMap<Class, ClassDrift>) -> f64 {
    let (mut known, mut all) = (0.0, 0.0);
    for class in Class::WEIGHED {
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for unknown in a.unknown.iter().chain(&b.unknown).filter(|unknown| unknown.class == class) {
            missing.insert(&unknown.key);
        }
        let keys = classes.get(&class).map_or(0, |class| class.keys);
        if keys + missing.len() == 0 {
            continue;
        }
        let part = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        known += class.weight() * part(keys) / part(keys + missing.len());
        all += class.weight();
    }
    if all > 0.0 { known / all } else { 0.0 }
}
