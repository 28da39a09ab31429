//! Gives a workload its privileges, and writes the audit of it.
//!
//! All that can fail for reasons of its own or needs memory is done before the fork (accounts, paths, the filter); what is
//! left for the new process is a list of system calls, [`plan::Plan`].

#![expect(unsafe_code, reason = "std has no safe way to run code between fork and exec")]

mod landlock;
mod own;
pub(super) mod plan;
mod report;
mod seccomp;

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

use self::plan::Plan;
use self::report::Report;
use super::{accounts, children, marker};
use crate::launch::Launch;
use crate::log::{Event, Value};
use crate::privileges::{Privileges, WhenUnsupported, names_of};

/// Starts `command` with the privileges of `launch`.
pub(super) fn start(mut command: Command, launch: &Launch) -> io::Result<Child> {
    let Prepared { plan, report, mut unsupported } =
        prepare(&mut command, launch).inspect_err(|error| refused(launch, &error.to_string()))?;
    command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.env(marker::VARIABLE, marker::of(&launch.name));
    let carried_out = plan.clone();
    // SAFETY: `Plan::carry_out` only makes system calls, on memory that was prepared here; it neither allocates nor takes
    // a lock.
    unsafe { command.pre_exec(move || carried_out.carry_out()) };
    let child = children::spawn(command, &launch.log);
    let mut reported = report.receive();
    match child {
        Ok(child) => {
            unsupported.append(&mut reported);
            audit(launch, &child, &plan, &unsupported);
            Ok(child)
        }
        // No step failed: the program itself cannot be run.
        Err(error) if reported.is_empty() => Err(error),
        Err(error) => {
            let why = reported.pop().unwrap_or_default();
            refused(launch, &why);
            Err(io::Error::new(error.kind(), why))
        }
    }
}

struct Prepared {
    plan: Arc<Plan>,
    report: Arc<Report>,
    unsupported: Vec<String>,
}

fn prepare(command: &mut Command, launch: &Launch) -> io::Result<Prepared> {
    let privileges = &launch.privileges;
    let identity = Identity::of(privileges, command)?;
    let mut unsupported = Vec::new();
    if privileges.token.is_some() {
        unsupported.push("token: only on Windows".to_owned());
    }
    let filter = seccomp::prepare(privileges.seccomp).unwrap_or_else(|why| {
        unsupported.push(why);
        None
    });
    let ruleset = landlock::prepare(privileges.landlock.as_ref(), &launch.command)?.unwrap_or_else(|why| {
        unsupported.push(why);
        None
    });
    if !unsupported.is_empty() && privileges.when_unsupported == WhenUnsupported::Refuse {
        return Err(refusal(&unsupported));
    }
    let report = Arc::new(Report::new()?);
    let plan = Arc::new(Plan::new(privileges, &identity, filter, ruleset, report.clone())?);
    Ok(Prepared { plan, report, unsupported })
}

/// Who the workload will be.
pub(super) struct Identity {
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) groups: Vec<u32>,
}

impl Identity {
    fn of(privileges: &Privileges, command: &mut Command) -> io::Result<Self> {
        let identity = Self::named(
            privileges.user.as_deref(),
            privileges.group.as_deref(),
            &privileges.supplementary_groups,
        )?;
        if let Some(wanted) = &privileges.user
            && let Some(entry) = accounts::user(wanted)?.entry
        {
            command.env("HOME", entry.home).env("USER", &entry.name).env("LOGNAME", entry.name);
        }
        Ok(identity)
    }

    /// Looks the names up.
    pub(super) fn named(user: Option<&str>, group: Option<&str>, groups: &[String]) -> io::Result<Self> {
        let user = user.map(|wanted| Ok::<_, io::Error>((wanted, accounts::user(wanted)?))).transpose()?;
        let group = match (group, &user) {
            (Some(group), _) => Some(accounts::group(group)?),
            (None, Some((wanted, user))) => match &user.entry {
                Some(entry) => Some(entry.group),
                None => {
                    let why =
                        format!("user {wanted} is not in /etc/passwd and so has no group: set `group` too");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
                }
            },
            (None, None) => None,
        };
        let groups = groups.iter().map(|group| accounts::group(group)).collect::<io::Result<_>>()?;
        Ok(Self { user: user.map(|(_, user)| user.id), group, groups })
    }
}

fn refusal(unsupported: &[String]) -> io::Error {
    let why =
        format!("{}; when_unsupported = \"continue\" starts the workload without", unsupported.join("; "));
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn refused(launch: &Launch, why: &str) {
    let fields = [("workload", Value::text(&launch.name)), ("error", Value::text(why))];
    launch.log.write(Event::PrivilegesRefused, "the workload was not started", &fields);
}

fn audit(launch: &Launch, child: &Child, plan: &Plan, unsupported: &[String]) {
    let privileges = &launch.privileges;
    let (workload, pid) = (Value::text(&launch.name), Value::number(child.id()));
    if !unsupported.is_empty() {
        let fields = [
            ("workload", workload.clone()),
            ("pid", pid.clone()),
            ("unsupported", Value::text(unsupported.join("; "))),
        ];
        launch.log.write(
            Event::PrivilegesUnsupported,
            "the workload runs without what the system lacks",
            &fields,
        );
    }
    if !launch.is_audited {
        return;
    }
    let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let lacks = |what: &str| unsupported.iter().any(|why| why.starts_with(what));
    let says = |what: &str, asked: bool| {
        Value::text(if !asked {
            "off"
        } else if lacks(what) {
            "unsupported"
        } else {
            "on"
        })
    };
    let kept = match plan.may_keep_bounding_set() {
        true => "unchanged".to_owned(),
        false => or_none(names_of(privileges.kept_capabilities()).join(",")),
    };
    let fields = [
        ("workload", workload),
        ("pid", pid),
        ("user", Value::text(plan.user().map_or_else(|| "unchanged".to_owned(), |id| id.to_string()))),
        ("group", Value::text(plan.group().map_or_else(|| "unchanged".to_owned(), |id| id.to_string()))),
        ("capabilities", Value::text(&kept)),
        ("no_new_privileges", Value::text(if privileges.no_new_privileges { "on" } else { "off" })),
        ("landlock", says("landlock", privileges.landlock.is_some())),
        ("seccomp", says("seccomp", privileges.seccomp.is_some())),
        ("namespaces", says("namespaces", !privileges.namespaces.is_empty())),
    ];
    launch.log.write(Event::PrivilegesApplied, "the workload runs with these privileges", &fields);
}

#[cfg(test)]
mod tests;
