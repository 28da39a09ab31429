//! The one step that may use the network: every dependency of `Cargo.lock` into cargo's home.

use std::collections::BTreeMap;
use std::path::Path;

use artifact::{Event, Events};

use crate::cargo;
use crate::command::{self, CommandLine};
use crate::watch::{is_lock_out_of_date, lock_error};
use crate::{Error, ErrorKind};

/// Fetches what `Cargo.lock` in `workspace_root` names, and nothing else. With `offline` it only checks that
/// everything is there. Cargo runs as the user would run it, with their proxies and credentials.
pub fn fetch(workspace_root: &Path, offline: bool, events: Events<'_>) -> Result<(), Error> {
    let step = if offline { "look for dependencies" } else { "fetch dependencies" }.to_owned();
    events(Event::Started { step: step.clone() });
    let mut told = String::new();
    let ended = command::run(&command_line(workspace_root, offline), &mut |_, line| {
        told.push_str(line);
        told.push('\n');
        events(Event::Output { step: step.clone(), line: line.to_owned() });
    })?;
    if !ended.success {
        return Err(failure(workspace_root, offline, &cargo::error_text(&told)));
    }
    events(Event::Finished { step, result: String::new() });
    Ok(())
}

fn command_line(workspace_root: &Path, offline: bool) -> CommandLine {
    let mut args = vec!["fetch".to_owned(), "--locked".to_owned()];
    if offline {
        args.push("--offline".to_owned());
    }
    let env = [("CARGO_TERM_COLOR", "never"), ("CARGO_TERM_PROGRESS_WHEN", "never")];
    CommandLine {
        program: "cargo".to_owned(),
        args,
        env: BTreeMap::from(env.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        inherits_env: true,
        folder: workspace_root.to_owned(),
    }
}

fn failure(workspace_root: &Path, offline: bool, told: &str) -> Error {
    if is_lock_out_of_date(told) {
        return lock_error(&workspace_root.join("Cargo.lock"), told);
    }
    let message = format!("{}: dependencies could not be fetched:\n{told}", workspace_root.display());
    let hint = if offline {
        "run the same command once without --offline"
    } else {
        "check the network and cargo's proxy settings; what was fetched stays, so a second run goes on from there"
    };
    Error::new(ErrorKind::FetchFailed, message).with_hint(hint)
}
