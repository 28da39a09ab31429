//! What is kept of a crashed worker on every Linux, where processes may be traced and where they may not: an emulator of
//! programs has no ptrace(2).
#![cfg(target_os = "linux")]

mod schema;
mod support;

use std::fs;

use minidump::{Minidump, MinidumpException, MinidumpSystemInfo, system_info};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{Daemon, folder};

#[test]
fn a_crash_leaves_its_context_and_a_dump_or_the_reason_why_not() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&format!("state_directory = {:?}\n", at.join("state")), at);
    for (signal, name) in [(Signal::SEGV, "SIGSEGV"), (Signal::ABORT, "SIGABRT"), (Signal::FPE, "SIGFPE")] {
        let worker = daemon.wait_for("starting")["fields"]["pid"].as_i64().expect("a process number");
        daemon.wait_for("ready");
        let worker = Pid::from_raw(i32::try_from(worker).expect("a process number")).expect("not zero");
        rustix::process::kill_process(worker, signal).expect("it runs");
        let crash = daemon.wait_for("worker-crashed");
        assert!(crash["message"].as_str().expect("text").contains(&format!("({name})")), "{crash}");
        let fields = daemon.wait_for("crash-saved")["fields"].clone();
        let context = fs::read_to_string(fields["context"].as_str().expect("a path")).expect("a context");
        let context: Value = serde_json::from_str(&context).expect("JSON");
        schema::assert_valid("seaworthyd-crash.json", &context);
        assert_eq!((&context["crash"]["name"], &context["crash"]["code"]), (&name.into(), &0.into()));
        assert_eq!(context["program"]["version"], env!("CARGO_PKG_VERSION"));
        if support::runner().is_empty() {
            let dump = Minidump::read_path(fields["dump"].as_str().expect("a path")).expect("a dump");
            let system: MinidumpSystemInfo = dump.get_stream().expect("the system");
            let expected = match std::env::consts::ARCH {
                "x86_64" => system_info::Cpu::X86_64,
                "aarch64" => system_info::Cpu::Arm64,
                other => panic!("{other} is not among those that are dumped"),
            };
            assert_eq!(system.cpu, expected);
            let exception: MinidumpException<'_> = dump.get_stream().expect("an exception");
            assert_eq!(
                exception.raw.exception_record.exception_code,
                signal.as_raw().cast_unsigned(),
                "{name}"
            );
        } else {
            let error = fields["error"].as_str().expect("text");
            assert!(error.contains("cannot be traced: Function not implemented"), "{error}");
            assert_eq!((fields.get("dump"), &context["no_dump"]), (None, &fields["error"]));
        }
    }
    daemon.wait_for("ready");
    assert_eq!(daemon.stop().1, Some(0));
}
