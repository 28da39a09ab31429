//! The server for `/metrics` and `/health`: a handful of short conversations, none of which holds up another.
//!
//! One thread accepts; each conversation has a thread of its own with a small stack, and ends at a total deadline however
//! slowly its client reads or writes. When all places are taken, a newcomer gets the place of the oldest that has not
//! even sent its request: clients that only hold connections open lose them to clients that want something.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

mod conversation;

/// What the server answers with; called in the conversation's thread, so it must be bounded in time.
pub struct Routes {
    /// `/metrics`, for the request's `Accept` field (empty without one).
    pub metrics: Box<dyn Fn(&str) -> Page + Send + Sync>,
    /// `/health/live`: whether the daemon does its work.
    pub live: Box<dyn Fn() -> Health + Send + Sync>,
    /// `/health/ready`: whether everything it runs is ready.
    pub ready: Box<dyn Fn() -> Health + Send + Sync>,
    /// Told of each answer: which route, which status code.
    pub observe: Box<dyn Fn(Route, u16) + Send + Sync>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Routes")
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/metrics`.
    Metrics,
    /// `/health/live`.
    Live,
    /// `/health/ready`.
    Ready,
    /// Anything else, and what is not HTTP.
    Other,
}

/// A page and its media type.
#[derive(Clone, Debug)]
pub struct Page {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The page.
    pub text: Arc<str>,
}

/// Healthy, with a word about it (status 200), or not, with the reason (status 503).
pub type Health = Result<String, String>;

/// What one server may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Conversations at a time.
    pub connections: usize,
    /// The longest head of a request. Bytes.
    pub head_bytes: usize,
    /// How long a conversation may take from its first to its last byte.
    pub deadline: Duration,
    /// How long a place is its client's, however many others wait: a burst of honest clients is answered, not chased away.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            head_bytes: 8 * 1024,
            deadline: Duration::from_secs(5),
            grace: Duration::from_millis(500),
        }
    }
}

/// The address cannot be listened at.
#[derive(Debug)]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = match self.cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; choose another port, or stop that program"
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address; use one that it has",
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
            _ => "choose another address",
        };
        write!(out, "cannot listen at {}: {}; {next}", self.address, self.cause)
    }
}

impl std::error::Error for BindError {}

/// A server while it listens; dropping it ends it and all its conversations.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Bytes. Debug builds need most of it; what is not used is never resident.
const STACK: usize = 128 * 1024;
/// How long to wait for a place that was just taken from its client, or after the system could not accept.
const MOMENT: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Shared {
    routes: Routes,
    limits: Limits,
    stopping: AtomicBool,
    open: Mutex<Vec<Arc<Place>>>,
    /// A conversation has ended, or the server is to.
    changed: Condvar,
}

/// A conversation, as the others see it.
#[derive(Debug)]
struct Place {
    stream: TcpStream,
    begun: Instant,
    /// Its request has come.
    answering: AtomicBool,
    /// Its connection was taken away.
    evicted: AtomicBool,
}

impl Server {
    /// Listens at `address` (port 0: one that the system chooses).
    ///
    /// # Errors
    /// The address is in use, not of this machine, or not allowed; or no thread can be had.
    pub fn start(address: SocketAddr, routes: Routes, limits: Limits) -> Result<Self, BindError> {
        let refused = |cause| BindError { address, cause };
        let listener = TcpListener::bind(address).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            routes,
            limits,
            stopping: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
            changed: Condvar::new(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            let accept = move || accept(&listener, &shared);
            thread::Builder::new().name("http".to_owned()).stack_size(STACK).spawn(accept).map_err(refused)?
        };
        Ok(Self { address: bound, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        {
            let open = self.shared.lock();
            open.iter().for_each(|place| place.evict());
            self.shared.changed.notify_all();
        }
        // Wakes the acceptor; a firewall that forbids it must not hold the daemon's end.
        let woken = TcpStream::connect_timeout(&reachable(self.address), MOMENT).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

/// Where a listener can be reached from its own machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            // Without memory, descriptors or threads this client gets nothing; the next may.
            Ok((stream, _)) => drop(converse(stream, shared)),
            // Out of descriptors, mostly: at once it would fail again.
            Err(_) => drop(shared.changed.wait_timeout(shared.lock(), MOMENT)),
        }
    }
}

fn converse(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let place = Arc::new(Place {
        stream: stream.try_clone()?,
        begun: Instant::now(),
        answering: AtomicBool::new(false),
        evicted: AtomicBool::new(false),
    });
    if !shared.admit(&place) {
        return Ok(());
    }
    let guard = Guard { shared: Arc::clone(shared), place };
    // The guard frees the place also where no thread can be had.
    thread::Builder::new().name("http-client".to_owned()).stack_size(STACK).spawn(move || {
        conversation::run(stream, &guard.shared.routes, guard.shared.limits, &guard.place.answering);
    })?;
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `newcomer` a place, if need be another's.
    fn admit(&self, newcomer: &Arc<Place>) -> bool {
        let mut open = self.lock();
        let grace = self.limits.grace;
        let gives_up = Instant::now() + grace + MOMENT;
        while open.len() >= self.limits.connections.max(1) {
            let now = Instant::now();
            if now >= gives_up {
                return false;
            }
            let wakes = match victim(&open) {
                Some(place) if place.begun + grace <= now => {
                    place.evict();
                    gives_up
                }
                Some(place) => place.begun + grace,
                None => gives_up,
            };
            let waited = self.changed.wait_timeout(open, wakes.min(gives_up) - now);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        open.push(Arc::clone(newcomer));
        true
    }
}

/// Whose place is to be taken: the oldest that has not sent its request, else the oldest. Nobody's while one that was
/// taken is not free yet.
fn victim(open: &[Arc<Place>]) -> Option<&Arc<Place>> {
    if open.iter().any(|place| place.evicted.load(Ordering::Acquire)) {
        return None;
    }
    open.iter().find(|place| !place.answering.load(Ordering::Acquire)).or(open.first())
}

impl Place {
    fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        // Fails only when the connection is already gone.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Frees a place when its conversation ends, also by a panic.
struct Guard {
    shared: Arc<Shared>,
    place: Arc<Place>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.lock().retain(|place| !Arc::ptr_eq(place, &self.place));
        self.shared.changed.notify_all();
    }
}
