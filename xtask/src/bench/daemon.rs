//! How soon a supervisor starts a killed workload again, how often it starts one that crashes at once, and what it needs
//! itself: `seaworthyd` beside Debian's supervisors, in one run.
#![expect(clippy::disallowed_methods, reason = "a measured supervisor is started bare")]

mod wine;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Serialize;

use super::measure::{self, Times};
use crate::failure::{Failure, Message};
use crate::render::Renderer;

/// How often each one's workload is killed.
const KILLS: usize = 15;
/// How long each workload has run at least when it is killed: longer than what any of them takes for a crash at once.
const CALM: Duration = Duration::from_secs(11);
/// How long a crash loop is watched.
const STORM: Duration = Duration::from_secs(10);
/// What is asked for in Wine; milliseconds.
const WINE_BAR: f64 = 50.0;
/// Nobody takes longer to start anything.
const PATIENCE: Duration = Duration::from_secs(150);
/// What is asked for: a ratio to runit, milliseconds, starts in the first [`STORM`], KiB, milliseconds to ready.
const BARS: (f64, f64, usize, u64, f64) = (1.2, 5.0, 12, 4096, 10.0);

#[derive(Serialize)]
struct Measured {
    machine: String,
    contenders: Vec<Contender>,
    /// From the kill of the workload to the next one's start, in milliseconds, where there is Wine.
    wine: Option<Times>,
    /// What is not here, and how it comes.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Contender {
    name: &'static str,
    /// From its own start to its workload's, in milliseconds.
    start: Times,
    /// From the kill of its workload to the next one's start, in milliseconds.
    restart: Times,
    /// How often it started a workload that crashes at once, in [`STORM`].
    storm: usize,
    memory: Memory,
}

/// What a supervisor's own processes have resident (proc_pid_smaps(5)). KiB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Memory {
    /// Each by itself, added up: a page that two share counts twice.
    apart: u64,
    /// Each page once, and one that strangers map too by its share.
    together: u64,
}

/// A supervisor: its Debian package, and how it is made to supervise one command from a folder of its own.
struct Supervisor {
    name: &'static str,
    package: &'static str,
    prepare: fn(&Path, &Path) -> std::io::Result<Vec<String>>,
}

const PEERS: [Supervisor; 4] = [
    Supervisor { name: "runit, runsv", package: "runit", prepare: runit },
    Supervisor { name: "s6-supervise", package: "s6", prepare: s6 },
    Supervisor { name: "monit, 1 s cycle", package: "monit", prepare: monit },
    Supervisor { name: "supervisord", package: "supervisor", prepare: supervisord },
];

/// Measures and prints.
pub(super) fn run(renderer: &Renderer) -> Result<(), Failure> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    renderer.status("build", "seaworthyd as it ships, static");
    let ours = measure::release_daemon(workspace, "x86_64-unknown-linux-musl")?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir()
        .map_err(|error| cannot("make a folder", &error))?;
    let mut contenders = vec![(
        "seaworthyd",
        prepared(folder.path(), "seaworthyd", |folder, run| seaworthyd(&ours, folder, run))?,
    )];
    let mut missing = Vec::new();
    for peer in PEERS {
        let installed = measure::answer(Path::new("dpkg-query"), &["-W", "-f", "${Status}", peer.package]);
        if installed.is_some_and(|output| output.stdout.ends_with(b" installed")) {
            contenders.push((peer.name, prepared(folder.path(), peer.package, peer.prepare)?));
        } else {
            missing.push(format!("{0}: apt-get install {0}", peer.package));
        }
    }
    let contenders = measure(renderer, &contenders)?;
    renderer.status("kill", &format!("the workload in Wine, {KILLS} times"));
    let wine = match wine::restarts(workspace, KILLS, CALM.as_secs())? {
        Ok(times) => Some(times),
        Err(why) => {
            missing.push(why);
            None
        }
    };
    let measured = Measured { machine: measure::machine(), contenders, wine, missing };
    renderer.result(&measured, shown);
    Ok(())
}

/// A supervisor that can be started, and the pipe on which its workload says its process number.
struct Prepared {
    folder: PathBuf,
    words: Vec<String>,
    /// Process numbers, as workloads start.
    starts: Receiver<(u32, Instant)>,
}

fn prepared(
    folder: &Path,
    name: &str,
    prepare: impl FnOnce(&Path, &Path) -> std::io::Result<Vec<String>>,
) -> Result<Prepared, Failure> {
    let folder = folder.join(name);
    let make = || {
        fs::create_dir(&folder)?;
        let run = folder.join("workload");
        let pipe = folder.join("pipe");
        Command::new("mkfifo").arg(&pipe).status()?;
        let crash = folder.join("crash");
        let (pipe, crash) = (pipe.display(), crash.display());
        let script = format!("#!/bin/sh\necho $$ > {pipe}\ntest -e {crash} && exit 1\nexec sleep infinity\n");
        fs::write(&run, script)?;
        fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        prepare(&folder, &run)
    };
    let words = make().map_err(|error| cannot("prepare a supervisor", &error))?;
    let starts = listen(&folder).map_err(|error| cannot("open a pipe", &error))?;
    Ok(Prepared { folder, words, starts })
}

/// Hears what workloads say in the pipe of `folder`. One reader for all runs: a second one would take words from the first.
fn listen(folder: &Path) -> std::io::Result<Receiver<(u32, Instant)>> {
    let (sender, starts) = mpsc::channel();
    // Open for both ways: the pipe does not end with a writer.
    let pipe = File::options().read(true).write(true).open(folder.join("pipe"))?;
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let started = line.parse().map(|number| sender.send((number, Instant::now())));
            if matches!(started, Ok(Err(_))) {
                return;
            }
        }
    });
    Ok(starts)
}

fn measure(renderer: &Renderer, prepared: &[(&'static str, Prepared)]) -> Result<Vec<Contender>, Failure> {
    let mut contenders = Vec::new();
    let mut running = Vec::new();
    for (name, prepared) in prepared {
        renderer.status("start", name);
        let mut start = Times::default();
        for _ in 0..5 {
            start.push(Running::start(prepared)?.begun_after);
        }
        running.push(Running::start(prepared)?);
        contenders.push(Contender {
            name,
            start,
            restart: Times::default(),
            storm: 0,
            memory: Memory::default(),
        });
    }
    for round in 1..=KILLS {
        renderer.status("kill", &format!("each workload, {round} of {KILLS}"));
        std::thread::sleep(CALM);
        for (contender, running) in contenders.iter_mut().zip(&mut running) {
            contender.restart.push(running.kill()?);
        }
    }
    for (contender, mut running) in contenders.iter_mut().zip(running) {
        renderer.status("storm", contender.name);
        contender.memory = running.memory();
        contender.storm = running.storm()?;
    }
    Ok(contenders)
}

/// A supervisor with its workload; ends with it.
struct Running<'a> {
    supervisor: Child,
    /// Process numbers, as workloads start.
    starts: &'a Receiver<(u32, Instant)>,
    crash: PathBuf,
    workload: u32,
    begun_after: f64,
}

impl<'a> Running<'a> {
    fn start(prepared: &'a Prepared) -> Result<Self, Failure> {
        // What a workload of the last one was still to say.
        prepared.starts.try_iter().for_each(drop);
        let Some((program, args)) = prepared.words.split_first() else { return Err(silent()) };
        let mut command = Command::new(program);
        command.args(args).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let supervisor = command.spawn().map_err(|error| cannot("start a supervisor", &error))?;
        let crash = prepared.folder.join("crash");
        let starts = &prepared.starts;
        let mut running = Self { supervisor, starts, crash, workload: 0, begun_after: 0.0 };
        running.begun_after = running.next(begun)?;
        Ok(running)
    }

    /// Waits for the next start; milliseconds since `begun`.
    fn next(&mut self, begun: Instant) -> Result<f64, Failure> {
        let (workload, at) = self.starts.recv_timeout(PATIENCE).map_err(|_| silent())?;
        self.workload = workload;
        Ok(at.saturating_duration_since(begun).as_secs_f64() * 1000.0)
    }

    fn kill(&mut self) -> Result<f64, Failure> {
        let begun = Instant::now();
        signal(Signal::KILL, self.workload, false);
        self.next(begun)
    }

    /// How many starts there are once the workload crashes at once.
    fn storm(&mut self) -> Result<usize, Failure> {
        fs::write(&self.crash, "").map_err(|error| cannot("write a file", &error))?;
        std::thread::sleep(CALM);
        let begun = Instant::now();
        signal(Signal::KILL, self.workload, false);
        std::thread::sleep(STORM);
        Ok(self.starts.try_iter().filter(|(_, at)| at.duration_since(begun) <= STORM).count())
    }

    /// Of the supervisor's own processes: its group and worker, without the workload.
    fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        let mut open = vec![self.supervisor.id()];
        while let Some(process) = open.pop() {
            if process == self.workload {
                continue;
            }
            let read = |name| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
            let rollup = read("smaps_rollup");
            let kib = |key: &str| {
                let value =
                    rollup.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
                value.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
            };
            sum.apart += kib("Rss:");
            sum.together += kib("Pss:");
            let children = read(&format!("task/{process}/children"));
            open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        sum
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        signal(Signal::TERM, self.supervisor.id(), false);
        std::thread::sleep(Duration::from_millis(500));
        signal(Signal::KILL, self.supervisor.id(), true);
        signal(Signal::KILL, self.workload, false);
        let _ = self.supervisor.wait();
        let _ = fs::remove_file(&self.crash);
    }
}

/// Signals a process, or with `group` its whole group. What has ended already cannot be signalled.
fn signal(signal: Signal, process: u32, group: bool) {
    let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return };
    let _ = if group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
}

fn seaworthyd(program: &Path, folder: &Path, run: &Path) -> std::io::Result<Vec<String>> {
    let config = folder.join("seaworthyd.toml");
    let socket = folder.join("control.sock");
    let log = folder.join("log");
    fs::write(
        &config,
        format!(
            "log.file = {log:?}\ncontrol.path = {socket:?}\n[[workloads]]\nname = \"workload\"\ncommand = {run:?}\n"
        ),
    )?;
    Ok(words(&[program, Path::new("run"), Path::new("--config"), &config]))
}

fn runit(folder: &Path, run: &Path) -> std::io::Result<Vec<String>> {
    let service = folder.join("service");
    fs::create_dir(&service)?;
    std::os::unix::fs::symlink(run, service.join("run"))?;
    Ok(words(&[Path::new("runsv"), &service]))
}

fn s6(folder: &Path, run: &Path) -> std::io::Result<Vec<String>> {
    let service = folder.join("service");
    fs::create_dir(&service)?;
    std::os::unix::fs::symlink(run, service.join("run"))?;
    Ok(words(&[Path::new("s6-supervise"), &service]))
}

/// It knows processes by their pid files only; the workload writes one and goes to the background by itself.
fn monit(folder: &Path, run: &Path) -> std::io::Result<Vec<String>> {
    let (script, pid) = (folder.join("start"), folder.join("pid"));
    let text = format!(
        "#!/bin/sh\nsetsid {} </dev/null >/dev/null 2>&1 &\necho $! > {}\n",
        run.display(),
        pid.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let config = folder.join("monitrc");
    let state = folder.join("state");
    let text = format!(
        "set daemon 1\nset pidfile {0}/monit.pid\nset statefile {1}\nset idfile {0}/id\ncheck process workload with pidfile {2}\n  start program = \"{3}\"\n",
        folder.display(),
        state.display(),
        pid.display(),
        script.display()
    );
    fs::write(&config, text)?;
    fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(words(&[Path::new("monit"), Path::new("-I"), Path::new("-c"), &config]))
}

fn supervisord(folder: &Path, run: &Path) -> std::io::Result<Vec<String>> {
    let config = folder.join("supervisord.conf");
    let text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}/pid\n[program:workload]\ncommand={}\nautorestart=true\n",
        folder.display(),
        run.display()
    );
    fs::write(&config, text)?;
    Ok(words(&[Path::new("supervisord"), Path::new("-c"), &config]))
}

fn words(parts: &[&Path]) -> Vec<String> {
    parts.iter().map(|part| part.display().to_string()).collect()
}

fn shown(measured: &Measured) -> String {
    let Measured { machine, contenders, wine, missing } = measured;
    let mut text = format!(
        "{machine}\n\nmedians; each workload killed {KILLS} times after a calm of {} s\n",
        CALM.as_secs()
    );
    text += &format!(
        "{:<18} {:>10} {:>20} {:>9} {:>12} {:>13} {:>6}\n",
        "", "restart ms", "least to most", "start ms", "storm, 10 s", "resident KiB", "apart"
    );
    for Contender { name, start, restart, storm, memory } in contenders {
        let (least, most) = restart.span();
        let span = format!("{least:.1} to {most:.1}");
        text += &format!(
            "{name:<18} {:>10.2} {span:>20} {:>9.1} {storm:>12} {:>13} {:>6}\n",
            restart.median(),
            start.median(),
            memory.together,
            memory.apart
        );
    }
    if let Some(restart) = wine {
        let (least, most) = restart.span();
        let span = format!("{least:.1} to {most:.1}");
        text += &format!("{:<18} {:>10.2} {span:>20}\n", "seaworthyd in Wine", restart.median());
    }
    let ours = &contenders[0];
    let (ratio, milliseconds, starts, kib, ready) = BARS;
    let mut bars = vec![
        (ours.restart.median() < milliseconds, format!("restart under {milliseconds} ms")),
        (ours.storm <= starts, format!("at most {starts} starts in a crash loop's first 10 s")),
        (ours.memory.apart <= kib, format!("at most {kib} KiB resident, guardian and worker added up")),
        (ours.start.median() < ready, format!("its workload runs within {ready} ms")),
    ];
    if let Some(runit) = contenders.iter().find(|contender| contender.name.starts_with("runit")) {
        let measured = ours.restart.median() / runit.restart.median();
        bars.push((measured <= ratio, format!("restart at most {ratio} of runit's: {measured:.2}")));
    }
    if let Some(restart) = wine {
        let bar = format!("restart in Wine within {WINE_BAR} ms");
        bars.push((restart.median() <= WINE_BAR, bar));
    }
    for (met, bar) in bars {
        text += &format!("  {:<7} {bar}\n", if met { "met" } else { "MISSED" });
    }
    for what in missing {
        text += &format!("  not here: {what}\n");
    }
    text
}

fn silent() -> Failure {
    Failure::Usage(Message::new(
        format!("a supervisor did not start its workload within {} s", PATIENCE.as_secs()),
        "run it by hand to see why",
    ))
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Usage(Message::new(format!("cannot {what}: {error}"), "make room on the disk"))
}
