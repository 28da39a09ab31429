//! `verify`: which policy applies to which file, and what becomes of the reports.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use artifact::{Date, Report, Target};
use closure::Sysroot;
use inputs::{Input, Item};
use inspect::Facts;
use inspect::facts::Binary;
use manifest::Manifest;
use verify::{ApparentKind, Kind, Policy, PolicyFile, Preset, Subject, SysrootPolicy, Unused};

use crate::against::Older;
use crate::args::VerifyArgs;
use crate::failure::{Failure, Message};
use crate::gate;
use crate::programs::{each_program, file_and_member};
use crate::render::{self, Renderer};

/// Bytes of a manifest.json that is read for the time in it.
const MANIFEST: u64 = 4 << 20;

/// Does what `verify` was asked.
pub(crate) fn run(args: &VerifyArgs, renderer: &Renderer) -> Result<(), Failure> {
    if args.print_policy {
        renderer.raw(verify::DEFAULT_POLICY);
    } else if args.print_presets {
        renderer.raw(verify::PRESETS);
    } else if args.rules_page {
        renderer.raw(&verify::rules_page());
    } else if args.rules {
        let rules: Vec<_> = verify::all_rules().collect();
        let ids: Vec<_> = rules.iter().map(|rule| (rule.id, rule.why, rule.fix)).collect();
        renderer.result(&ids, |_| render::rules(&rules));
    } else if !args.explain.is_empty() {
        let rules = args.explain.iter().map(|id| verify::known_rule(id)).collect::<Result<Vec<_>, _>>()?;
        let explained: Vec<_> = rules.iter().map(|rule| render::Explained::of(rule)).collect();
        renderer.result(&explained, |explained| render::explained(explained));
    } else {
        return verify_paths(args, renderer);
    }
    Ok(())
}

fn verify_paths(args: &VerifyArgs, renderer: &Renderer) -> Result<(), Failure> {
    let choice = Choice::of(args)?;
    let older = args.against.as_deref().map(|path| Older::read(path, args, &choice)).transpose()?;
    let look = |item: &Item| {
        let (report, unreadable) = judged(item, &choice, older.as_ref(), args)?;
        let line = renderer.line(&report, |report| render::verified(slice::from_ref(report), args.verbose));
        let kept = renderer.format().is_of_reports().then(|| report.clone());
        Ok::<_, Failure>((report.passed(), unreadable, line, kept))
    };
    let (mut list, mut refused, mut readable, mut unreadable) = (renderer.list(), false, false, None);
    let mut reports = Vec::new();
    each_program(&args.paths, args.jobs, look, &mut |judged| {
        let (passed, failure, line, kept) = judged?;
        match kept {
            Some(report) => reports.push(report),
            None => list.tell(&line),
        }
        refused |= !passed;
        readable |= failure.is_none();
        unreadable = unreadable.take().or(failure);
        Ok(())
    })?;
    list.end();
    renderer.reports(&reports);
    // A policy that is out of date says nothing reliable about the files either.
    // Only those of release.toml may be about files that were not named: a release looks at all.
    let unused = if args.is_by_release() { Unused::OfFilesSeen } else { Unused::Every };
    choice.file.waivers.all_used(unused)?;
    if let Some(older) = &older {
        older.end(renderer)?;
    }
    match unreadable {
        Some(failure) if !readable => Err(failure),
        // The reports were the result; the failure only carries the exit code.
        _ if refused => Err(Failure::Refused(Vec::new())),
        _ => Ok(()),
    }
}

/// What was asked for, by which each file gets its policy.
pub(crate) struct Choice<'a> {
    target: Option<Target>,
    preset: Option<Preset>,
    file: PolicyFile,
    sysroot: Option<SysrootPolicy>,
    args: &'a VerifyArgs,
    /// What was worked out already: reading release.toml again for each file would cost more than all rules.
    known: Mutex<BTreeMap<(Target, Kind), Arc<Policy>>>,
    /// What each manifest.json beside a file says, by its path.
    stamps: Mutex<HashMap<PathBuf, Option<u32>>>,
}

impl Choice<'_> {
    fn of(args: &VerifyArgs) -> Result<Choice<'_>, Failure> {
        let mut file = args.policy.as_deref().map(read_policy).transpose()?.unwrap_or_default();
        let preset = args.preset.map(Preset::from);
        if args.is_by_release() {
            file.waivers = plan::waivers(&args.workspace)?;
        }
        if let (Some(asked), Some(written)) = (preset, file.preset())
            && asked != written
        {
            let sentence =
                format!("--preset {} and the policy's `{}` are two presets", asked.name(), written.name());
            return Err(Failure::Usage(Message::new(sentence, "name one of them")));
        }
        // Opened here as well, so that a wrong path is told once and not with every file.
        let sysroot =
            args.sysroot.as_deref().map(|path| Sysroot::open(path).map(|_| SysrootPolicy::new(path)));
        let target = args.target.as_deref().map(plan::target).transpose()?;
        Ok(Choice {
            target,
            preset,
            file,
            sysroot: sysroot.transpose()?,
            args,
            known: Mutex::default(),
            stamps: Mutex::default(),
        })
    }

    /// What a file is held to, and the target that says so.
    pub(crate) fn policy(&self, name: &str, facts: &Facts) -> Result<(Arc<Policy>, Target), Failure> {
        // A machine without a target of ours is held to one of the same format, and fails by its machine.
        let apparent = gate::apparent_target(facts).unwrap_or(match facts.binary {
            Binary::Elf(_) => Target::X86_64Linux,
            Binary::Pe(_) => Target::X86_64Windows,
        });
        let target = self.target.unwrap_or(apparent);
        let kind = match ApparentKind::of(&facts.binary).kind {
            Kind::Object => Kind::Program,
            kind => kind,
        };
        let policy = self.of_kind(target, kind)?;
        // ELF has no stamps.
        let stamp = if let Binary::Pe(_) = facts.binary { self.stamp(name) } else { None };
        match stamp {
            Some(time) => Ok((Arc::new(Policy::clone(&policy).with_timestamp(time)), target)),
            None => Ok((policy, target)),
        }
    }

    /// The stamp that the manifest.json beside the file of this name allows.
    fn stamp(&self, name: &str) -> Option<u32> {
        let file = Path::new(file_and_member(name).0);
        let manifest = file.parent()?.join("manifest.json");
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        *stamps.entry(manifest).or_insert_with_key(|manifest| commit_time(manifest))
    }

    fn of_kind(&self, target: Target, kind: Kind) -> Result<Arc<Policy>, Failure> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = known.get(&(target, kind)) {
            return Ok(Arc::clone(policy));
        }
        // A preset or a policy file stands in the place of release.toml, which is about one workspace's programs.
        let mut policy = if self.args.is_by_release() {
            plan::policy(&self.args.workspace, target)?
        } else {
            self.file.policy(self.preset, target, kind)
        };
        policy.sysroot = self.sysroot.clone().or(policy.sysroot);
        let policy = Arc::new(policy);
        known.insert((target, kind), Arc::clone(&policy));
        Ok(policy)
    }
}

fn read_policy(path: &Path) -> Result<PolicyFile, Failure> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::Usage(Message::new(format!("cannot read the policy {name}: {error}"), "check its path"))
    })?;
    Ok(PolicyFile::parse(&text, &name, Date::today())?)
}

/// The report about an item, and the failure that it is where a part of it could not be read.
fn judged(
    item: &Item,
    choice: &Choice,
    older: Option<&Older>,
    args: &VerifyArgs,
) -> Result<(Report, Option<Failure>), Failure> {
    let (name, bytes) = match item {
        Item::File(Input { name, bytes, .. }) => (name, bytes),
        Item::Unreadable { name, error } => return Ok((gate::unreadable(name, error), Some(error.into()))),
    };
    let facts = match inspect::inspect_without_exports(bytes) {
        Ok(facts) => facts,
        Err(error) => {
            let report = gate::unreadable(name, &error);
            return Ok((report, Some(Failure::from(error).about(name))));
        }
    };
    let (policy, target) = choice.policy(name, &facts)?;
    let subject = Subject::new(name, bytes, &facts).in_pieces(bytes);
    let mut report = verify::verify(&subject, &policy);
    if let Some(older) = older {
        report.findings.extend(older.regressions(&subject, &args.paths, &policy));
    }
    choice.file.waivers.apply(&mut report, Some(target));
    let unreadable = gate::unreadable_part(&report);
    Ok((report, unreadable))
}

/// The commit time in a release's manifest.json: the one stamp its programs may carry. The file lies beside what is looked
/// at, so it may be anything: only a regular one of a manifest's size is read.
fn commit_time(manifest: &Path) -> Option<u32> {
    let metadata = fs::metadata(manifest).ok()?;
    if !metadata.is_file() || metadata.len() > MANIFEST {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(manifest).ok()?.take(MANIFEST).read_to_end(&mut bytes).ok()?;
    u32::try_from(Manifest::read(&bytes).ok()?.commit_time).ok()
}
