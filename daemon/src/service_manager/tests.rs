//! The commands against the fake, and the fake against the published rules.

use super::definition::DEFAULT_RECOVERY;
use super::fake::{Fake, Program};
use super::request::{CONTINUE, INTERROGATE, PARAMCHANGE, PAUSE, PRESHUTDOWN, SHUTDOWN, STOP};
use super::*;
use crate::start_when::StartWhen;

const NAME: &str = "seaworthyd";

type Command = fn(&dyn ServiceManager, &str) -> Result<Status, Error>;

fn definition(name: &str, start: StartWhen) -> Definition {
    let line = command_line(&format!(r"C:\a b\{name}.exe"), &["run".to_owned()]).unwrap();
    Definition::new(name, &format!("{name} display"), "what it does", line, start)
}

fn installed() -> Fake {
    let fake = Fake::default();
    assert_eq!(install(&fake, &definition(NAME, StartWhen::Demand)), Ok(vec![]));
    fake
}

/// One in `state`, which stays there.
fn in_state(state: ServiceState) -> Fake {
    let fake = installed();
    if state == ServiceState::Stopped {
        return fake;
    }
    fake.program(NAME, Program { hangs_in: Some(state), ..Program::default() });
    fake.start(NAME).unwrap();
    let controls: &[u32] = match state {
        ServiceState::StopPending => &[STOP],
        ServiceState::PausePending | ServiceState::Paused => &[PAUSE],
        ServiceState::ContinuePending => &[PAUSE, CONTINUE],
        _ => &[],
    };
    for control in controls {
        fake.sleep(Duration::from_secs(5));
        fake.control(NAME, *control).unwrap();
    }
    fake.sleep(Duration::from_secs(5));
    assert_eq!(fake.status(NAME).unwrap().state, state);
    fake
}

fn number<T>(result: Result<T, Error>) -> u32 {
    result.err().map_or(0, |error| error.code().unwrap_or(u32::MAX))
}

/// "ControlService" in the Windows documentation: its table of states, written out by hand for a service that takes all.
#[test]
fn every_control_in_every_state() {
    use ServiceState::{ContinuePending, PausePending, Paused, Running, StartPending, StopPending, Stopped};
    let controls =
        [STOP, PAUSE, CONTINUE, INTERROGATE, PARAMCHANGE, SHUTDOWN, PRESHUTDOWN, 127, 128, 255, 256];
    let table = [
        (Stopped, [1062, 1062, 1062, 1062, 1062, 87, 87, 87, 1062, 1062, 87]),
        (StartPending, [0, 1061, 1061, 1061, 1061, 87, 87, 87, 1061, 1061, 87]),
        (Running, [0, 0, 0, 0, 0, 87, 87, 87, 0, 0, 87]),
        (PausePending, [0, 1052, 1052, 0, 1052, 87, 87, 87, 0, 0, 87]),
        (Paused, [0, 0, 0, 0, 0, 87, 87, 87, 0, 0, 87]),
        (ContinuePending, [0, 1052, 1052, 0, 1052, 87, 87, 87, 0, 0, 87]),
        (StopPending, [1061, 1061, 1061, 1061, 1061, 87, 87, 87, 1061, 1061, 87]),
    ];
    for (state, expected) in table {
        for (control, expected) in controls.into_iter().zip(expected) {
            let fake = in_state(state);
            let before = fake.received(NAME);
            assert_eq!(number(fake.control(NAME, control)), expected, "control {control} in {state:?}");
            let reached = fake.received(NAME).len() > before.len();
            assert_eq!(reached, expected == 0, "control {control} in {state:?}");
        }
    }
}

#[test]
fn every_command_in_every_state() {
    use ServiceState::{ContinuePending, PausePending, Paused, Running, StartPending, StopPending, Stopped};
    let commands: [Command; 6] = [start, stop, restart, pause, resume, reload];
    let not_active = Err(1062);
    let table = [
        (Stopped, [Ok(Running), Ok(Stopped), Ok(Running), not_active, not_active, not_active]),
        (StartPending, [Ok(Running), Ok(Stopped), Ok(Running), Ok(Paused), Ok(Running), Ok(Running)]),
        (Running, [Ok(Running), Ok(Stopped), Ok(Running), Ok(Paused), Ok(Running), Ok(Running)]),
        (PausePending, [Ok(Paused), Ok(Stopped), Ok(Running), Ok(Paused), Ok(Running), Ok(Paused)]),
        (Paused, [Ok(Paused), Ok(Stopped), Ok(Running), Ok(Paused), Ok(Running), Ok(Paused)]),
        (ContinuePending, [Ok(Running), Ok(Stopped), Ok(Running), Ok(Paused), Ok(Running), Ok(Running)]),
        (StopPending, [Ok(Running), Ok(Stopped), Ok(Running), not_active, not_active, not_active]),
    ];
    for (state, expected) in table {
        for (index, (command, expected)) in commands.into_iter().zip(expected).enumerate() {
            let fake = in_state(state);
            fake.program(NAME, Program::default());
            let found =
                command(&fake, NAME).map(|status| status.state).map_err(|error| error.code().unwrap());
            assert_eq!(found, expected, "command {index} in {state:?}");
            // Given again, it finds itself done, except for a restart and a reload, which are done again.
            let again =
                command(&fake, NAME).map(|status| status.state).map_err(|error| error.code().unwrap());
            assert_eq!(again, expected, "command {index} in {state:?}, given again");
        }
    }
}

#[test]
fn a_change_that_stands_still_is_given_up() {
    for (state, command) in [
        (ServiceState::StartPending, start as Command),
        (ServiceState::StopPending, stop),
        (ServiceState::PausePending, pause),
        (ServiceState::ContinuePending, resume),
    ] {
        let fake = in_state(state);
        let begin = fake.now();
        assert!(matches!(command(&fake, NAME), Err(Error::Stuck { state: found, .. }) if found == state));
        assert!(fake.now() - begin < Duration::from_secs(40), "{state:?}");
    }
}

#[test]
fn a_long_change_with_progress_is_waited_for() {
    let fake = installed();
    fake.program(NAME, Program { change: Duration::from_secs(300), ..Program::default() });
    assert_eq!(start(&fake, NAME).unwrap().state, ServiceState::Running);
    let endless = Program { change: Duration::from_secs(3000), ..Program::default() };
    stop(&fake, NAME).unwrap();
    fake.program(NAME, endless);
    assert!(matches!(start(&fake, NAME), Err(Error::Stuck { .. })));
}

#[test]
fn starts_that_fail_are_told_apart() {
    let cases = [
        (Program { is_there: false, ..Program::default() }, Some(2)),
        (Program { connects: false, ..Program::default() }, Some(1053)),
        (Program { start_fails: Some((1066, 3)), ..Program::default() }, None),
    ];
    for (program, expected) in cases {
        let fake = installed();
        fake.program(NAME, program);
        let error = start(&fake, NAME).unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        if expected.is_none() {
            assert_eq!(error.to_string(), "the service is stopped (exit code 3), not running");
        }
    }
    let fake = installed();
    fake.set_start_type(NAME, StartType::Disabled);
    assert_eq!(number(start(&fake, NAME)), 1058);
    assert_eq!(number(start(&Fake::default(), NAME)), 1060);
}

/// The pipe breaks; what became of the service is asked again.
#[test]
fn a_service_that_dies_of_a_control_is_looked_at_again() {
    let fake = installed();
    fake.set(NAME, &Setting::Recovery { reset: Duration::ZERO, actions: Vec::new() }).unwrap();
    fake.program(NAME, Program { dies_of_controls: true, ..Program::default() });
    start(&fake, NAME).unwrap();
    assert_eq!(stop(&fake, NAME).unwrap().exit_code, 1067);
    start(&fake, NAME).unwrap();
    assert_eq!(number(pause(&fake, NAME)), 1062);
}

#[test]
fn a_name_is_used_once_and_until_nobody_holds_it() {
    let fake = installed();
    assert_eq!(number(fake.create(&definition("SEAWORTHYD", StartWhen::Demand))), 1073);
    let mut twin = definition("twin", StartWhen::Demand);
    twin.config.display_name = "SeaworthyD display".to_owned();
    assert_eq!(number(fake.create(&twin)), 1078);
    assert_eq!(number(fake.create(&definition("a/b", StartWhen::Demand))), 123);
    start(&fake, NAME).unwrap();
    fake.hold(NAME, true);
    fake.delete(NAME).unwrap();
    assert_eq!(number(fake.delete(NAME)), 1072);
    stop(&fake, NAME).unwrap();
    assert_eq!(number(fake.start(NAME)), 1072);
    assert_eq!(number(fake.create(&definition(NAME, StartWhen::Demand))), 1072);
    fake.hold(NAME, false);
    assert_eq!(number(fake.delete(NAME)), 1060);
    fake.create(&definition(NAME, StartWhen::Demand)).unwrap();
}

#[test]
fn an_installation_is_read_back() {
    let fake = Fake::default();
    let mut delayed = definition(NAME, StartWhen::Delayed);
    assert_eq!(install(&fake, &delayed), Ok(vec![]));
    assert_eq!(fake.setting(NAME, 3), Ok(Setting::DelayedStart(true)));
    assert_eq!(fake.setting(NAME, 4), Ok(Setting::RecoverFromExitCodes(true)));
    assert!(
        matches!(fake.setting(NAME, 2), Ok(Setting::Recovery { actions, .. }) if actions == DEFAULT_RECOVERY)
    );
    assert_eq!(findings(&fake, NAME), Ok(vec![]));
    fake.delete(NAME).unwrap();

    // As in Wine: what it does not know is a warning, by name.
    fake.like_wine(&[3, 5], &[]);
    let warnings = install(&fake, &delayed).unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[0].contains("service SID type") && warnings[1].contains("delayed start"),
        "{warnings:?}"
    );
    fake.delete(NAME).unwrap();

    // What it takes and forgets is an error, and nothing is left behind.
    fake.like_wine(&[], &[2]);
    let error = install(&fake, &delayed).unwrap_err();
    assert!(error.to_string().starts_with("the recovery actions was set to"), "{error}");
    assert_eq!(number(fake.status(NAME)), 1060);

    fake.like_wine(&[], &[]);
    delayed.config.start_type = StartType::Demand;
    assert_eq!(number(install(&fake, &delayed)), 87);
    delayed.config.account = "nobody".to_owned();
    assert_eq!(number(install(&fake, &delayed)), 1057);
    assert_eq!(number(fake.status(NAME)), 1060);
}

/// [MS-SCMR] 2.2.40: dying is a failure; stopping is one only with the flag and an exit code.
#[test]
fn recovery_follows_only_failures() {
    let restarts = |fake: &Fake, after: u64| {
        fake.sleep(Duration::from_millis(after * 1000 - 500));
        assert_eq!(fake.status(NAME).unwrap().state, ServiceState::Stopped, "after {after} s");
        fake.sleep(Duration::from_millis(600));
        assert_eq!(fake.status(NAME).unwrap().state, ServiceState::StartPending, "after {after} s");
        start(fake, NAME).unwrap();
    };
    let fake = installed();
    start(&fake, NAME).unwrap();
    for after in [1, 10, 60, 60] {
        fake.kill(NAME);
        assert_eq!(fake.status(NAME).unwrap().exit_code, 1067);
        restarts(&fake, after);
    }
    // Long after the last failure the next one is the first again.
    fake.sleep(Duration::from_secs(16 * 60));
    fake.stops_itself(NAME, 1066, 3);
    restarts(&fake, 1);
    fake.stops_itself(NAME, 0, 0);
    fake.sleep(Duration::from_secs(600));
    assert_eq!(fake.status(NAME).unwrap().state, ServiceState::Stopped);
    fake.set(NAME, &Setting::RecoverFromExitCodes(false)).unwrap();
    start(&fake, NAME).unwrap();
    fake.stops_itself(NAME, 1066, 3);
    fake.sleep(Duration::from_secs(600));
    assert_eq!(fake.status(NAME).unwrap().state, ServiceState::Stopped);
}

#[test]
fn dependencies_come_first_and_leave_last() {
    let fake = Fake::default();
    let mut ours = definition(NAME, StartWhen::Demand);
    ours.config.dependencies = vec!["Net".to_owned()];
    install(&fake, &ours).unwrap();
    assert_eq!(number(start(&fake, NAME)), 1075);
    install(&fake, &definition("net", StartWhen::Demand)).unwrap();
    fake.program("net", Program { is_there: false, ..Program::default() });
    assert_eq!(number(start(&fake, NAME)), 1068);
    fake.program("net", Program::default());
    start(&fake, NAME).unwrap();
    assert_eq!(fake.status("net").unwrap().state, ServiceState::Running);
    assert_eq!(number(stop(&fake, "net")), 1051);
    stop(&fake, NAME).unwrap();
    stop(&fake, "net").unwrap();
    fake.delete("net").unwrap();
    let mut circle = definition("net", StartWhen::Demand);
    circle.config.dependencies = vec![NAME.to_owned()];
    assert_eq!(number(fake.create(&circle)), 1059);
}

#[test]
fn the_system_starts_and_ends_it() {
    let fake = Fake::default();
    for (name, when) in
        [("early", StartWhen::Automatic), ("late", StartWhen::Delayed), ("never", StartWhen::Demand)]
    {
        install(&fake, &definition(name, when)).unwrap();
    }
    let states = || ["early", "late", "never"].map(|name| fake.status(name).unwrap().state);
    fake.boot();
    fake.sleep(Duration::from_secs(3));
    assert_eq!(states(), [ServiceState::Running, ServiceState::Stopped, ServiceState::Stopped]);
    for _ in 0..130 {
        fake.sleep(Duration::from_secs(1));
    }
    assert_eq!(states(), [ServiceState::Running, ServiceState::Running, ServiceState::Stopped]);
    fake.shut_down();
    assert_eq!((fake.received("early"), fake.received("never")), (vec![PRESHUTDOWN], vec![]));
    fake.sleep(Duration::from_secs(3));
    assert_eq!(states(), [ServiceState::Stopped; 3]);
}

#[test]
fn weaknesses_are_found_with_their_cure() {
    let fake = Fake::default();
    let mut weak = definition(NAME, StartWhen::Demand);
    weak.config.command_line = r"C:\a b\seaworthyd.exe run".to_owned();
    weak.config.account = "LocalSystem".to_owned();
    weak.settings.clear();
    install(&fake, &weak).unwrap();
    fake.set_start_type(NAME, StartType::Disabled);
    let found: Vec<_> = findings(&fake, NAME).unwrap().into_iter().map(|finding| finding.what).collect();
    for (found, expected) in
        found.iter().zip(["not quoted", "LocalSystem", "disabled", "nothing restarts", "not a failure"])
    {
        assert!(found.contains(expected), "{found:?} for {expected:?}");
    }
    assert_eq!(found.len(), 5);
    assert_eq!(number(findings(&Fake::default(), NAME)), 1060);
}

/// Many clients at once: each gets an answer or a typed refusal, and the service ends in one piece.
#[test]
fn many_clients_at_once() {
    let fake = installed();
    std::thread::scope(|scope| {
        for client in 0..8_usize {
            let fake = &fake;
            scope.spawn(move || {
                let commands: [Command; 6] = [start, stop, restart, pause, resume, reload];
                for round in 0..60 {
                    let answer = commands[(client * 7 + round * 5) % 6](fake, NAME);
                    let is_fine = match &answer {
                        // The clock is everybody's: what the others sleep passes for this one, too.
                        Ok(_) | Err(Error::Elsewhere { .. } | Error::Stuck { .. }) => true,
                        Err(error) => matches!(error.code(), Some(1052 | 1056 | 1061 | 1062)),
                    };
                    assert!(is_fine, "{answer:?}");
                }
            });
        }
    });
    assert_eq!(stop(&fake, NAME).unwrap().state, ServiceState::Stopped);
    assert_eq!(start(&fake, NAME).unwrap().state, ServiceState::Running);
}
