//! The Windows program in Wine, in the image that releases are built in: how soon it starts a killed workload again.

use std::path::Path;
use std::process::Command;

use crate::bench::measure::{self, Times};
use crate::failure::{Failure, Message};

/// Starts the daemon with a workload that sleeps, kills that one `$1` times after a calm of `$2` seconds, and prints each time
/// the nanoseconds until the log says that the next one was started.
const SCRIPT: &str = r#"
set -eu
sed /^exec/d /usr/local/bin/run-exe >/tmp/prepare
. /tmp/prepare
drive=$WINEPREFIX/drive_c
cp /built/seaworthyd.exe "$drive/"
cat >"$drive/seaworthyd.toml" <<'END'
log.file = 'C:\log'
[[workloads]]
name = "sleeper"
command = 'C:\windows\system32\ping.exe'
args = ["-n", "1000000", "127.0.0.1"]
END
touch "$drive/log"
export WINEDEBUG=-all
wine 'C:\seaworthyd.exe' run --config 'C:\seaworthyd.toml' >/dev/null 2>&1 &
starts() { grep -c workload-started "$drive/log" || true; }
until [ "$(starts)" = 1 ]; do sleep 0.1; done
for number in $(seq "$1"); do
  sleep "$2"
  process=$(grep -l ping.exe /proc/[0-9]*/comm | cut -d/ -f3)
  before=$(date +%s%N)
  kill -9 "$process"
  while [ "$(starts)" = "$number" ]; do :; done
  echo $(($(date +%s%N) - before))
done
"#;

/// From the kill to the next start, in milliseconds; why it cannot be measured here.
pub(super) fn restarts(workspace: &Path, kills: usize, calm: u64) -> Result<Result<Times, String>, Failure> {
    let lock = include_str!("../../../../docker/toolchain.lock").parse::<toml::Table>();
    let image = lock
        .ok()
        .and_then(|lock| Some(lock.get("images")?.get("x86_64-windows")?.get("image")?.as_str()?.to_owned()));
    let Some(image) = image else { return Ok(Err("docker/toolchain.lock names no image".to_owned())) };
    let here = measure::answer(Path::new("docker"), &["image", "inspect", &image]);
    if !here.is_some_and(|output| output.status.success()) {
        return Ok(
            Err("the image with Wine: cargo xtask toolchain image --target x86_64-windows".to_owned()),
        );
    }
    let program = measure::release_daemon(workspace, "x86_64-pc-windows-gnu")?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let output = Command::new("docker")
        .args(["run", "--rm", "--network", "none", "--init", "--volume"])
        .arg(format!("{}:/built:ro", folder.display()))
        .args([&image, "sh", "-c", SCRIPT, "sh", &kills.to_string(), &calm.to_string()])
        .output()
        .map_err(|error| super::cannot("start docker", &error))?;
    let mut times = Times::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        times.push(line.parse::<f64>().unwrap_or(f64::NAN) / 1e6);
    }
    if times.count() != kills {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::Usage(Message::new(
            format!("in Wine the workload was started {} of {kills} times: {said}", times.count()),
            "run the daemon in that image by hand to see why",
        )));
    }
    Ok(Ok(times))
}
