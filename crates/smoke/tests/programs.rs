//! Real programs, right and wrong, started natively and under qemu.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use artifact::{Artifact, BuilderKind, Finished, Source, Target, ToolchainIdentity};
use smoke::{Expect, Runner, SmokeRequest, SmokeResult, runners, smoke};
use xshell::{Shell, cmd};

const RIGHT: &str = r#"{"name":"p","version":"1.2.3","commit":"abc","target":"x86_64-linux"}"#;

fn program(folder: &Path, compiler: &str, target: Target, body: &str) -> Artifact<Finished> {
    let shell = Shell::new().unwrap();
    let (source, out) = (folder.join("program.c"), folder.join("program"));
    let text = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(int argc, char **argv) {{ {body} return 0; }}\n"
    );
    fs::write(&source, text).unwrap();
    cmd!(shell, "{compiler} -o {out} {source}").quiet().run().unwrap_or_else(|error| {
        panic!("{error}: apt-get install gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    });
    let identity = ToolchainIdentity {
        builder: BuilderKind::Host,
        rustc: String::new(),
        lock: None,
        parts: BTreeMap::new(),
    };
    let built = Artifact::built(target, "program", out.clone(), identity).unwrap();
    built.finished(out, Vec::new(), None).unwrap()
}

fn request(expect: Expect, candidates: Vec<Runner>) -> SmokeRequest {
    let source = Source {
        product: "p".to_owned(),
        version: "1.2.3".to_owned(),
        commit: "abc".to_owned(),
        commit_time: 0,
        dirty: false,
    };
    SmokeRequest {
        source,
        args: vec!["--version".to_owned()],
        expect,
        candidates,
        timeout: Duration::from_secs(20),
    }
}

fn says(text: &str) -> String {
    format!("puts({text:?});")
}

fn native(body: &str, expect: Expect) -> SmokeResult {
    let folder = tempfile::tempdir().unwrap();
    let artifact = program(folder.path(), "cc", Target::X86_64Linux, body);
    smoke(&artifact, &request(expect, vec![Runner::Native])).unwrap()
}

fn why(result: &SmokeResult) -> &str {
    match result {
        SmokeResult::Failed { why, .. } | SmokeResult::NotRun { why } => why,
        SmokeResult::Ran { .. } => panic!("it should not have passed: {result:?}"),
    }
}

#[test]
fn a_program_that_says_what_it_is_has_run() {
    let result = native(&says(RIGHT), Expect::VersionJson);
    assert!(
        matches!(&result, SmokeResult::Ran { runner, output } if runner == "native" && output.contains("1.2.3")),
        "{result:?}"
    );
}

#[test]
fn a_wrong_version_commit_or_target_fails_by_name() {
    for (right, wrong, named) in
        [("1.2.3", "1.2.4", "version"), ("abc", "abd", "commit"), ("x86_64-linux", "aarch64-linux", "target")]
    {
        let result = native(&says(&RIGHT.replace(right, wrong)), Expect::VersionJson);
        assert!(why(&result).contains(named) && why(&result).contains(wrong), "{result:?}");
    }
    let result = native(&says("hello"), Expect::Contains(vec!["1.2.3".to_owned()]));
    assert!(why(&result).contains("does not contain `1.2.3`"), "{result:?}");
}

#[test]
fn a_crash_an_exit_code_garbage_and_a_hang_fail() {
    assert!(why(&native("abort();", Expect::ExitOnly)).contains("signal 6"));
    assert!(why(&native("exit(53);", Expect::ExitOnly)).contains("exit code 53"));
    assert!(why(&native("puts(\"\\xff\\xfe{\");", Expect::VersionJson)).contains("no JSON"));
    let folder = tempfile::tempdir().unwrap();
    // A child that keeps the output open must go with it.
    let artifact = program(folder.path(), "cc", Target::X86_64Linux, "fork(); sleep(600);");
    let mut request = request(Expect::ExitOnly, vec![Runner::Native]);
    request.timeout = Duration::from_secs(1);
    assert!(why(&smoke(&artifact, &request).unwrap()).contains("still running after 1 s"));
}

#[test]
fn an_endless_talker_is_cut_short() {
    let body = "for (int i = 0; i < 100000; i++) puts(\"0123456789012345678901234567890123456789\");";
    match native(body, Expect::ExitOnly) {
        SmokeResult::Ran { output, .. } => assert_eq!(output.len(), 64 * 1024),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_aarch64_program_runs_under_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let said = RIGHT.replace("x86_64-linux", "aarch64-linux");
    let artifact = program(folder.path(), "aarch64-linux-gnu-gcc", Target::Aarch64Linux, &says(&said));
    let request = request(Expect::VersionJson, runners(Target::Aarch64Linux, None));
    let result = smoke(&artifact, &request).unwrap();
    assert!(
        matches!(&result, SmokeResult::Ran { runner, .. } if runner == "qemu-aarch64-static"),
        "{result:?}: apt-get install qemu-user-static"
    );
}

#[test]
fn without_any_runner_it_says_that_it_did_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = program(folder.path(), "cc", Target::X86_64Linux, "");
    let missing = Runner::Qemu { program: "qemu-nothing-static".to_owned(), sysroot: None };
    let result = smoke(&artifact, &request(Expect::ExitOnly, vec![missing])).unwrap();
    assert!(matches!(result, SmokeResult::NotRun { .. }), "{result:?}");
    assert!(why(&result).contains("qemu-nothing-static"));
}
