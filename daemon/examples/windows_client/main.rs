//! What `tests/windows.rs` runs in Wine beside the daemon: a client of the service manager on bare system calls, and
//! the daemon's own Windows files where the program does not reach them.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "it takes in whole files of the daemon and uses parts of them"
)]
#![expect(clippy::print_stdout, reason = "its answers are read by the test")]

#[cfg(windows)]
mod bare;
#[cfg(windows)]
mod channel;
#[cfg(windows)]
mod console;
#[cfg(windows)]
#[path = "../../src/doctor.rs"]
mod doctor;
#[cfg(windows)]
#[path = "../../src/event_text.rs"]
mod event_text;
#[cfg(windows)]
mod fault;
#[cfg(windows)]
mod guardian;
#[cfg(windows)]
#[path = "../../src/identity.rs"]
mod identity;
#[cfg(windows)]
mod log;
#[cfg(windows)]
mod os;
#[cfg(windows)]
mod own;
#[cfg(windows)]
#[path = "../../src/service_manager/mod.rs"]
mod service_manager;
#[cfg(windows)]
mod settings;
#[cfg(windows)]
#[path = "../../src/start_when.rs"]
mod start_when;
#[cfg(windows)]
#[path = "../../src/state.rs"]
mod state;
#[cfg(windows)]
#[path = "../../src/token.rs"]
mod token;

#[cfg(not(windows))]
fn main() {
    println!("this is a program for Windows");
}

#[cfg(windows)]
fn main() {
    // The attack on an unquoted path: whoever starts `C:\Prog.exe` leaves a trace.
    let myself = std::env::current_exe().expect("a path");
    if myself.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("prog")) {
        std::fs::write(r"C:\attacked", "").expect("written");
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sleep"] => {
            std::fs::write(r"C:\awake", "").expect("written");
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        ["exit"] => {}
        ["token"] => own::print_token(),
        ["handles"] => own::print_handles(),
        ["words", words @ ..] => {
            words.iter().for_each(|word| println!("{word:?}"));
            let [added, path] = ["ADDED", "PATH"].map(|name| std::env::var(name).unwrap_or_default());
            println!("ADDED={added:?} PATH={path:?} in {:?}", std::env::current_dir().expect("a folder"));
        }
        ["without-console"] => console::leave(),
        ["end-when-asked"] => console::end_when_asked(),
        ["create", name, line] => println!("{}", bare::create(name, line)),
        ["start", name] => println!("{}", bare::start(name)),
        ["delete", name] => println!("{}", bare::delete(name)),
        ["control", name, code] => println!("{}", bare::control(name, code.parse().expect("a number"))),
        ["line", name] => println!("{}", bare::command_line(name)),
        ["query", name] => println!("{}", bare::query(name)),
        ["start-and-watch", name] => bare::start_and_watch(name),
        ["stop-and-watch", name] => bare::stop_and_watch(name),
        ["texts", program] => bare::texts(program),
        ["version", program] => println!("{}", bare::version(program)),
        ["drive", command] => println!("{}", drive(command)),
        ["settings"] => settings::check(),
        ["report"] => report(),
        ["channel"] => channel::check(),
        ["fault", process, code] => fault::execute(process, code),
        ["call", process, distance] => fault::call(process, distance),
        ["console", program, argument] => console::start_unconnected(program, argument),
        _ => panic!("{words:?}"),
    }
}

/// A command of the daemon, by its own means.
#[cfg(windows)]
fn drive(command: &str) -> String {
    use service_manager::{Error, ServiceManager, Status, pause, reload, restart, resume, start, stop};
    let command: fn(&dyn ServiceManager, &str) -> Result<Status, Error> = match command {
        "start" => start,
        "stop" => stop,
        "restart" => restart,
        "pause" => pause,
        "resume" => resume,
        "reload" => reload,
        other => panic!("{other}"),
    };
    match command(&os::service_manager::WindowsServiceManager::new(), identity::NAME) {
        Ok(status) => status.state.name().to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

/// One event of each level, with hostile texts.
#[cfg(windows)]
fn report() {
    use log::{Event, Value};
    let events = [
        Event::Ready,
        Event::NotifyFailed,
        Event::Refused,
        Event::ServiceRemoved,
        Event::ServiceInstallRefused,
    ];
    let log = os::event_log::EventLog::open().expect("the event source");
    let fields = [("pid", Value::Number(7)), ("text", Value::Text("a\nb%%1\0".to_owned()))];
    for event in events {
        log.report(event, "a message\r\nwith two lines", &fields).expect("reported");
    }
}
