//! The protocol against a socket of the test, and against the real journald.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::*;
use crate::log::Event;

#[path = "../../../tests/support/journal.rs"]
#[expect(clippy::disallowed_methods, reason = "the test starts the real journald")]
mod journal;

/// Reads fields as the protocol's page describes them.
fn decode(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| b"=\n".contains(byte)).expect("a name has an end");
        let name = String::from_utf8(bytes[..end].to_vec()).expect("a name is ASCII");
        let (value, rest) = if bytes[end] == b'=' {
            let line = &bytes[end + 1..];
            line.split_at(line.iter().position(|byte| *byte == b'\n').expect("a newline"))
        } else {
            let (length, rest) = bytes[end + 1..].split_at(8);
            rest.split_at(u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize)
        };
        assert_eq!(rest[0], b'\n');
        let value = String::from_utf8(value.to_vec()).expect("UTF-8");
        assert_eq!(fields.insert(name, value), None);
        bytes = &rest[1..];
    }
    fields
}

fn record<'a>(message: &'a str, fields: &'a [(&'a str, Value)]) -> Record<'a> {
    let event = Event::WorkloadOutput;
    Record { time: UNIX_EPOCH, service: "seaworthyd", build: Some("b1"), event, message, fields }
}

#[test]
fn a_record_arrives_whatever_is_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let receiver = UnixDatagram::bind(&path).expect("a socket");
    let mut sink = JournalSink::new(&path).expect("a sink");
    let message = "a\nPRIORITY=0\n\0\u{1b}\u{85}=\u{1f600}";
    let fields = [
        ("workload", Value::text("web")),
        ("exit_code", Value::Number(-1)),
        ("a b\n=ü", Value::text("\n")),
        (&*"n".repeat(99), Value::text("")),
    ];
    sink.offer(&record(message, &fields)).expect("sent");
    let mut buffer = [0; 4096];
    let length = receiver.recv(&mut buffer).expect("a datagram");
    let found = decode(&buffer[..length]);
    let longest = format!("SEAWORTHYD_{}", "N".repeat(53));
    let expected = [
        ("MESSAGE", message),
        ("MESSAGE_ID", "7d1c1f0e64a34b2f9c582ab1c3f600ce"),
        ("PRIORITY", "6"),
        ("SEAWORTHYD_A_B___", "\n"),
        ("SEAWORTHYD_BUILD", "b1"),
        ("SEAWORTHYD_EVENT", "workload-output"),
        ("SEAWORTHYD_EVENT_ID", "206"),
        ("SEAWORTHYD_EXIT_CODE", "-1"),
        ("SEAWORTHYD_LEVEL", "info"),
        (&*longest, ""),
        ("SEAWORTHYD_WORKLOAD", "web"),
        ("SYSLOG_IDENTIFIER", "seaworthyd"),
    ];
    assert!(found.iter().map(|(name, value)| (&**name, &**value)).eq(expected), "{found:#?}");
}

#[test]
fn a_large_record_comes_in_a_sealed_memory_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let receiver = UnixDatagram::bind(&path).expect("a socket");
    let mut sink = JournalSink::new(&path).expect("a sink");
    let message = "large\n".repeat(1 << 20);
    sink.offer(&record(&message, &[])).expect("sent");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // Room for a byte that does not come: qemu's user emulation receives nothing into none.
    let mut byte = [0];
    let room = &mut [std::io::IoSliceMut::new(&mut byte)];
    let received = rustix::net::recvmsg(&receiver, room, &mut control, RecvFlags::empty());
    assert_eq!(received.expect("a datagram").bytes, 0);
    let memory: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    let [memory] = &memory[..] else { panic!("{} descriptors", memory.len()) };
    let seals = rustix::fs::fcntl_get_seals(memory).expect("seals");
    assert!(seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL));
    let file = std::fs::File::from(memory.try_clone().expect("a descriptor"));
    let mut bytes = vec![0; file.metadata().expect("its size").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    assert_eq!(decode(&bytes)["MESSAGE"], message);
}

#[test]
fn a_full_or_missing_journald_is_an_error_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let mut sink = JournalSink::new(&path).expect("a sink");
    let kind = |result: io::Result<()>| result.expect_err("an error").kind();
    assert_eq!(kind(sink.offer(&record("m", &[]))), io::ErrorKind::NotFound);
    let receiver = UnixDatagram::bind(&path).expect("a socket");
    let full = std::iter::repeat_with(|| sink.offer(&record("m", &[]))).find(Result::is_err);
    assert_eq!(kind(full.expect("it is full")), io::ErrorKind::WouldBlock);
    drop(receiver);
    assert_eq!(kind(sink.write(&record("m", &[]))), io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_real_journald_gives_every_field_back() {
    let mut journal = journal::Journal::start();
    assert!(journal.process() > 0);
    let mut sink = JournalSink::new(&journal.socket()).expect("a sink");
    let large = "x".repeat(1 << 20);
    let hostile = "a\nPRIORITY=0\u{1b}[2J\u{202e}b";
    let fields = [("workload", Value::text("web")), ("exit_code", Value::Number(7))];
    for message in ["plain", hostile, &*large] {
        sink.write(&record(message, &fields)).expect("sent");
    }
    let entries = journal.entries("SEAWORTHYD_WORKLOAD=web", 3);
    assert_eq!(entries.len(), 3);
    for (entry, message) in entries.iter().zip(["plain", hostile, &*large]) {
        // journalctl writes what is not printable as a list of bytes.
        let found = match &entry["MESSAGE"] {
            serde_json::Value::Array(bytes) => {
                let bytes = bytes.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()));
                String::from_utf8(bytes.collect::<Option<_>>().expect("bytes")).expect("UTF-8")
            }
            text => text.as_str().expect("text").to_owned(),
        };
        assert!(found == message, "{entry}");
        for (name, value) in [
            ("PRIORITY", "6"),
            ("SYSLOG_IDENTIFIER", "seaworthyd"),
            ("MESSAGE_ID", "7d1c1f0e64a34b2f9c582ab1c3f600ce"),
            ("SEAWORTHYD_EVENT", "workload-output"),
            ("SEAWORTHYD_EVENT_ID", "206"),
            ("SEAWORTHYD_EXIT_CODE", "7"),
            ("SEAWORTHYD_BUILD", "b1"),
            ("_TRANSPORT", "journal"),
        ] {
            assert_eq!(entry[name], value, "{name}");
        }
    }
    let found = journal.entries("MESSAGE_ID=7d1c1f0e64a34b2f9c582ab1c3f600ce", 3);
    assert_eq!(found.len(), 3, "an event is found by its MESSAGE_ID");
}
