//! Names to addresses within a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The system's resolver cannot be interrupted: a lookup that outlives its caller goes on for seconds in a thread of its
/// own. More of them at a time are not begun.
const MOST_LOOKUPS: usize = 4;
/// The C library's resolver keeps its answers there. Bytes.
const STACK: usize = 256 * 1024;

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// The addresses of `host`, within `patience` (an error of kind `TimedOut` after it).
pub(super) fn resolve(host: &str, port: u16, patience: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    look_up(host.to_owned(), patience, move |host| {
        (host, port).to_socket_addrs().map(|addresses| addresses.collect::<Vec<_>>())
    })
}

fn look_up(
    host: String,
    patience: Duration,
    lookup: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let slot = Slot::take().ok_or_else(|| {
        io::Error::new(io::ErrorKind::WouldBlock, "too many lookups wait for the system's resolver")
    })?;
    let (sender, answer) = mpsc::channel();
    thread::Builder::new().name("resolver".to_owned()).stack_size(STACK).spawn(move || {
        let _slot = slot;
        // Nobody listens when it comes too late.
        let _ = sender.send(lookup(&host));
    })?;
    match answer.recv_timeout(patience) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(io::ErrorKind::NotFound.into()),
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the lookup ended without an answer"))
        }
    }
}

/// A lookup's place among the few.
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        let add = |count| (count < MOST_LOOKUPS).then_some(count + 1);
        LOOKUPS.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok().map(|_| Self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        LOOKUPS.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_lookup_and_names_have_a_bound() {
        let port = 7;
        let direct = resolve("::1", port, Duration::ZERO).expect("an address");
        assert_eq!(direct, ["[::1]:7".parse().expect("an address")]);
        let found = resolve("localhost", port, Duration::from_secs(60)).expect("every machine knows it");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == port));

        // A resolver that hangs: as many lookups as there may be, each left by its caller in time, and no more.
        let hang = || {
            let (release, held) = mpsc::channel::<()>();
            let answer = look_up("x".to_owned(), Duration::from_millis(1), move |_| {
                let _ = held.recv();
                Ok(Vec::new())
            });
            (release, answer.expect_err("no answer").kind())
        };
        let hung: Vec<_> = (0..MOST_LOOKUPS).map(|_| hang()).collect();
        assert!(hung.iter().all(|(_, kind)| *kind == io::ErrorKind::TimedOut), "{hung:?}");
        assert_eq!(hang().1, io::ErrorKind::WouldBlock);
        drop(hung);
        while LOOKUPS.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
        assert!(resolve("localhost", port, Duration::from_secs(60)).is_ok());
    }
}
