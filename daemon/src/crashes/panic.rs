//! A panic of any thread ends the worker: a supervisor that goes on without one of its threads only seems to work.

use std::panic::{self, PanicHookInfo};
use std::thread;

use super::Panic;
use crate::guardian::Word;
use crate::os;

/// With what else is in it a line stays below what a pipe takes in one piece (4096 bytes, pipe(7)). Characters; each
/// may take six in JSON.
const LONGEST_MESSAGE: usize = 400;

/// From now on a panic is said to the guardian, told on standard error, and ends the process as a crash.
pub(crate) fn end_with_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // First, since nobody may read standard error.
        os::crash::say(&format!("\n{}\n", Word::Panicked(told(panic)).line()));
        tell(panic);
        os::crash::end();
    }));
}

fn told(panic: &PanicHookInfo<'_>) -> Panic {
    let cut = |text: &str| text.chars().take(LONGEST_MESSAGE).collect::<String>();
    Panic {
        message: cut(panic.payload_as_str().unwrap_or("not a text")),
        place: cut(&panic.location().map(ToString::to_string).unwrap_or_default()),
        thread: thread::current().name().map(cut),
    }
}
