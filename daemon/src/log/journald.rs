//! systemd's journal by its native protocol (systemd.io, "Native Journal Protocol"): a datagram of fields, or, where
//! that would be too large, a sealed memory file that holds them.

use std::fmt::Write as _;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix};

use super::event::Level;
use super::record::{Record, Value};
use super::sink::Sink;

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// `MESSAGE_ID` of an event is this with the event's number as its last four hexadecimal digits: a random UUID of which
/// sixteen bits are ours. Lasting, and told in README.md.
const MESSAGE_ID: u128 = 0x7d1c_1f0e_64a3_4b2f_9c58_2ab1_c3f6_0000;

/// journald takes no longer field name (systemd.journal-fields(7)).
const LONGEST_NAME: usize = 64;

/// Whether standard error is connected to the journal: whatever is written there arrives as a line of text
/// (systemd.exec(5), `$JOURNAL_STREAM`).
pub(super) fn is_stderr() -> bool {
    let Ok(stat) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    let ours = format!("{}:{}", stat.st_dev, stat.st_ino);
    std::env::var_os("JOURNAL_STREAM").is_some_and(|stream| stream == *ours)
}

/// journald as a sink.
pub(super) struct JournalSink {
    socket: UnixDatagram,
    address: SocketAddrUnix,
    datagram: Vec<u8>,
}

impl JournalSink {
    /// For the journald that listens at `path`; it need not be there yet.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let (socket, address) = (UnixDatagram::unbound()?, SocketAddrUnix::new(path)?);
        Ok(Self { socket, address, datagram: Vec::new() })
    }

    fn send(&mut self, record: &Record<'_>, flags: SendFlags) -> io::Result<()> {
        self.datagram.clear();
        encode(record, &mut self.datagram);
        match rustix::net::sendto(&self.socket, &self.datagram, flags, &self.address) {
            Ok(_) => Ok(()),
            Err(Errno::MSGSIZE | Errno::NOBUFS) => self.send_in_memory(flags),
            Err(error) => Err(error.into()),
        }
    }

    /// journald takes a memory file only when nobody can change it any more.
    fn send_in_memory(&self, flags: SendFlags) -> io::Result<()> {
        let memory =
            rustix::fs::memfd_create("seaworthyd-record", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC)?;
        let mut memory = std::fs::File::from(memory);
        memory.write_all(&self.datagram)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&memory, seals)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [memory.as_fd()];
        let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
        debug_assert!(fits, "the space is for one descriptor");
        rustix::net::sendmsg_addr(&self.socket, &self.address, &[IoSlice::new(&[])], &mut control, flags)?;
        Ok(())
    }
}

impl Sink for JournalSink {
    fn name(&self) -> &'static str {
        "journald"
    }

    fn offer(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.send(record, SendFlags::DONTWAIT)
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.send(record, SendFlags::empty())
    }
}

fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let event = record.event;
    put("MESSAGE", record.message, out);
    put("PRIORITY", priority(event.level()), out);
    put("SYSLOG_IDENTIFIER", record.service, out);
    put("MESSAGE_ID", &format!("{:032x}", MESSAGE_ID | u128::from(event.id())), out);
    put("SEAWORTHYD_LEVEL", event.level().name(), out);
    put("SEAWORTHYD_EVENT", event.name(), out);
    put("SEAWORTHYD_EVENT_ID", &event.id().to_string(), out);
    if let Some(build) = record.build {
        put("SEAWORTHYD_BUILD", build, out);
    }
    for (name, value) in record.fields {
        let name = field_name(name);
        match value {
            Value::Text(text) => put(&name, text, out),
            Value::Number(number) => put(&name, &number.to_string(), out),
        }
    }
}

/// A value with a newline needs the form with a length, which any value may have.
fn put(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// journald's names are of capital letters, digits and underscores.
fn field_name(name: &str) -> String {
    let mut out = "SEAWORTHYD_".to_owned();
    for character in name.chars().take(LONGEST_NAME - out.len()) {
        let _ = out.write_char(match character.to_ascii_uppercase() {
            plain @ ('A'..='Z' | '0'..='9') => plain,
            _ => '_',
        });
    }
    out
}

/// The severities of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "3",
        Level::Warning | Level::AuditFailure => "4",
        Level::AuditSuccess => "5",
        Level::Info => "6",
    }
}

#[cfg(test)]
mod tests;
