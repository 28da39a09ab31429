//! Finished ELF programs, judged by binutils, elfutils, gdb's rules and the programs themselves.

mod support;

use std::fs;
use std::path::Path;

use artifact::Target;
use seaworthy_finish::{ErrorKind, FinishOptions, Strip};
use support::{address_of, c_program, finish_into, finished, needs, rust_program, shell};
use tempfile::TempDir;
use xshell::cmd;

#[test]
fn a_c_program_for_aarch64_is_finished() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::Aarch64Linux, folder.path(), &[]);
    judge(Target::Aarch64Linux, &program, folder.path());
}

#[test]
fn a_rust_program_for_aarch64_is_finished_and_much_smaller() {
    let folder = TempDir::new().unwrap();
    let program = rust_program(Target::Aarch64Linux, folder.path());
    judge(Target::Aarch64Linux, &program, folder.path());
    let [before, after] =
        [&program, &folder.path().join("out/prog")].map(|path| fs::metadata(path).unwrap().len());
    assert!(after * 10 <= before * 7, "{before} -> {after} bytes: at least 30 % smaller");
}

#[test]
fn a_static_program_is_finished() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::X86_64Linux, folder.path(), &["-static"]);
    judge(Target::X86_64Linux, &program, folder.path());
}

/// Everything that must hold, by tools that share no code with this crate.
fn judge(target: Target, program: &Path, folder: &Path) {
    let out = folder.join("out");
    let options = FinishOptions { drop_sections: vec![".comment".to_owned()], ..FinishOptions::default() };
    let artifact = finished(target, program, &out, options.clone());
    let (after, symbols) = (artifact.path(), artifact.stage().symbols.clone().expect("symbols were split"));
    let again = finished(target, program, &folder.join("again"), options);
    assert_eq!(again.digest(), artifact.digest(), "the same bytes every time");
    assert_eq!(fs::read(again.stage().symbols.as_ref().unwrap()).unwrap(), fs::read(&symbols).unwrap());

    let shell = shell();
    let loads = |file: &Path| {
        let text = cmd!(shell, "readelf -lW {file}").read().unwrap();
        let lines = text.lines().filter(|line| line.trim_start().starts_with(char::is_uppercase));
        lines.filter(|line| line.contains(" 0x")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(loads(program).iter().any(|line| line.contains("LOAD")));
    assert_eq!(loads(program), loads(after));

    needs("eu-elflint", "elfutils");
    let strip = if target == Target::Aarch64Linux { "aarch64-linux-gnu-strip" } else { "strip" };
    let complaints = |file: &Path| {
        let output = cmd!(shell, "eu-elflint --gnu-ld {file}").ignore_status().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| *line != "No errors").map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = folder.join("plain");
    cmd!(shell, "{strip} -o {plain} {program}").run().unwrap();
    let known = [complaints(program), complaints(&plain)].concat(); // nothing that GNU strip does not get, too
    assert_eq!(complaints(after).iter().filter(|line| !known.contains(line)).collect::<Vec<_>>(), [""; 0]);

    needs("file", "file");
    let told = cmd!(shell, "file -b {after}").read().unwrap();
    assert!(told.contains(", stripped"), "{told}");
    let sections = cmd!(shell, "readelf -SW {after}").read().unwrap();
    assert!(
        !sections.contains(".symtab") && !sections.contains(".comment") && !sections.contains(" .debug_i")
    );
    symbols_resolve(program, after, &symbols);
    let said = match target {
        Target::Aarch64Linux => {
            needs("qemu-aarch64-static", "qemu-user-static");
            cmd!(shell, "qemu-aarch64-static -L /usr/aarch64-linux-gnu {after}").read()
        }
        _ => cmd!(shell, "{after}").read(),
    };
    assert!(said.unwrap().starts_with("worked"));
}

/// The symbols file answers as the unstripped program does, and is found from the finished one.
fn symbols_resolve(program: &Path, after: &Path, symbols: &Path) {
    let shell = shell();
    let address = address_of("nm", program, "work");
    let resolve = |file: &Path| cmd!(shell, "addr2line -f -e {file} {address}").read().unwrap();
    let answer = resolve(program);
    assert!(answer.contains("work") && answer.contains("program."), "{answer}");
    assert_eq!(resolve(symbols), answer);

    let unstrip = |file: &Path| {
        let line = cmd!(shell, "eu-unstrip -n -e {file}").read().unwrap();
        line.split(' ').nth(1).map(|id| id.split('@').next().unwrap_or(id).to_owned())
    };
    assert_eq!(unstrip(symbols), unstrip(after), "one build-id");
    // The finished file leads there by itself: addr2line follows its debug link, checksum included.
    assert_eq!(resolve(after), answer);
    let merged = after.with_extension("merged");
    cmd!(shell, "eu-unstrip -o {merged} {after} {symbols}").run().unwrap();
    assert_eq!(resolve(&merged), answer);
    fs::remove_file(merged).unwrap();
}

#[test]
fn a_loaded_section_is_never_dropped() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::X86_64Linux, folder.path(), &[]);
    let options = FinishOptions { drop_sections: vec![".rodata".to_owned()], ..FinishOptions::default() };
    let error = finish_into(Target::X86_64Linux, &program, &folder.path().join("out"), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SectionNeeded);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn nothing_is_stripped_where_nothing_is_asked() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::X86_64Linux, folder.path(), &[]);
    let options = FinishOptions { strip: Strip::None, ..FinishOptions::default() };
    let artifact = finished(Target::X86_64Linux, &program, &folder.path().join("out"), options);
    assert_eq!(artifact.stage().symbols, None);
    assert_eq!(fs::read(artifact.path()).unwrap(), fs::read(&program).unwrap());
}

#[test]
fn appended_data_and_a_program_over_itself_are_refused() {
    let folder = TempDir::new().unwrap();
    let program = c_program(Target::X86_64Linux, folder.path(), &[]);
    let itself = folder.path().join("prog");
    fs::copy(&program, &itself).unwrap();
    let refused = |program: &Path| {
        let options = FinishOptions::default();
        finish_into(Target::X86_64Linux, program, folder.path(), options).unwrap_err().kind()
    };
    assert_eq!(refused(&itself), ErrorKind::Request);
    let mut bytes = fs::read(&program).unwrap();
    bytes.extend(b"an archive");
    fs::write(&program, bytes).unwrap();
    assert_eq!(refused(&program), ErrorKind::Unsupported);
}
