//! The Windows program in Wine's service manager, in the image that the release is built in. What Wine lacks (recovery,
//! dependencies, delayed start) is tested against a fake in `src/service_manager`.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "a test starts the program under test")]

#[path = "windows/crashes.rs"]
mod crashes;
mod schema;
mod wine;

use std::path::PathBuf;
use std::process::Command;

use wine::{CLIENT, PROGRAM, RELEASED, Wine, text};

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
        // Windows has no signals: what a workload that does not heed a stop ends with differs (STATUS_CONTROL_C_EXIT).
        told.replace("last: exit code: 0xc000013a", "last: stopped")
            .replace("last: signal: N (SIGTERM)", "last: stopped")
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
    let expected =
        ["one listener", "access list", "round trip", "silent client dropped", "many clients", "closed"];
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
