//! The Windows program in Wine's service manager, in the image that the release is built in. What Wine lacks (recovery,
//! dependencies, delayed start) is tested against a fake in `src/service_manager`.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start cargo and docker")]

#[path = "windows/crashes.rs"]
mod crashes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Where the program lies in each test's Windows: a folder with a space in its name.
const PROGRAM: &str = r"C:\Prog Dir\seaworthyd.exe";
const CLIENT: &str = r"C:\client.exe";
/// The same program as the release ships it: for the GUI subsystem.
const RELEASED: &str = r"C:\released.exe";

/// The folder with the programs, built once.
fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let debug = Path::new(env!("CARGO_BIN_EXE_seaworthyd")).parent().expect("a folder");
        let target_folder = debug.parent().expect("a folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "-p", "seaworthyd", "--bin", "seaworthyd"]);
        cargo.args(["--example", "windows_client", "--target", "x86_64-pc-windows-gnu", "--target-dir"]);
        let output = cargo.arg(target_folder).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("cargo runs");
        assert!(
            output.status.success(),
            "the Windows program does not build: {}\n  next: ci/setup installs the target and gcc-mingw-w64-x86-64",
            text(&output.stderr)
        );
        target_folder.join("x86_64-pc-windows-gnu/debug")
    })
}

/// The ID of the image that the lock file names.
fn image() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/toolchain.lock");
    let lock: toml::Table = std::fs::read_to_string(path).expect("the lock").parse().expect("TOML");
    let id = lock["images"]["x86_64-windows"]["image"].as_str().expect("an ID").to_owned();
    let output = Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", &id]).output();
    let output = output.unwrap_or_else(|error| panic!("docker does not start: {error}\n  next: ci/setup"));
    assert!(
        output.status.success(),
        "docker does not have the image with Wine: {}\n  next: cargo xtask toolchain image --target x86_64-windows",
        text(&output.stderr)
    );
    id
}

/// A Windows of its own, in a container that is removed with it.
struct Wine {
    container: String,
}

impl Wine {
    /// The keeper (`sleep`) holds the session: Wine ends services with the last ordinary program. Services tell Wine's
    /// event channel what they report, on the keeper's standard error.
    fn start() -> Self {
        let script = r#"
            set -eu
            sed /^exec/d /usr/local/bin/run-exe >/tmp/prepare
            . /tmp/prepare
            c=$WINEPREFIX/drive_c
            mkdir "$c/Prog Dir"
            cp /built/seaworthyd.exe "$c/Prog Dir/"
            cp /built/examples/windows_client.exe "$c/client.exe"
            cp "$c/Prog Dir/seaworthyd.exe" "$c/released.exe"
            pe=$(od -An -tu4 -j60 -N4 "$c/released.exe")
            printf '\002' | dd of="$c/released.exe" bs=1 seek=$((pe + 92)) conv=notrunc 2>/dev/null
            export -p >/tmp/environment
            ln -s "$WINEPREFIX" /tmp/prefix
            WINEDEBUG=fixme+advapi,trace+eventlog exec wine 'C:\client.exe' sleep
        "#;
        let mut docker = Command::new("docker");
        docker.args(["run", "--detach", "--network", "none", "--label", "seaworthyd-test"]);
        docker.arg("--volume").arg(format!("{}:/built:ro", built().display()));
        let output = docker.arg(image()).args(["sh", "-c", script]).output().expect("docker starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let wine = Self { container: text(&output.stdout).trim().to_owned() };
        let waits = wine.shell("until [ -e /tmp/prefix/drive_c/awake ]; do sleep 0.1; done", &[], &[]);
        assert!(waits.status.success(), "Wine does not start: {}", wine.log());
        wine
    }

    fn log(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.container]).output().expect("docker starts");
        text(&output.stdout) + &text(&output.stderr)
    }

    fn shell(&self, script: &str, options: &[&str], arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.arg("exec").args(options).arg(&self.container);
        // Nothing here takes longer; a hang is an error with a name.
        docker.args(["timeout", "90", "sh", "-c", script, "sh"]).args(arguments);
        let output = docker.output().expect("docker starts");
        assert_ne!(output.status.code(), Some(124), "hangs: {script} {arguments:?}");
        output
    }

    fn run_with(&self, debug: &str, options: &[&str], words: &[&str]) -> Output {
        let script = format!(". /tmp/environment; export WINEDEBUG={debug}; exec wine \"$@\"");
        self.shell(&script, options, words)
    }

    /// A program's exit code, and what it printed on either stream.
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.run_with("-all", &[], words);
        let errors = text(&output.stderr);
        // Debian's `wine` says each time that it has no 32-bit half.
        let errors: Vec<_> =
            errors.lines().filter(|line| !WINE32.iter().any(|it| line.contains(it))).collect();
        (output.status.code(), (text(&output.stdout) + &errors.join("\n")).trim_end().replace('\r', ""))
    }

    /// What a command that succeeds printed.
    fn daemon(&self, words: &[&str]) -> String {
        let (code, printed) = self.run(&[&[PROGRAM], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {printed}");
        printed
    }

    fn client(&self, words: &[&str]) -> String {
        let (code, printed) = self.run(&[&[CLIENT], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {printed}");
        printed
    }

    /// Type and number of each event that a program reports, and all that it tells Wine's channel.
    fn events(&self, words: &[&str]) -> (Vec<(u32, u32)>, String) {
        let output = self.run_with("fixme+advapi,trace+eventlog", &[], words);
        let channel = text(&output.stderr);
        let calls =
            channel.lines().filter_map(|line| line.split_once("ReportEventW (")).map(|(_, call)| call);
        let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
        let events = calls
            .map(|call| call.split(',').collect::<Vec<_>>())
            .map(|fields| (number(fields[1]), number(fields[3])))
            .collect();
        (events, channel)
    }

    fn write(&self, path: &str, content: &str) {
        let script = r#"printf %s "$2" >"/tmp/prefix/drive_c/$1""#;
        assert!(self.shell(script, &[], &[path, content]).status.success());
    }
}

const WINE32: [&str; 3] = ["wine32 is missing", "multiarch needs", "dpkg --add-architecture"];

impl Drop for Wine {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.container]).output();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_life_of_a_service() {
    let wine = Wine::start();
    let refusal = wine.run(&[PROGRAM, "start"]);
    assert_eq!(refusal.0, Some(4));
    assert!(
        refusal.1.contains("not installed") && refusal.1.contains("next: seaworthyd install"),
        "{refusal:?}"
    );

    let installed = wine.daemon(&["install"]);
    let warnings: Vec<_> = installed.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    // Wine makes no virtual accounts.
    let is_known = |line: &str| {
        line.starts_with("this system does not keep the ")
            || line.starts_with(r"C:\ProgramData\seaworthyd is closed to NT SERVICE\seaworthyd, whose SID")
    };
    assert!(warnings.iter().all(|line| is_known(line)), "{installed}");
    assert!(
        installed.contains(r"installed as NT SERVICE\seaworthyd; it starts with the system"),
        "{installed}"
    );
    let mode = wine.shell("stat -c %a /tmp/prefix/drive_c/ProgramData/seaworthyd", &[], &[]);
    assert!(text(&mode.stdout).ends_with("0\n"), "the folder of the service is open to others");
    assert_eq!(wine.client(&["line", "seaworthyd"]), format!("\"{PROGRAM}\" run --service"));
    assert!(wine.run(&[PROGRAM, "install"]).1.contains("1073"));
    let absent = wine.run(&[PROGRAM, "status"]);
    assert!(absent.0 == Some(6) && absent.1.contains("seaworthyd is stopped (never started)"), "{absent:?}");

    let stopped =
        ["1", "2", "3", "4", "6", "128", "255"].map(|code| wine.client(&["control", "seaworthyd", code]));
    assert_eq!(stopped, ["1062"; 7]);
    assert_eq!(wine.daemon(&["start"]), "seaworthyd is running");
    let pid =
        || wine.daemon(&["status"]).strip_prefix("seaworthyd running (pid ").expect("it runs").to_owned();
    let first = pid();
    assert_eq!(wine.daemon(&["start"]), "seaworthyd is running already");
    assert_eq!(wine.client(&["start", "seaworthyd"]), "1056");
    assert_eq!(pid(), first, "a second start changes nothing");

    for (code, answer) in
        [("4", "0"), ("5", "87"), ("15", "87"), ("127", "87"), ("128", "0"), ("129", "0"), ("256", "87")]
    {
        assert_eq!(wine.client(&["control", "seaworthyd", code]), answer, "control {code}");
    }
    assert!(wine.client(&["query", "seaworthyd"]).contains("accepted 0x10f"));
    assert_eq!(wine.client(&["control", "seaworthyd", "6"]), "0", "the configuration is to be read again");

    // Each twice: what is done already is no error.
    for (command, state) in [
        ("pause", "paused"),
        ("start", "paused"),
        ("resume", "running"),
        ("restart", "running"),
        ("stop", "stopped"),
    ] {
        assert_eq!(wine.client(&["drive", command]), state);
        assert_eq!(wine.client(&["drive", command]), state, "{command} again");
    }
    for command in ["pause", "resume", "reload"] {
        assert!(wine.client(&["drive", command]).contains("system error 1062"), "{command}");
    }
    assert_eq!(wine.daemon(&["stop"]), "seaworthyd is stopped already");
    assert_eq!(wine.daemon(&["uninstall"]), "seaworthyd is removed");
    assert!(wine.run(&[PROGRAM, "uninstall"]).1.contains("1060"));
    assert_eq!(wine.client(&["control", "seaworthyd", "1"]), "1060");
}

#[test]
fn changes_show_progress_and_stopped_comes_last() {
    let wine = Wine::start();
    let workload = |number| {
        format!("[[workloads]]\nname = \"w{number}\"\ncommand = 'C:\\client.exe'\nargs = [\"sleep\"]\n")
    };
    wine.write("good.toml", &(0..10).map(workload).collect::<String>());
    wine.daemon(&["install", "--demand", "--config", r"C:\good.toml"]);
    let line = format!("\"{PROGRAM}\" run --service --config C:\\good.toml");
    assert_eq!(wine.client(&["line", "seaworthyd"]), line);

    let seen = wine.client(&["start-and-watch", "seaworthyd"]);
    let seen: Vec<_> = seen.lines().collect();
    assert_eq!(seen[..2], ["start 0", "pause 1061"], "a pause does not overtake a start");
    assert!(seen[2].starts_with("state 2 accepted 0x105 checkpoint "), "{seen:?}");
    assert!(
        seen[seen.len() - 1].starts_with("state 4 ") && seen[seen.len() - 1].contains("checkpoint 0 hint 0")
    );
    check_progress(&seen[2..seen.len() - 1]);

    let seen = wine.client(&["stop-and-watch", "seaworthyd"]);
    let seen: Vec<_> = seen.lines().collect();
    assert_eq!(seen[0], "stop 0");
    assert!(
        seen[seen.len() - 1].starts_with("state 1 accepted 0x0 checkpoint 0 hint 0 exit 0 0"),
        "{seen:?}"
    );
    check_progress(&seen[1..seen.len() - 1]);

    // Nothing of the workloads is left but the keeper, which is the same program.
    let alone = r#"
        count() { for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null; echo; done | grep -c 'client.ex[e] sleep'; }
        until [ "$(count)" = 1 ]; do sleep 0.1; done"#;
    assert!(wine.shell(alone, &[], &[]).status.success());

    let log = "cat /tmp/prefix/drive_c/ProgramData/seaworthyd/seaworthyd.log";
    let log = text(&wine.shell(log, &[], &[]).stdout);
    let records: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = records.last().expect("records");
    assert_eq!((&last["event"], &last["fields"]["workloads_left"]), (&"stopped".into(), &0.into()));
    let started = records.iter().filter(|record| record["event"] == "workload-started").count();
    assert_eq!(started, 10);

    // A configuration that breaks after the installation is told by exit code, and by the log.
    wine.write("good.toml", "nonsense = 1\n");
    let (code, printed) = wine.run(&[PROGRAM, "start"]);
    assert_eq!(code, Some(4));
    assert!(printed.contains("stopped (exit code 3), not running"), "{printed}");
    assert!(wine.run(&[PROGRAM, "status"]).1.contains("seaworthyd is stopped (exit code 3)"));
    let (code, printed) = wine.run(&[PROGRAM, "install", "--config", r"C:\good.toml"]);
    assert_eq!(code, Some(3), "{printed}");
}

/// Each gets the state it asked for, or one that another client made. Nobody stops it meanwhile: Wine kills a service that
/// is told to stop again before it has answered. (The fake is told so by many.)
#[test]
fn many_clients_at_once() {
    let wine = Wine::start();
    wine.daemon(&["install"]);
    std::thread::scope(|scope| {
        for client in 0..4_usize {
            let wine = &wine;
            scope.spawn(move || {
                for round in 0..6 {
                    let command = ["start", "pause", "resume"][(client + round) % 3];
                    let answer = wine.client(&["drive", command]);
                    let is_state = ["running", "paused", "stopped"].contains(&&*answer);
                    let numbers =
                        ["1052", "1056", "1061", "1062"].map(|number| format!("system error {number})"));
                    let is_refusal = numbers.iter().any(|number| answer.ends_with(number))
                        || answer.starts_with("error: the service is ");
                    assert!(is_state || is_refusal, "{command}: {answer}");
                }
            });
        }
    });
    assert_eq!(wine.client(&["drive", "stop"]), "stopped");
    assert_eq!(wine.client(&["drive", "start"]), "running");
    assert_eq!(wine.client(&["drive", "stop"]), "stopped");
}

/// One command line, one set of answers: each command with its exit code, the pid and the version aside.
#[test]
fn the_same_transcript_on_both_systems() {
    let commands = [
        "start",
        "start",
        "status",
        "pause",
        "pause",
        "status",
        "resume",
        "resume",
        "reload",
        "queue push --run note --key one",
        "queue push --run note --key one",
        "queue push",
        "queue push --run dance",
        "queue dead",
        "queue replay 77",
        "queue dance",
        "restart web",
        "stop web",
        "stop web",
        "status",
        "start web",
        "dance",
        "stop mail",
        "restart",
        "stop",
    ];
    let configuration = |program: &str, queue: &str| {
        format!(
            "[[workloads]]\nname = \"web\"\ncommand = '{program}'\nargs = [\"sleep\"]\n\
             [queue]\ndirectory = '{queue}'\n\
             [[queue.commands]]\nname = \"note\"\ncommand = '{program}'\nargs = [\"exit\"]\n"
        )
    };
    let numbers = |told: String| {
        let words = told.split_inclusive([' ', ')', ',', '\n']).map(|word| {
            let number = word.trim_end_matches([' ', ')', ',', '\n']);
            if number.parse::<u64>().is_ok() { word.replace(number, "N") } else { word.to_owned() }
        });
        let told = words.collect::<String>().trim().to_owned();
        // Windows has no signals: what ended a workload differs.
        told.replace("last: exit code: N", "last: killed")
            .replace("last: signal: N (SIGTERM)", "last: killed")
    };

    let wine = Wine::start();
    wine.write("web.toml", &configuration(CLIENT, r"C:\queue"));
    wine.daemon(&["install", "--demand", "--config", r"C:\web.toml"]);
    let on_windows = |command: &str| {
        let words: Vec<_> = [PROGRAM].into_iter().chain(command.split(' ')).collect();
        let (code, told) = wine.run(&words);
        format!("{command}: {code:?} {}", numbers(told.replace("\r\n", "\n")))
    };
    let windows: Vec<_> = commands.iter().map(|command| on_windows(command)).collect();

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, socket, log): (PathBuf, PathBuf, PathBuf) =
        ["web.toml", "control.sock", "log"].map(|name| folder.path().join(name)).into();
    let program = folder.path().join("workload");
    std::fs::write(&program, "#!/bin/sh\n[ $1 = exit ] || exec sleep 1000\n").expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its own");
    let whole = format!(
        "log.file = {log:?}\ncontrol.path = {socket:?}\n{}",
        configuration(&program.display().to_string(), &folder.path().join("queue").display().to_string())
    );
    std::fs::write(&path, whole).expect("written");
    let on_linux = |command: &str| {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_seaworthyd"));
        let output = daemon.args(command.split(' ')).arg("--config").arg(&path).output().expect("it runs");
        let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
        format!("{command}: {:?} {}", output.status.code(), numbers(told))
    };
    let linux: Vec<_> = commands.iter().map(|command| on_linux(command)).collect();
    assert_eq!(windows, linux);
}

/// Each status tells of the same change, with a wait hint, and of more progress than the one before.
fn check_progress(seen: &[&str]) {
    let words = |status: &str| status.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let pending: Vec<_> =
        seen.iter().map(|status| words(status)).filter(|it| ["2", "3"].contains(&&*it[1])).collect();
    let checkpoints: Vec<u32> = pending.iter().map(|status| status[5].parse().expect("a number")).collect();
    assert!(checkpoints.iter().all(|checkpoint| *checkpoint > 0), "{seen:?}");
    assert!(checkpoints.is_sorted_by(|left, right| left < right), "{seen:?}");
    assert!(pending.iter().all(|status| status[7] != "0"), "{seen:?}");
}

#[test]
fn events_have_texts_numbers_and_types() {
    let wine = Wine::start();
    let printed = wine.client(&["texts", PROGRAM]);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let (_, rest) = readme.split_once("<!-- events -->").expect("a mark");
    let (table, _) = rest.split_once("<!-- end of events -->").expect("a mark");
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| {
            line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect::<Vec<_>>()
        })
        .filter(|row| row.len() == 4 && row[0].parse::<u16>().is_ok())
        .collect();
    assert_eq!(printed.lines().count(), rows.len(), "{printed}");
    for (line, row) in printed.lines().zip(&rows) {
        let says = row[3].replace('`', "");
        let expected = format!(
            "{} \"MESSAGE\\r\\nFIELDS\\r\\n\\r\\nEvent {} {}: {says}\\r\\n\"",
            row[0], row[0], row[1]
        );
        assert_eq!(line, expected);
    }
    assert_eq!(wine.client(&["version", PROGRAM]), env!("CARGO_PKG_VERSION"));

    // Information, warning, error, audit success, audit failure.
    let (events, channel) = wine.events(&[CLIENT, "report"]);
    assert_eq!(events, [(4, 101), (2, 108), (1, 109), (8, 602), (16, 601)]);
    assert!(channel.contains(r#"L"a message\\u000d\\u000awith two lines""#), "{channel}");
    assert!(channel.contains(r#"L"pid=7, text=a\\u000ab%\\u00251\\u0000""#), "{channel}");

    // Who installs and removes is audited, and whoever is refused, too.
    let (events, channel) = wine.events(&[PROGRAM, "install"]);
    assert_eq!(events, [(8, 600)]);
    assert!(channel.contains(r"account=NT SERVICE\\seaworthyd, user=S-1-5-21-"), "{channel}");
    let key = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\seaworthyd";
    let (code, source) = wine.run(&["reg", "query", key]);
    assert_eq!(code, Some(0), "{source}");
    assert!(source.contains(PROGRAM) && source.contains("EventMessageFile"), "{source}");
    assert!(source.contains("TypesSupported") && source.contains("0x1f"), "{source}");
    assert_eq!(wine.events(&[PROGRAM, "install"]).0, [(16, 601)]);
    assert_eq!(wine.events(&[PROGRAM, "uninstall"]).0, [(8, 602)]);
    assert_ne!(wine.run(&["reg", "query", key]).0, Some(0), "the event source is still there");
}

#[test]
fn a_path_with_a_space_cannot_be_hijacked() {
    let wine = Wine::start();
    let attacked = || {
        let script = "rm /tmp/prefix/drive_c/attacked 2>/dev/null";
        wine.shell(script, &[], &[]).status.success()
    };
    let plant = "cd /tmp/prefix/drive_c && cp client.exe Prog.exe";
    assert!(wine.shell(plant, &[], &[]).status.success());
    // Without quotes the attack succeeds, so that the check below means something.
    assert_eq!(wine.client(&["create", "victim", &format!("{PROGRAM} run --service")]), "0");
    assert_ne!(wine.client(&["start", "victim"]), "0");
    assert!(attacked(), "the planted program was not started");
    wine.daemon(&["install"]);
    assert!(wine.daemon(&["start"]).starts_with("seaworthyd is running"));
    assert!(!attacked());
    wine.daemon(&["stop"]);
    wine.daemon(&["uninstall"]);

    // A folder that everyone may write to, and that was there first.
    let data = "chmod 777 /tmp/prefix/drive_c/ProgramData/seaworthyd";
    assert!(wine.shell(data, &[], &[]).status.success());
    let installed = wine.daemon(&["install"]);
    assert!(installed.contains(r"ProgramData\seaworthyd may be written to by S-1-1-0"), "{installed}");
    wine.daemon(&["uninstall"]);
    // The program's own is refused.
    let open = "chmod 777 '/tmp/prefix/drive_c/Prog Dir'";
    assert!(wine.shell(open, &[], &[]).status.success());
    let (code, printed) = wine.run(&[PROGRAM, "install"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains(r"Prog Dir may be changed by S-1-1-0"), "{printed}");
    assert!(wine.run(&[PROGRAM, "status"]).1.contains("1060"));
}

#[test]
fn the_control_channel_and_the_settings() {
    let wine = Wine::start();
    let passed = wine.client(&["settings"]);
    assert_eq!(passed.lines().collect::<Vec<_>>(), ["read back", "field by field", "whole or not at all"]);
    let passed = wine.client(&["channel"]);
    let expected = ["one listener", "round trip", "silent client dropped", "many clients", "closed"];
    assert_eq!(passed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_released_program_prints_where_it_was_started() {
    let wine = Wine::start();
    let version = format!("seaworthyd {} (unreleased, x86_64-windows)", env!("CARGO_PKG_VERSION"));
    // Into pipes.
    assert_eq!(wine.run(&[RELEASED, "--version"]), (Some(0), version.clone()));
    let (code, printed) = wine.run(&[RELEASED, "walk"]);
    assert_eq!(code, Some(2));
    assert!(printed.contains("unknown command 'walk'"), "{printed}");
    // Into the console of its parent, which gave it nothing: a terminal of the container's.
    let output = wine.run_with("-all", &["--tty"], &[CLIENT, "console", RELEASED, "--version"]);
    let screen = text(&output.stdout);
    assert!(screen.contains(&version), "{screen:?}");
    assert_eq!(output.status.code(), Some(0));

    // The service manager's command, given by a person.
    let (code, printed) = wine.run(&[PROGRAM, "run", "--service"]);
    assert_eq!(code, Some(4));
    assert!(printed.contains("only works when the service manager starts it"), "{printed}");
}
