//! What is missing on this machine, and the command that mends it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::render::Renderer;

/// Something a release can use.
struct Tool {
    programs: &'static [&'static str],
    what_for: &'static str,
    mend: &'static str,
    needed: bool,
}

const TOOLS: &[Tool] = &[
    Tool { programs: &["git"], what_for: "to know the commit", mend: "apt-get install git", needed: true },
    Tool {
        programs: &["cargo"],
        what_for: "to build",
        mend: "install rustup and the toolchain of rust-toolchain.toml",
        needed: true,
    },
    Tool {
        programs: &["rustup"],
        what_for: "to add the targets' standard libraries",
        mend: "install rustup",
        needed: true,
    },
    Tool {
        programs: &["python3"],
        what_for: "to fetch the embedded zig builder with pip",
        mend: "apt-get install python3 python3-pip",
        needed: false,
    },
    Tool {
        programs: &["docker", "podman"],
        what_for: "to build in the pinned images",
        mend: "apt-get install docker.io iptables; dockerd &",
        needed: false,
    },
    Tool {
        programs: &["mmdebstrap"],
        what_for: "to make the images where no registry can be reached",
        mend: "apt-get install mmdebstrap",
        needed: false,
    },
    Tool {
        programs: &["qemu-aarch64-static"],
        what_for: "to start aarch64 programs without an image",
        mend: "apt-get install qemu-user-static libc6-dev-arm64-cross",
        needed: false,
    },
];

#[derive(Serialize)]
struct Finding {
    tool: String,
    found: Option<PathBuf>,
    what_for: &'static str,
    mend: &'static str,
    needed: bool,
}

/// Looks for everything, prints what is there and what is not.
pub(crate) fn run(renderer: &Renderer) -> Result<(), Failure> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let find = |program: &str| {
        std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| Path::is_file(path))
    };
    let findings: Vec<Finding> = TOOLS
        .iter()
        .map(|tool| Finding {
            tool: tool.programs.join(" or "),
            found: tool.programs.iter().find_map(|program| find(program)),
            what_for: tool.what_for,
            mend: tool.mend,
            needed: tool.needed,
        })
        .collect();
    renderer.result(&findings, |findings| findings.iter().map(line).collect());
    let missing: Vec<_> =
        findings.iter().filter(|finding| finding.needed && finding.found.is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Checks(missing.iter().map(|finding| finding.tool.clone()).collect()))
}

fn line(finding: &Finding) -> String {
    match &finding.found {
        Some(path) => format!("     ok  {:<20} {} ({})\n", finding.tool, finding.what_for, path.display()),
        None if finding.needed => {
            format!("MISSING  {:<20} {}; {}\n", finding.tool, finding.what_for, finding.mend)
        }
        None => format!("      -  {:<20} {}; {}\n", finding.tool, finding.what_for, finding.mend),
    }
}
