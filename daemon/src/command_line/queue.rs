//! `seaworthyd queue …`: pushes tasks, and deals with those that were given up.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Place, send};
use crate::control::protocol::{Answer, DeadLetter, Request, Task};
use crate::failure::{Cause, Failure};
use crate::log::rfc3339;

/// What is asked of the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Push {
        task: Task,
        file: Option<PathBuf>,
    },
    Dead,
    /// One of them, or all.
    Replay(Option<u64>),
    Discard(Option<u64>),
}

/// The options of these commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) task: Task,
    pub(super) all: bool,
}

/// Reads the words after `queue`.
pub(super) fn action(words: &[&str], given: Options) -> Result<Action, lexopt::Error> {
    let Options { task, all } = given;
    let is_plain = task == Task::default();
    let which = |word: Option<&&str>| match (word, all) {
        (None, true) => Ok(None),
        (Some(id), false) => {
            id.parse().map(Some).map_err(|_| format!("'{id}' is no task; 'queue dead' lists them").into())
        }
        _ => Err("name one task, or --all".into()),
    };
    match words {
        ["push"] | ["push", "-"] if !all => Ok(Action::Push { task, file: None }),
        ["push", file] if !all => Ok(Action::Push { task, file: Some(PathBuf::from(file)) }),
        ["dead"] if !all && is_plain => Ok(Action::Dead),
        ["replay", ids @ ..] if ids.len() < 2 && is_plain => which(ids.first()).map(Action::Replay),
        ["discard", ids @ ..] if ids.len() < 2 && is_plain => which(ids.first()).map(Action::Discard),
        _ => Err("'queue' takes push [FILE], dead, replay TASK | --all, or discard TASK | --all".into()),
    }
}

/// Does it.
pub(super) fn perform(action: &Action, at: &Place, json: bool) -> Result<(), Failure> {
    let (answer, text) = match action {
        Action::Push { task, file } => {
            let body = body(file.as_ref())?;
            let request = Request::Push { length: body.len() as u64, task: task.clone() };
            let answer = send(&request, &body, at)?;
            let text = match &answer {
                Answer::Pushed { task, is_repeat: false } => format!("task {task} accepted\n"),
                Answer::Pushed { task, is_repeat: true } => format!("task {task} known already\n"),
                _ => String::new(),
            };
            (answer, text)
        }
        Action::Dead => {
            let answer = dead(at)?;
            let text =
                if let Answer::DeadLetters { letters } = &answer { list(letters) } else { String::new() };
            (answer, text)
        }
        Action::Replay(task) => changed(&Request::Replay { task: *task }, "tried again", at)?,
        Action::Discard(task) => changed(&Request::Discard { task: *task }, "thrown away", at)?,
    };
    if json {
        println!("{}", serde_json::to_string(&answer).expect("strings, numbers and words always serialise"));
    }
    match answer {
        Answer::Refused(refused) => Err(Failure::new(Cause::Refused, refused.message, refused.next)),
        _ if json => Ok(()),
        _ => {
            print!("{text}");
            Ok(())
        }
    }
}

fn body(file: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = match file {
        Some(path) => fs::read(path).map(|bytes| body = bytes),
        None => io::stdin().lock().read_to_end(&mut body).map(drop),
    };
    let what = file.map_or("standard input".to_owned(), |path| path.display().to_string());
    let explain =
        |error| Failure::new(Cause::System, format!("cannot read {what}: {error}"), "name a readable file");
    read.map(|()| body).map_err(explain)
}

fn changed(request: &Request, what: &str, at: &Place) -> Result<(Answer, String), Failure> {
    let answer = send(request, &[], at)?;
    let text = match &answer {
        Answer::Tasks { count } => format!("{count} {what}\n"),
        _ => String::new(),
    };
    Ok((answer, text))
}

/// All of them, which may take several answers.
fn dead(at: &Place) -> Result<Answer, Failure> {
    let mut all: Vec<DeadLetter> = Vec::new();
    loop {
        let after = all.last().map_or(0, |letter| letter.task);
        match send(&Request::DeadLetters { after }, &[], at)? {
            Answer::DeadLetters { letters } if letters.iter().any(|letter| letter.task > after) => {
                all.extend(letters)
            }
            Answer::DeadLetters { .. } => return Ok(Answer::DeadLetters { letters: all }),
            other => return Ok(other),
        }
    }
}

fn list(letters: &[DeadLetter]) -> String {
    let mut text = String::new();
    for letter in letters {
        let kind = letter.kind.as_deref().unwrap_or("damaged");
        let mut died = String::new();
        rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(letter.died_unix_ms), &mut died);
        let reason: String = letter.reason.chars().filter(|character| !character.is_control()).collect();
        let _ =
            writeln!(text, "{:>6}  {kind:<7}  {died}  {} failure(s): {reason}", letter.task, letter.failures);
    }
    if text.is_empty() { "no task was given up\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_have_one_meaning_each() {
        let read = |words: &[&str], all| action(words, Options { all, ..Options::default() });
        let task = Task::default;
        assert_eq!(read(&["push"], false).expect("good"), Action::Push { task: task(), file: None });
        assert_eq!(
            read(&["push", "f"], false).expect("good"),
            Action::Push { task: task(), file: Some("f".into()) }
        );
        assert_eq!(read(&["replay", "7"], false).expect("good"), Action::Replay(Some(7)));
        assert_eq!(read(&["discard"], true).expect("good"), Action::Discard(None));
        for (words, all) in [
            (&["replay"][..], false),
            (&["replay", "7"], true),
            (&["replay", "x"], false),
            (&["dead", "7"], false),
            (&["push"], true),
            (&[], false),
        ] {
            assert!(read(words, all).is_err(), "{words:?} {all}");
        }
        let keyed = Task { idempotency_key: Some("k".to_owned()), ..task() };
        assert!(action(&["dead"], Options { task: keyed, all: false }).is_err());
    }

    #[test]
    fn a_list_is_one_line_each_whatever_the_reason_says() {
        let letter = DeadLetter {
            task: 7,
            kind: Some("deliver".to_owned()),
            order_key: None,
            idempotency_key: None,
            died_unix_ms: 0,
            failures: 1,
            reason: "a\nb\u{1b}[31m".to_owned(),
        };
        assert_eq!(list(&[letter]), "     7  deliver  1970-01-01T00:00:00.000Z  1 failure(s): ab[31m\n");
        assert_eq!(list(&[]), "no task was given up\n");
    }
}
