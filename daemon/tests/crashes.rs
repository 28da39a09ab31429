//! Crashes of the real worker: what is kept of them, and what is not. Dumps are read by the crate `minidump`, which has
//! nothing in common with what writes them, and compared with what the kernel and binutils say.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::disallowed_methods, reason = "the tests start other people's tools")]

mod fault;
mod schema;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fault::Waiting;
use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpException, MinidumpMemoryList, MinidumpModuleList, MinidumpSystemInfo,
    MinidumpThreadList, MinidumpThreadNames, MmapMinidump, Module,
};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use support::{Daemon, as_nobody, configure, folder, program, workload};

const CALM: &str = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";

fn config(folder: &Path, more: &str) -> String {
    format!("state_directory = {:?}\n{more}\n", folder.join("state"))
}

fn process(record: &Value) -> i64 {
    record["fields"]["pid"].as_i64().expect("a process number")
}

fn send(process: i64, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).expect("a process number")).expect("not zero");
    rustix::process::kill_process(process, signal).expect("it runs");
}

/// A worker that is ready.
fn worker(daemon: &mut Daemon) -> i64 {
    let worker = process(&daemon.wait_for("starting"));
    daemon.wait_for("ready");
    worker
}

/// What the next worker tells, and the context that it names.
fn saved(daemon: &mut Daemon) -> (Value, Value) {
    let fields = daemon.wait_for("crash-saved")["fields"].clone();
    let context = context(&fields);
    (fields, context)
}

fn context(saved: &Value) -> Value {
    let text = fs::read(saved["context"].as_str().expect("a path")).expect("a context");
    let context = serde_json::from_slice(&text).expect("JSON");
    schema::assert_valid("seaworthyd-crash.json", &context);
    context
}

fn read(fields: &Value) -> MmapMinidump {
    let path = fields["dump"].as_str().unwrap_or_else(|| panic!("no dump: {fields}"));
    let about = fs::metadata(path).expect("a dump");
    assert_eq!(about.len(), fields["bytes"].as_u64().expect("a number"));
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    Minidump::read_path(path).expect("a dump that can be read")
}

fn exception(dump: &MmapMinidump) -> MinidumpException<'_> {
    dump.get_stream().expect("an exception")
}

#[test]
fn each_signal_from_outside_leaves_a_dump_and_the_exit_status_stays_true() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, &workload("web", CALM)), at);
    let names = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ILL, "SIGILL"),
        (Signal::FPE, "SIGFPE"),
        (Signal::TRAP, "SIGTRAP"),
    ];
    for (signal, name) in names {
        let worker = worker(&mut daemon);
        let (threads, modules) = (fault::threads(worker), fault::modules(worker));
        send(worker, signal);
        let crash = daemon.wait_for("worker-crashed");
        assert!(crash["message"].as_str().expect("text").contains(&format!("({name})")), "{crash}");
        let (fields, context) = saved(&mut daemon);
        assert_eq!(fields.get("error"), None);
        assert_eq!((&context["crash"]["name"], &context["crash"]["code"]), (&name.into(), &0.into()));
        assert_eq!((context["state"].is_string(), &context["hung"]), (true, &false.into()));
        assert_eq!(context["program"]["version"], env!("CARGO_PKG_VERSION"));

        let dump = read(&fields);
        let crash = exception(&dump).raw.exception_record;
        assert_eq!((crash.exception_code, crash.exception_flags), (signal.as_raw().cast_unsigned(), 0));
        let list: MinidumpThreadList = dump.get_stream().expect("threads");
        let mut dumped: Vec<_> = list.threads.iter().map(|thread| thread.raw.thread_id).collect();
        dumped.sort_unstable();
        assert_eq!(dumped, threads, "/proc/PID/task");
        let memory: MinidumpMemoryList = dump.get_stream().expect("memory");
        for thread in &list.threads {
            let stack = thread.raw.stack;
            assert!(stack.memory.data_size > 0, "{thread:?}");
            assert!(memory.memory_at_address(stack.start_of_memory_range).is_some(), "{stack:?}");
        }
        let list: MinidumpModuleList = dump.get_stream().expect("modules");
        let dumped: BTreeSet<_> = list
            .iter()
            .map(|module| (module.code_file().into_owned(), module.base_address()))
            .filter(|(file, _)| file.starts_with('/'))
            .collect();
        assert_eq!(dumped, BTreeSet::from_iter(modules), "/proc/PID/maps");
        let main = list.main_module().expect("the program").code_identifier().expect("a build ID");
        assert_eq!(main.as_str(), build_id(env!("CARGO_BIN_EXE_seaworthyd")), "readelf");
    }
    assert_eq!(daemon.stop().1, Some(0));
}

fn build_id(program: &str) -> String {
    let output = Command::new("readelf").args(["-n", program]).output().expect("Debian's package binutils");
    let notes = String::from_utf8(output.stdout).expect("ASCII");
    let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    id.expect("a build ID").to_owned()
}

#[test]
fn real_faults_are_dumped_where_they_happen() {
    struct Fault {
        code: &'static [u8],
        name: &'static str,
        /// `si_code`; see sigaction(2).
        si_code: i32,
        address: fn(u64) -> u64,
    }
    const SI_KERNEL: i32 = 128;
    let faults = [
        Fault { code: fault::READ_NULL, name: "SIGSEGV", si_code: 1, address: |_| 0 },
        Fault { code: fault::ILLEGAL, name: "SIGILL", si_code: 2, address: |at| at },
        // The first of its two instructions is two bytes long.
        Fault { code: fault::DIVIDE, name: "SIGFPE", si_code: 1, address: |at| at + 2 },
        Fault { code: fault::BREAKPOINT, name: "SIGTRAP", si_code: SI_KERNEL, address: |_| 0 },
    ];
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, &workload("web", CALM)), at);
    for fault in faults {
        let waiting = Waiting::for_input(worker(&mut daemon));
        waiting.will_execute(fault.code);
        daemon.signal(Signal::HUP);
        let (fields, context) = saved(&mut daemon);
        let crash = &context["crash"];
        assert_eq!((&crash["name"], &crash["code"]), (&fault.name.into(), &fault.si_code.into()), "{crash}");
        assert_eq!(crash["thread"], waiting.thread);
        assert_eq!(crash["is_stack_overflow"], false);

        let dump = read(&fields);
        let crash = exception(&dump);
        let address = (fault.address)(waiting.instruction);
        assert_eq!(crash.get_crash_address(Os::Linux, Cpu::X86_64), address);
        assert_eq!(crash.get_crashing_thread_id(), waiting.thread);
        assert_eq!(crash.raw.exception_record.exception_flags.cast_signed(), fault.si_code);
        let system: MinidumpSystemInfo = dump.get_stream().expect("the system");
        assert_eq!((system.os, system.cpu), (Os::Linux, Cpu::X86_64));
        let registers = crash.context(&system, None).expect("registers");
        let next = registers.get_instruction_pointer();
        let executed = waiting.instruction..=waiting.instruction + fault.code.len() as u64;
        assert!(executed.contains(&next), "{next:#x} is not in {executed:#x?}");
    }
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_stack_overflow_of_a_thread_is_told_as_one() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, ""), at);
    let waiting = Waiting::for_input(worker(&mut daemon));
    waiting.will_execute(fault::OVERFLOW);
    daemon.signal(Signal::HUP);
    let (fields, context) = saved(&mut daemon);
    assert_eq!(context["crash"]["name"], "SIGSEGV");
    assert_eq!(context["crash"]["is_stack_overflow"], true, "{context}");
    let dump = read(&fields);
    let system: MinidumpSystemInfo = dump.get_stream().expect("the system");
    let crash = exception(&dump);
    let registers = crash.context(&system, None).expect("registers");
    let to_stack = registers.get_stack_pointer().abs_diff(crash.get_crash_address(Os::Linux, Cpu::X86_64));
    assert!(to_stack <= 8, "{to_stack}");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_panic_of_any_thread_ends_the_worker_and_says_where() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, ""), at);
    let worker = worker(&mut daemon);
    let waiting = Waiting::for_input(worker);
    let panic = fault::function(worker, "panic_cannot_unwind");
    waiting.will_execute(&fault::call(panic));
    daemon.signal(Signal::HUP);
    // The panic's own words come among the records.
    let told = loop {
        let line = daemon.line().expect("a next worker");
        if line.contains("\"event\":\"crash-saved\"") {
            break line;
        }
    };
    let fields = serde_json::from_str::<Value>(&told).expect("JSON")["fields"].clone();
    let context = context(&fields);
    assert_eq!(context["panic"]["message"], "panic in a function that cannot unwind");
    let place = context["panic"]["place"].as_str().expect("text");
    assert!(place.contains("panicking.rs:"), "{place}");
    assert_eq!(context["crash"]["name"], "SIGABRT");
    assert_eq!(exception(&read(&fields)).get_crashing_thread_id(), waiting.thread);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_worker_that_hangs_is_dumped_before_its_end() {
    let folder = folder();
    let at = folder.path();
    let socket = std::os::unix::net::UnixDatagram::bind(at.join("notify")).expect("a socket");
    let mut command = program();
    command.arg("run").arg("--config").arg(configure(at, &config(at, "")));
    command
        .env("NOTIFY_SOCKET", at.join("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .env_remove("WATCHDOG_PID");
    let mut daemon = Daemon::spawn(command);
    let worker = worker(&mut daemon);
    let threads = fault::threads(worker);
    send(worker, Signal::STOP);
    let (fields, context) = saved(&mut daemon);
    assert_eq!((&context["hung"], &context["crash"]), (&true.into(), &Value::Null));
    let dump = read(&fields);
    let list: MinidumpThreadList = dump.get_stream().expect("threads");
    assert_eq!(list.threads.len(), threads.len());
    let names: MinidumpThreadNames = dump.get_stream().expect("names");
    let first = threads.first().expect("a thread");
    assert_eq!(names.get_name(*first).as_deref(), Some("seaworthyd"));
    assert_eq!(daemon.stop().1, Some(0));
    drop(socket);
}

#[test]
fn a_worker_that_cannot_say_so_leaves_a_context_with_the_reason() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, ""), at);
    send(worker(&mut daemon), Signal::KILL);
    let (fields, context) = saved(&mut daemon);
    assert_eq!(fields.get("dump"), None);
    assert_eq!(fields["error"], "the worker did not say that it crashed");
    assert_eq!(context["ended"], "signal: 9 (SIGKILL)");
    assert_eq!(context["no_dump"], fields["error"]);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn without_a_state_directory_it_is_said_once_that_nothing_is_kept() {
    let folder = folder();
    let mut daemon = Daemon::run("", folder.path());
    for _ in 0..2 {
        send(worker(&mut daemon), Signal::SEGV);
    }
    worker(&mut daemon);
    let error = |record: &Value| record["fields"]["error"].as_str().expect("text").to_owned();
    let (records, code) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(records.iter().all(|record| record["event"] != "crash-saved"));
    // And said it was: a fresh daemon's first crash.
    let mut daemon = Daemon::run("", folder.path());
    send(worker(&mut daemon), Signal::SEGV);
    assert!(error(&daemon.wait_for("crash-saved")).contains("no state directory"));
    send(worker(&mut daemon), Signal::SEGV);
    worker(&mut daemon);
    let (records, _) = daemon.stop();
    assert!(records.iter().all(|record| record["event"] != "crash-saved"));
}

#[test]
fn where_tracing_is_refused_the_context_says_so() {
    // A program that may be run and not read is not to be looked into either (ptrace(2), PR_SET_DUMPABLE(2const)).
    let folder = folder();
    let at = folder.path();
    let secret = at.join("seaworthyd");
    fs::copy(env!("CARGO_BIN_EXE_seaworthyd"), &secret).expect("copied");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o111)).expect("changed");
    fs::set_permissions(at, fs::Permissions::from_mode(0o777)).expect("changed");
    let mut command = as_nobody();
    command.arg(&secret).arg("run").arg("--config").arg(configure(at, &config(at, "")));
    let mut daemon = Daemon::spawn(command);
    send(worker(&mut daemon), Signal::SEGV);
    let (fields, context) = saved(&mut daemon);
    let error = fields["error"].as_str().expect("text");
    assert!(error.contains("cannot be traced: Operation not permitted"), "{error}");
    assert_eq!((&context["crash"]["name"], &context["dump"]), (&"SIGSEGV".into(), &Value::Null));
    assert_eq!(files(at).len(), 1);
    worker(&mut daemon);
    assert_eq!(daemon.stop().1, Some(0));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("state/crashes")).expect("the folder of crashes");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn of_many_crashes_in_a_row_the_last_are_kept() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, "[crashes]\nkeep = 2"), at);
    let mut dumps = Vec::new();
    for round in 0..6 {
        // Where it crashes on its way up is all the same.
        let worker = process(&daemon.wait_for("starting"));
        send(worker, if round % 2 == 0 { Signal::SEGV } else { Signal::ABORT });
        dumps.push(daemon.wait_for("crash-saved")["fields"]["dump"].as_str().map(PathBuf::from));
        assert!(files(at).len() <= 4, "{:?}", files(at));
    }
    worker(&mut daemon);
    let kept: BTreeSet<_> =
        files(at).into_iter().filter(|path| path.extension().is_some_and(|it| it == "dmp")).collect();
    assert_eq!(kept, dumps.split_off(4).into_iter().flatten().collect());
    assert_eq!(daemon.stop().1, Some(0));
}

/// A small file system in memory, taken away at the end.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_no_half_file_and_the_daemon_goes_on() {
    let folder = folder();
    let at = folder.path();
    let small = Small(at.join("small"));
    fs::create_dir(&small.0).expect("a folder");
    // Room for a context, not for a dump.
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"]).arg(&small.0).status();
    assert!(mount.expect("Debian's package mount").success(), "run as root");
    let mut daemon = Daemon::run(&format!("[crashes]\ndirectory = {:?}", small.0), at);
    send(worker(&mut daemon), Signal::SEGV);
    let (fields, _) = saved(&mut daemon);
    let error = fields["error"].as_str().expect("text");
    assert!(error.contains("No space left on device"), "{error}");
    let files: Vec<_> =
        fs::read_dir(&small.0).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files, [PathBuf::from(fields["context"].as_str().expect("a path"))]);
    worker(&mut daemon);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_guardian_that_does_not_answer_keeps_no_worker_from_dying() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, ""), at);
    let worker = worker(&mut daemon);
    daemon.signal(Signal::STOP);
    send(worker, Signal::SEGV);
    support::assert_ended(i32::try_from(worker).expect("a process number"));
    daemon.signal(Signal::CONT);
    let crash = daemon.wait_for("worker-crashed");
    assert!(crash["message"].as_str().expect("text").contains("SIGSEGV"), "{crash}");
    daemon.wait_for("ready");
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn a_worker_that_lies_is_ended_and_the_guardian_goes_on() {
    let folder = folder();
    let at = folder.path();
    let mut daemon = Daemon::run(&config(at, ""), at);
    for lie in ["crashed 11 1 0 0 1 1", "crashed 9 1 0 0 4294967295 18446744073709551615"] {
        let worker = worker(&mut daemon);
        let output = format!("/proc/{worker}/fd/1");
        let mut output = fs::OpenOptions::new().write(true).open(output).expect("its pipe");
        writeln!(output, "{}", "x".repeat(300_000)).expect("said");
        writeln!(output, "{lie}").expect("said");
        drop(output);
        let (fields, _) = saved(&mut daemon);
        assert!(fields.get("dump").is_none() && fields["error"].is_string(), "{fields}");
    }
    worker(&mut daemon);
    assert_eq!(daemon.stop().1, Some(0));
}

#[test]
fn the_queue_goes_on_and_the_crash_is_among_its_reports() {
    let folder = folder();
    let at = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let queue =
        format!("[queue]\ncollector = \"http://{address}/\"\nreports = [\"crash\"]\nattempt_seconds = 60");
    let mut daemon = Daemon::run(&config(at, &queue), at);
    let worker = worker(&mut daemon);
    let body = at.join("body");
    fs::write(&body, "{\"event\":\"a task\"}").expect("written");
    let pushed =
        program().args(["queue", "push"]).arg(&body).arg("--socket").arg(support::socket(at)).output();
    assert!(pushed.expect("it starts").status.success());
    // Nobody answers before the crash: the task is on its way, and is tried again by the next worker.
    send(worker, Signal::SEGV);
    let opened = daemon.wait_for("queue-opened");
    assert_eq!(opened["fields"]["tasks"], 1, "{opened}");
    let mut arrived = BTreeSet::new();
    while !["a task", "worker-crashed", "crash-saved"].iter().all(|event| arrived.contains(*event)) {
        let (stream, _) = listener.accept().expect("a delivery");
        // One of the worker that crashed ends early.
        if let Some(event) = deliver(&stream) {
            arrived.insert(event);
        }
    }
    assert_eq!(daemon.stop().1, Some(0));
}

/// Takes one delivery; its event.
fn deliver(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut answer = stream;
    answer.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    Some(body["event"].as_str().expect("text").to_owned())
}

#[test]
fn workloads_have_nothing_of_it() {
    let folder = folder();
    let at = folder.path();
    let script = "sed -n '/^Sig[BIC]/p' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; exit 0";
    let more = format!(
        "[[workloads]]\nname = \"look\"\ncommand = \"/bin/sh\"\nrestart = \"never\"\nargs = [\"-c\", '''exec 2>&1; {script}''']\n"
    );
    let mut daemon = Daemon::run(&config(at, &more), at);
    let mut lines: Vec<_> = (0..3)
        .map(|_| daemon.wait_for("workload-output")["message"].as_str().expect("text").to_owned())
        .collect();
    lines.retain(|line| !line.ends_with(&"0".repeat(16)));
    assert_eq!(lines, [""; 0]);
    let open = daemon.wait_for("workload-output")["message"].as_str().expect("text").to_owned();
    // The fourth is that of ls itself.
    assert_eq!(open.trim_end(), "0 1 2 3");
    assert_eq!(daemon.stop().1, Some(0));
}
