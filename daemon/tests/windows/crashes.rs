//! Crashes of the Windows worker in Wine, and what is kept of them. The dumps are read on Linux.

use std::process::Command;

use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpException, MinidumpModuleList, MinidumpSystemInfo, MinidumpThreadList, Module,
};
use serde_json::Value;

use super::schema;
use super::wine::{Wine, built, text};

/// The program without debugging information, as it is released: Wine's own reader of that falls over what Rust writes.
const STRIPPED: &str = r"C:\stripped\seaworthyd.exe";
const ACCESS_VIOLATION: u32 = 0xC000_0005;
const ILLEGAL_INSTRUCTION: u32 = 0xC000_001D;
const PANIC: u32 = 0xE053_5750;

/// A daemon in the background of that Windows.
struct Daemon<'a> {
    wine: &'a Wine,
    /// Lines of its log that were looked at.
    seen: usize,
}

impl<'a> Daemon<'a> {
    fn run(wine: &'a Wine) -> Self {
        wine.write("crash.toml", "state_directory = 'C:\\state'\n");
        let script = r#"
            set -e; . /tmp/environment; export WINEDEBUG=-all
            mkdir /tmp/prefix/drive_c/stripped
            x86_64-w64-mingw32-strip --strip-debug -o /tmp/prefix/drive_c/stripped/seaworthyd.exe /built/seaworthyd.exe
            wine "$1" run --config 'C:\crash.toml' >/dev/null 2>/tmp/log &"#;
        let started = wine.shell(script, &[], &[STRIPPED]);
        assert!(started.status.success(), "{}", text(&started.stderr));
        Self { wine, seen: 0 }
    }

    /// The next record of `event`.
    fn wait_for(&mut self, event: &str) -> Value {
        let script =
            r#"until tail -n "+$1" /tmp/log | grep -q "\"event\":\"$2\""; do sleep 0.1; done; cat /tmp/log"#;
        let output = self.wine.shell(script, &[], &[&(self.seen + 1).to_string(), event]);
        let log = text(&output.stdout);
        for line in log.lines().skip(self.seen) {
            self.seen += 1;
            // A panic's own words are among them.
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            if record["event"] == event {
                return record;
            }
        }
        panic!("no {event}: {log}")
    }

    fn worker(&mut self) -> String {
        let process = self.wait_for("starting")["fields"]["pid"].to_string();
        self.wait_for("ready");
        process
    }

    fn file(&self, path: &Value) -> Vec<u8> {
        let path = path.as_str().expect("a path").replace("C:\\", "/tmp/prefix/drive_c/").replace('\\', "/");
        let output = self.wine.shell("cat \"$1\"", &[], &[&path]);
        assert!(output.status.success(), "{path}: {}", text(&output.stderr));
        output.stdout
    }

    /// What the next worker tells, the context and the dump.
    fn saved(&mut self) -> (Value, Value, Minidump<'static, Vec<u8>>) {
        let fields = self.wait_for("crash-saved")["fields"].clone();
        assert_eq!(fields.get("error"), None, "{fields}");
        let context = serde_json::from_slice(&self.file(&fields["context"])).expect("JSON");
        schema::assert_valid("seaworthyd-crash.json", &context);
        let dump = self.file(&fields["dump"]);
        assert_eq!(dump.len() as u64, fields["bytes"].as_u64().expect("a number"));
        (fields, context, Minidump::read(dump).expect("a dump that can be read"))
    }
}

/// Thread, code and address; and that threads, stacks and modules are there.
fn crash(dump: &Minidump<'static, Vec<u8>>) -> (u32, u32, u64) {
    let system: MinidumpSystemInfo = dump.get_stream().expect("the system");
    assert_eq!((system.os, system.cpu), (Os::Windows, Cpu::X86_64));
    let exception: MinidumpException = dump.get_stream().expect("an exception");
    let threads: MinidumpThreadList = dump.get_stream().expect("threads");
    let thread = exception.get_crashing_thread_id();
    assert!(threads.get_thread(thread).is_some() && threads.threads.len() > 2, "{threads:?}");
    let modules: MinidumpModuleList = dump.get_stream().expect("modules");
    let has = |name: &str| modules.iter().any(|module| module.code_file().ends_with(name));
    assert!(has("seaworthyd.exe") && has("ntdll.dll"), "{modules:?}");
    let code = exception.raw.exception_record.exception_code;
    (thread, code, exception.get_crash_address(Os::Windows, Cpu::X86_64))
}

#[test]
fn an_exception_and_a_panic_leave_dumps() {
    let wine = Wine::start();
    let mut daemon = Daemon::run(&wine);

    // Reads address 0.
    let worker = daemon.worker();
    wine.client(&["fault", &worker, "31c08a00"]);
    let ended = daemon.wait_for("worker-crashed");
    assert!(ended["message"].as_str().expect("text").contains("0xc0000005"), "{ended}");
    let (_, context, dump) = daemon.saved();
    assert_eq!(context["crash"]["name"], "access violation");
    assert_eq!(
        (&context["crash"]["number"], &context["crash"]["address"]),
        (&ACCESS_VIOLATION.into(), &"0x0".into())
    );
    assert_eq!(context["process"].to_string(), worker);
    let (thread, code, address) = crash(&dump);
    assert_eq!((code, address), (ACCESS_VIOLATION, 0));
    assert_eq!(context["crash"]["thread"], thread);

    // No instruction. (A stack that overflows ends only its thread in Wine, where that is none of std's.)
    let worker = daemon.worker();
    wine.client(&["fault", &worker, "0f0b"]);
    let (_, context, dump) = daemon.saved();
    assert_eq!(
        (&context["crash"]["name"], crash(&dump).1),
        (&"illegal instruction".into(), ILLEGAL_INSTRUCTION)
    );

    // A panic, of a thread that is none of std's.
    let worker = daemon.worker();
    wine.client(&["call", &worker, &distance("panic_cannot_unwind").to_string()]);
    let (_, context, dump) = daemon.saved();
    assert_eq!(context["panic"]["message"], "panic in a function that cannot unwind", "{context}");
    assert_eq!((&context["crash"]["name"], crash(&dump).1), (&"panic".into(), PANIC));
    daemon.worker();
}

/// Of a function of the program from its beginning.
fn distance(name: &str) -> u64 {
    let program = built().join("seaworthyd.exe");
    let run = |tool: &str, option: &str| {
        let output = Command::new(tool).arg(option).arg(&program).output();
        text(&output.expect("Debian's package binutils-mingw-w64-x86-64").stdout)
    };
    let symbols = run("x86_64-w64-mingw32-nm", "--defined-only");
    let symbol = symbols.lines().find(|line| line.contains(name)).expect("the function");
    let headers = run("x86_64-w64-mingw32-objdump", "--private-headers");
    let base = headers.lines().find_map(|line| line.strip_prefix("ImageBase")).expect("its preferred place");
    let number = |text: &str| u64::from_str_radix(text.trim(), 16).expect("hexadecimal");
    number(symbol.split(' ').next().expect("a value")) - number(base)
}
