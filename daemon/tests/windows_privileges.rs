//! Workloads of the Windows program, as they see themselves: their tokens, handles, arguments and how they are asked to
//! stop. What Wine takes and does not do (restricting SIDs, integrity levels, limits of jobs) must be told, not hidden.
#![cfg(unix)]

mod wine;

use serde_json::Value;
use wine::{CLIENT, PROGRAM, RELEASED, Wine, text};

/// A workload of the client that is started once.
fn workload(name: &str, args: &[&str], privileges: &str) -> String {
    format!(
        "[[workloads]]\nname = \"{name}\"\ncommand = '{CLIENT}'\nargs = {args:?}\nrestart = \"never\"\n\
         privileges = {{ {privileges} }}\n"
    )
}

/// The log of a service.
struct Records(Vec<Value>);

impl Records {
    fn read(wine: &Wine) -> Self {
        let log = "cat /tmp/prefix/drive_c/ProgramData/seaworthyd/seaworthyd.log";
        let log = text(&wine.shell(log, &[], &[]).stdout);
        Self(log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    fn of(&self, event: &str, workload: &str) -> Vec<&Value> {
        self.0.iter().filter(|record| record["event"] == event && record["workload"] == workload).collect()
    }

    /// The fields of its one record of this event.
    fn one(&self, event: &str, workload: &str) -> &Value {
        let [one] = self.of(event, workload)[..] else {
            panic!("not one {event} of {workload} in {:#?}", self.0);
        };
        &one["fields"]
    }

    fn output(&self, workload: &str) -> Vec<&str> {
        let records = self.of("workload-output", workload).into_iter();
        records.map(|record| record["message"].as_str().expect("text")).collect()
    }
}

/// Runs the service until each of its workloads has ended.
fn run_to_the_end(wine: &Wine, config: &str) -> Records {
    wine.write("c.toml", config);
    wine.daemon(&["install", "--demand", "--config", r"C:\c.toml"]);
    wine.daemon(&["start"]);
    let over = "until ! wine \"$@\" | grep -E '^  [a-z]+ +(running|start)'; do sleep 0.2; done";
    let over = format!(". /tmp/environment; export WINEDEBUG=-all; {over}");
    assert!(wine.shell(&over, &[], &[PROGRAM, "status"]).status.success());
    wine.daemon(&["stop"]);
    Records::read(wine)
}

#[test]
fn a_token_holds_what_is_kept_and_nothing_else() {
    let wine = Wine::start();
    // What the daemon itself has, so that what follows means something.
    let own = wine.client(&["token"]);
    for line in ["privilege SeBackupPrivilege", "privilege SeDebugPrivilege", "group S-1-5-32-544"] {
        assert!(own.lines().any(|it| it == line), "{line} in {own}");
    }
    let too_much =
        "token = { restricted = true, integrity = \"low\" }, user = \"nobody\", limits = { processes = 3 }";
    let records = run_to_the_end(
        &wine,
        &[
            workload("plain", &["token"], ""),
            workload(
                "kept",
                &["token"],
                "token = { privileges = [\"SeBackupPrivilege\"], administrator = true }",
            ),
            workload("foreign", &["token"], "token = { privileges = [\"SeAuditPrivilege\"] }"),
            workload("refused", &["token"], too_much),
            workload("continued", &["token"], &format!("{too_much}, when_unsupported = \"continue\"")),
        ]
        .concat(),
    );
    let seen = |workload: &str, kind: &str| -> Vec<String> {
        let lines = records.output(workload).into_iter().filter_map(|line| line.strip_prefix(kind));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(seen("plain", "privilege "), ["SeChangeNotifyPrivilege"]);
    assert_eq!(seen("plain", "deny-only "), ["S-1-5-32-544"]);
    assert!(!seen("plain", "group ").contains(&"S-1-5-32-544".to_owned()));
    assert_eq!(seen("kept", "privilege "), ["SeChangeNotifyPrivilege", "SeBackupPrivilege"]);
    assert_eq!(seen("kept", "deny-only "), [""; 0]);
    assert!(seen("kept", "group ").contains(&"S-1-5-32-544".to_owned()));
    // The audit says what the workloads see.
    for workload in ["plain", "kept", "continued"] {
        let applied = records.one("privileges-applied", workload);
        let or_none = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(",") };
        assert_eq!(applied["privileges"], or_none(seen(workload, "privilege ")));
        assert_eq!(applied["deny_only"], or_none(seen(workload, "deny-only ")));
        assert_eq!((&applied["integrity"], &applied["restricted_to"]), (&"high".into(), &"none".into()));
        assert_eq!(seen(workload, "integrity "), ["S-1-16-12288"]);
    }

    let foreign = records.one("privileges-refused", "foreign")["error"].as_str().expect("text").to_owned();
    assert!(
        foreign.starts_with("token.privileges: the daemon itself does not have SeAuditPrivilege"),
        "{foreign}"
    );
    let lacks = "not on Windows: user; limits.processes: not kept; \
                 token.restricted: without S-1-5-5-0-0, S-1-1-0, S-1-5-33; token.integrity: still high";
    let refused = records.one("privileges-refused", "refused")["error"].as_str().expect("text");
    assert_eq!(refused, format!("{lacks}; when_unsupported = \"continue\" starts the workload without"));
    assert_eq!(records.one("privileges-unsupported", "continued")["unsupported"], lacks);
    for workload in ["foreign", "refused"] {
        assert_eq!(records.output(workload), [""; 0], "{workload} ran all the same");
    }
}

#[test]
fn a_program_gets_its_words_and_three_handles() {
    let wine = Wine::start();
    let words = [
        "words",
        "",
        "a b",
        r#"say "x""#,
        r"C:\dir\",
        r"ends with \",
        r#"\"mixed\\" \"#,
        "%PATH% & ^|<>",
        "\u{1f6a2}\ttab",
    ];
    let named = format!(
        "{}environment = {{ ADDED = 'a=b c', Path = 'C:\\windows\\system32' }}\ndirectory = 'C:\\Prog Dir'\n",
        workload("words", &words, "")
    );
    let searched = "[[workloads]]\nname = \"searched\"\ncommand = \"cmd\"\nargs = [\"/c\", \"echo\", \"found\"]\nrestart = \"never\"\n";
    let batch = |name: &str, file: &str| {
        format!(
            "[[workloads]]\nname = \"{name}\"\ncommand = '{file}'\nargs = ['\"&calc.exe']\nrestart = \"never\"\n"
        )
    };
    wine.write("batch.bat", "echo ran >C:\\ran\r\n");
    let records = run_to_the_end(
        &wine,
        &[
            named,
            workload("handles", &["handles"], ""),
            searched.to_owned(),
            batch("batch", r"C:\batch.bat"),
            batch("disguised", r"C:\batch.BAT. ."),
            batch("absent", r"C:\absent.exe"),
        ]
        .concat(),
    );
    let mut expected: Vec<_> = words[1..].iter().map(|word| format!("{word:?}")).collect();
    expected.push(r#"ADDED="a=b c" PATH="C:\\windows\\system32" in "C:\\Prog Dir""#.to_owned());
    assert_eq!(records.output("words"), expected);
    assert_eq!(records.output("searched"), ["found"]);
    // Standard output and error; standard input is a device.
    assert_eq!(records.output("handles"), ["2 pipes"]);
    for workload in ["batch", "disguised"] {
        let error = records.one("workload-start-failed", workload)["error"].as_str().expect("text");
        assert!(error.contains("a batch file is cmd.exe's to run"), "{error}");
    }
    assert!(!wine.shell("ls /tmp/prefix/drive_c/ran", &[], &[]).status.success(), "a batch file ran");
    // What cannot be found is no matter of privileges.
    records.one("workload-start-failed", "absent");
    assert_eq!(records.of("privileges-refused", "absent").len(), 0);
}

/// The program as it is released has no console, and a service has none. Wine delivers Ctrl-C as Windows does, and ends
/// whoever is sent Ctrl-Break.
#[test]
fn a_service_asks_its_workloads_to_stop() {
    let wine = Wine::start();
    let neighbour = "liveness = { exec = ['C:\\client.exe', 'exit'], interval_seconds = 1 }\n";
    let config = [
        workload("asked", &["end-when-asked"], ""),
        workload("alone", &["without-console"], ""),
        workload("other", &["end-when-asked"], "") + neighbour,
    ];
    wine.write("c.toml", &config.concat());
    let line = format!("\"{RELEASED}\" run --service --config C:\\c.toml");
    assert_eq!(wine.client(&["create", "seaworthyd", &line]), "0");
    wine.daemon(&["start"]);
    let ready = r#"until [ $(grep -c 'has no window' /tmp/prefix/drive_c/ProgramData/seaworthyd/seaworthyd.log) = 2 ]; do sleep 0.1; done"#;
    let alone = "until grep -q 'has left its console' /tmp/prefix/drive_c/ProgramData/seaworthyd/seaworthyd.log; do sleep 0.1; done";
    assert!(wine.shell(alone, &[], &[]).status.success());
    assert!(wine.shell(ready, &[], &[]).status.success());
    // One of them is asked, and nobody else hears it.
    wine.daemon(&["stop", "asked"]);
    let status = wine.daemon(&["status"]);
    assert!(status.contains("asked  stopped (last: exit code: 42)"), "{status}");
    assert!(status.contains("other  running"), "{status}");
    wine.daemon(&["stop"]);
    let records = Records::read(&wine);
    // One that cannot be asked is ended, and the log says so.
    let killed = records.one("workload-killed", "alone");
    assert!(killed["error"].as_str().expect("text").contains("it has no console"), "{killed}");
    assert_eq!(records.one("workload-exited", "alone")["exit_code"], 137);
    for workload in ["asked", "other"] {
        assert_eq!(records.output(workload), ["has no window", "asked by event 0"]);
        assert_eq!(records.one("workload-exited", workload)["exit_code"], 42);
        records.one("workload-stop-asked", workload);
        assert_eq!(records.of("workload-killed", workload).len(), 0);
    }
}
