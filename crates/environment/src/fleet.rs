//! Thousands of places beside one that is as it should be.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::diff::{compare, unused};
use crate::{Capture, Class, Difference, Drift, DriftPolicy, Error, Verdict};

/// How many of the worst places and of the most frequent keys are told.
const TOLD: usize = 50;
/// How many different values of a key are told.
const VALUES: usize = 3;

/// What was found so far. Parts that several threads made are put together with [`Fleet::merge`].
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    places: usize,
    counts: BTreeMap<Verdict, usize>,
    /// Places with a difference that is not of the inventory or the runtime, and not waived.
    touched: usize,
    worst: Vec<PlaceDrift>,
    keys: BTreeMap<(Class, String), BTreeMap<String, usize>>,
    used: BTreeSet<usize>,
}

/// What is said of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Seaworthy fleet drift, version 1")]
pub struct FleetDrift {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// The place that is as it should be.
    pub baseline: String,
    /// How many were compared with it.
    pub places: usize,
    /// The part of places with a difference of class gate, abi, artifact or config that is not waived; 0 to 1.
    pub prevalence: f64,
    /// How many places have which verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// The worst places, gates first, then by drift rate; at most 50.
    pub worst: Vec<PlaceDrift>,
    /// What differs in most places; at most 50.
    pub keys: Vec<KeyDrift>,
}

/// One place of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PlaceDrift {
    /// Its name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its drift rate.
    pub score: f64,
    /// The heaviest difference.
    pub first: String,
}

/// One key of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeyDrift {
    /// What it is about.
    pub class: Class,
    /// Which fact.
    pub key: String,
    /// In how many places it differs.
    pub places: usize,
    /// What these have, the most frequent first, with how many of them: at most 3.
    pub values: Vec<(String, usize)>,
}

impl Fleet {
    /// Compares one more place.
    pub fn add(&mut self, baseline: &Capture, place: &Capture, policy: &DriftPolicy) {
        let (drift, used) = compare(baseline, place, policy);
        self.used.extend(used);
        self.places += 1;
        *self.counts.entry(drift.verdict).or_default() += 1;
        let counts = |difference: &&Difference| difference.waived.is_none();
        let matters =
            |difference: &Difference| !matches!(difference.class, Class::Runtime | Class::Inventory);
        let all = || drift.gates.iter().chain(&drift.differences).filter(counts);
        self.touched += usize::from(all().any(matters));
        for difference in all() {
            let values = self.keys.entry((difference.class, difference.key.clone())).or_default();
            let value = difference.b.clone().unwrap_or_else(|| "absent".to_owned());
            *values.entry(value).or_default() += 1;
        }
        if drift.verdict != Verdict::Within {
            self.worst.push(place_drift(&drift));
            self.shorten();
        }
    }

    /// Takes in what another part found.
    pub fn merge(&mut self, other: Fleet) {
        self.places += other.places;
        self.touched += other.touched;
        self.used.extend(other.used);
        for (verdict, count) in other.counts {
            *self.counts.entry(verdict).or_default() += count;
        }
        for (key, values) in other.keys {
            let mine = self.keys.entry(key).or_default();
            for (value, count) in values {
                *mine.entry(value).or_default() += count;
            }
        }
        self.worst.extend(other.worst);
        self.worst.sort_by(worse);
        self.worst.truncate(TOLD);
    }

    /// What is said of all.
    ///
    /// # Errors
    /// [`ErrorKind::BadPolicy`](crate::ErrorKind::BadPolicy) where a waiver was of use nowhere.
    pub fn finish(mut self, baseline: &Capture, policy: &DriftPolicy) -> Result<FleetDrift, Error> {
        unused(policy, &self.used)?;
        let mut keys: Vec<_> = self
            .keys
            .into_iter()
            .map(|((class, key), values)| {
                let places = values.values().sum();
                let mut values: Vec<_> = values.into_iter().collect();
                values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
                values.truncate(VALUES);
                KeyDrift { class, key, places, values }
            })
            .collect();
        keys.sort_by(|one, other| {
            other.places.cmp(&one.places).then_with(|| (one.class, &one.key).cmp(&(other.class, &other.key)))
        });
        keys.truncate(TOLD);
        self.worst.sort_by(worse);
        self.worst.truncate(TOLD);
        let part = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(FleetDrift {
            schema_version: 1,
            baseline: baseline.name.clone(),
            places: self.places,
            prevalence: if self.places == 0 { 0.0 } else { part(self.touched) / part(self.places) },
            verdicts: self.counts,
            worst: self.worst,
            keys,
        })
    }

    fn shorten(&mut self) {
        if self.worst.len() > 20 * TOLD {
            self.worst.sort_by(worse);
            self.worst.truncate(TOLD);
        }
    }
}

fn place_drift(drift: &Drift) -> PlaceDrift {
    let first =
        drift.gates.first().or(drift.differences.iter().find(|difference| difference.waived.is_none()));
    PlaceDrift {
        name: drift.b.clone(),
        verdict: drift.verdict,
        score: drift.score,
        first: first.map_or(String::new(), |difference| difference.why.clone()),
    }
}

fn worse(one: &PlaceDrift, other: &PlaceDrift) -> std::cmp::Ordering {
    let by_verdict = other.verdict.cmp(&one.verdict);
    by_verdict.then_with(|| other.score.total_cmp(&one.score)).then_with(|| one.name.cmp(&other.name))
}
