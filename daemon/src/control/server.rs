//! The daemon's side of the control channel: hears clients, lets the supervisor decide, and answers.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::protocol::{self, Answer, Refused, RefusedKind, Request, Task};
use crate::config::ControlSettings;
use crate::failure::{Cause, Failure};
use crate::log::{Event, Log, Value};
use crate::os::socket::{self, Listener, Stream};
use crate::supervisor::{Message, Wish};
use crate::tasks::Tasks;

/// More clients than these are turned away.
const MOST_CLIENTS: usize = 32;
/// How long a client may take to ask, or to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long clients may take to hear that the daemon has stopped.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// A longer body that is not wanted is not even heard to its end. Bytes.
const LONGEST_UNWANTED: u64 = 256 << 20;
/// A client's thread reads one line and waits; bytes.
const STACK: usize = 128 * 1024;

/// Listens where `settings` say, or where the system has a place for it.
pub(crate) fn listen(
    settings: &ControlSettings,
    sender: &Sender<Message>,
    tasks: Option<&Arc<Tasks>>,
    log: &Log,
) -> Result<Clients, Failure> {
    let desk = Desk { sender: sender.clone(), tasks: tasks.cloned(), log: log.clone() };
    let path = settings.path.clone().unwrap_or_else(socket::default_path);
    match Listener::bind(&path, settings.group).and_then(|listener| serve(listener, desk)) {
        Ok(clients) => Ok(clients),
        // Who chose the path needs it; a default that does not fit must not keep workloads down.
        Err(error) if settings.path.is_some() => {
            let message = format!("cannot listen for commands at {}: {error}", path.display());
            Err(Failure::new(Cause::System, message, "set control.path to a place of this daemon's own"))
        }
        Err(error) => {
            let fields = [
                ("path", Value::text(path.display().to_string())),
                ("error", Value::text(error.to_string())),
            ];
            log.write(Event::ControlFailed, "nobody can ask this daemon for anything", &fields);
            Ok(Clients::default())
        }
    }
}

/// Who answers.
#[derive(Clone)]
struct Desk {
    sender: Sender<Message>,
    tasks: Option<Arc<Tasks>>,
    log: Log,
}

/// Hears clients of `listener` until the program ends.
fn serve(listener: Listener, desk: Desk) -> io::Result<Clients> {
    let listener = Arc::new(listener);
    let clients = Clients { listener: Some(Arc::clone(&listener)), ..Clients::default() };
    let served = clients.clone();
    thread::Builder::new().name("control".to_owned()).stack_size(STACK).spawn(move || {
        loop {
            match listener.accept() {
                Ok(stream) => hear(stream, &clients, &desk),
                // The listener was closed.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return,
                // Out of descriptors, or a client that left before it was heard.
                Err(error) => {
                    desk.log.write(
                        Event::ControlFailed,
                        "a client cannot be heard",
                        &[("error", Value::text(error.to_string()))],
                    );
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    })?;
    Ok(served)
}

fn hear(stream: Stream, clients: &Clients, desk: &Desk) {
    let seat = Seat::take(clients);
    let desk = desk.clone();
    let heard = thread::Builder::new().name("client".to_owned()).stack_size(STACK).spawn(move || {
        let mut stream = stream;
        let answer = match stream.set_timeout(Some(PATIENCE)) {
            Ok(()) => desk.decide(&mut stream, seat.is_some()),
            Err(error) => Err(error),
        };
        // A client that does not wait for its answer does not get it.
        if let Ok(answer) = answer {
            let _ = protocol::write(&mut stream, &answer);
        }
        drop(seat);
    });
    // Without a thread the client sees its connection end.
    drop(heard);
}

impl Desk {
    fn decide(&self, stream: &mut Stream, has_seat: bool) -> io::Result<Answer> {
        let peer = stream.peer()?;
        let mut reader = BufReader::with_capacity(1024, &mut *stream);
        // Heard before it is refused: a client whose words nobody read loses the answer to them.
        let request = protocol::read_line(&mut reader);
        let refuse =
            |kind, message: String, next: &str| Ok(Answer::Refused(Refused::new(kind, message, next)));
        if !peer.is_permitted {
            let fields = [("peer", Value::text(&peer.description))];
            self.log.write(Event::ClientRefused, "a client may not control the daemon", &fields);
            return refuse(
                RefusedKind::NotPermitted,
                format!("{} may not control the daemon", peer.description),
                "ask as the daemon's user, or as root",
            );
        }
        if !has_seat {
            return refuse(
                RefusedKind::TooMany,
                format!("{MOST_CLIENTS} clients are being served"),
                "ask again in a moment",
            );
        }
        let request: Request = match request {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let next = "use seaworthyd of the same version";
                return refuse(RefusedKind::BadRequest, error.to_string(), next);
            }
            Err(error) => return Err(error),
        };
        match request {
            Request::Push { length, task } => self.push(length, task, &mut reader, &peer.description),
            Request::DeadLetters { after } => {
                Ok(self.with_tasks("other", |tasks| Ok(Answer::DeadLetters { letters: tasks.dead(after) })))
            }
            Request::Replay { task } => {
                let replay = |tasks: &Tasks| tasks.replay(task, &peer.description);
                Ok(self.with_tasks("replay", |tasks| replay(tasks).map(|count| Answer::Tasks { count })))
            }
            Request::Discard { task } => {
                let discard = |tasks: &Tasks| tasks.discard(task, &peer.description);
                Ok(self.with_tasks("other", |tasks| discard(tasks).map(|count| Answer::Tasks { count })))
            }
            Request::Status {} => self.ask_supervisor(Wish::Status),
            Request::Reopen {} => self.ask_supervisor(Wish::Reopen),
            Request::Control { control, workload } => {
                let mut fields =
                    vec![("peer", Value::text(peer.description)), ("control", Value::text(control.name()))];
                fields.extend(workload.clone().map(|name| ("workload", Value::text(name))));
                self.log.write(Event::ControlAsked, "a client asks for a change", &fields);
                self.ask_supervisor(Wish::Control(control, workload))
            }
        }
    }

    /// Takes in a task here, where it holds up this client alone: the disk may be slow.
    fn push(&self, length: u64, task: Task, from: &mut impl BufRead, peer: &str) -> io::Result<Answer> {
        let longest = self.tasks.as_ref().map_or(0, |tasks| tasks.longest_body());
        if length > longest {
            // As above: heard, though not kept.
            io::copy(&mut from.take(length.min(LONGEST_UNWANTED)), &mut io::sink())?;
        }
        Ok(self.with_tasks("push", |tasks| {
            let mut body = Vec::new();
            let read = if length > longest { Ok(0) } else { from.take(length).read_to_end(&mut body) };
            let refuse = |message, next| Err(Refused::new(RefusedKind::BadRequest, message, next));
            match read {
                _ if length > longest => refuse(
                    format!("the body has {length} bytes, more than {longest}"),
                    "shorten it, or raise queue.limits.max_body_bytes",
                ),
                Ok(read) if read as u64 == length => {
                    tasks.push(task, body, peer).map(|(task, is_repeat)| Answer::Pushed { task, is_repeat })
                }
                Ok(read) => {
                    refuse(format!("the body ended after {read} of {length} bytes"), "send all of it")
                }
                Err(error) => refuse(format!("the body did not come: {error}"), "send it at once"),
            }
        }))
    }

    fn with_tasks(&self, command: &str, act: impl FnOnce(&Tasks) -> Result<Answer, Refused>) -> Answer {
        let no_queue = || {
            let next = "add a [queue] table to its configuration; its log says if that could not be opened";
            Refused::new(RefusedKind::NoQueue, "the daemon has no queue", next)
        };
        let Some(tasks) = &self.tasks else { return Answer::Refused(no_queue()) };
        let answer = act(tasks).unwrap_or_else(Answer::Refused);
        tasks.count(command, &answer);
        answer
    }

    fn ask_supervisor(&self, wish: Wish) -> io::Result<Answer> {
        let (reply, answers) = mpsc::channel();
        self.sender.send(Message::Asked { wish, reply }).map_err(io::Error::other)?;
        // The supervisor answers each request, at the deadline of a pending change at the latest, or ends.
        answers.recv().map_err(io::Error::other)
    }
}

/// The clients that are being served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    count: Arc<(Mutex<usize>, Condvar)>,
    /// Where they come; `None` where nobody can.
    listener: Option<Arc<Listener>>,
}

impl Clients {
    /// Lets nobody in any more, and waits until each has its answer, if that is soon: whoever asked for the stop wants to hear that it is done.
    pub(crate) fn wait(&self) {
        if let Some(listener) = &self.listener {
            listener.close();
        }
        let (count, changed) = &*self.count;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = changed.wait_timeout_while(count, LAST_ANSWERS, |count| *count > 0);
    }

    fn change(&self, change: impl FnOnce(&mut usize) -> bool) -> bool {
        let (count, changed) = &*self.count;
        let outcome = change(&mut count.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
        outcome
    }
}

/// One of them.
struct Seat(Clients);

impl Seat {
    fn take(clients: &Clients) -> Option<Self> {
        let is_free = |count: &mut usize| {
            let is_free = *count < MOST_CLIENTS;
            *count += usize::from(is_free);
            is_free
        };
        clients.change(is_free).then(|| Self(clients.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.change(|count| {
            *count -= 1;
            true
        });
    }
}
