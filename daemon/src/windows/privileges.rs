//! Gives a workload its privileges, reads back from its process what it really has before it runs, and writes the audit
//! of that. No call is believed: Wine takes several and does nothing.

use std::io;

use windows_sys::Win32::Foundation::ERROR_PRIVILEGE_NOT_HELD;

use super::create::Suspended;
use super::job::Job;
use super::token;
use crate::launch::Launch;
use crate::log::{Event, Value};
use crate::privileges::WhenUnsupported;
use crate::token::Held;

/// Starts it with the privileges of `launch`.
pub(super) fn start(launch: &Launch) -> io::Result<(Suspended, Job)> {
    let privileges = &launch.privileges;
    let asked = privileges.token.clone().unwrap_or_default();
    let refused = |error: io::Error| {
        tell_refused(launch, &error.to_string());
        error
    };
    let of_linux = privileges.of_linux();
    let mut unsupported: Vec<_> = (!of_linux.is_empty())
        .then(|| format!("not on Windows: {}", of_linux.join(", ")))
        .into_iter()
        .collect();
    let (job, mut lacks) = Job::new(&privileges.limits).map_err(refused)?;
    unsupported.append(&mut lacks);
    let (token, plan) = token::restricted(&asked).map_err(refused)?;
    // That the program cannot be run is no matter of privileges.
    let process = Suspended::new(launch, &token, &job).map_err(|error| match error.raw_os_error() {
        Some(code) if code.cast_unsigned() == ERROR_PRIVILEGE_NOT_HELD => refused(error),
        _ => error,
    })?;
    let held = token::held_by(&process.process).map_err(refused)?;
    unsupported.extend(held.lacks(&asked, &plan));
    if !unsupported.is_empty() && privileges.when_unsupported == WhenUnsupported::Refuse {
        // The process ends with its job, unseen.
        return Err(refused(refusal(&unsupported)));
    }
    process.resume()?;
    if launch.is_audited {
        audit(launch, &process, &held, &unsupported);
    }
    Ok((process, job))
}

fn refusal(unsupported: &[String]) -> io::Error {
    let why =
        format!("{}; when_unsupported = \"continue\" starts the workload without", unsupported.join("; "));
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn tell_refused(launch: &Launch, why: &str) {
    let fields = [("workload", Value::text(&launch.name)), ("error", Value::text(why))];
    launch.log.write(Event::PrivilegesRefused, "the workload was not started", &fields);
}

fn audit(launch: &Launch, process: &Suspended, held: &Held, unsupported: &[String]) {
    let who = [("workload", Value::text(&launch.name)), ("pid", Value::number(process.id))];
    if !unsupported.is_empty() {
        let mut fields = who.to_vec();
        fields.push(("unsupported", Value::text(unsupported.join("; "))));
        let message = "the workload runs without what the system lacks";
        launch.log.write(Event::PrivilegesUnsupported, message, &fields);
    }
    let list = |list: &[String]| {
        Value::text(if list.is_empty() { "none".to_owned() } else { list.join(",") }.as_str())
    };
    let mut fields = who.to_vec();
    fields.extend([
        ("user", Value::text(&held.user)),
        ("privileges", list(&held.privileges)),
        ("deny_only", list(&held.deny_only())),
        ("restricted_to", list(&held.restricting)),
        ("integrity", Value::text(held.integrity_name())),
    ]);
    launch.log.write(Event::PrivilegesApplied, "the workload runs with these privileges", &fields);
}
