//! The cases about ELF files that other checkers get wrong (`cases.rs` has the list), each with a file that is made here by
//! the tools people use.

use std::path::Path;

use artifact::{Outcome, Target};
use inspect::facts::{Binary, Elf, ElfShape, GnuProperty};
use seaworthy_verify::{Before, ControlFlow, KindPolicy, Policy, Sighting, Subject, regressions, verify};
use tempfile::TempDir;
use xshell::{Shell, cmd};

use crate::support::*;

/// A buffer on the stack, and functions that glibc has checked variants of.
const BUFFER: &str = "#include <stdio.h>\n#include <string.h>\n\
    int main(int count, char **words) { char text[64]; strcpy(text, words[0]); return puts(text) < count; }\n";
/// What needs no library.
const BARE: &str = "void _start(void) { for (;;); }\n";
const LIBRARY: &str = "int answer(void) { return 42; }\n";
const GCC: &str = "gcc libc6-dev";
const LLD: &str = "gcc libc6-dev lld";
const ARM: &str = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross";

/// A folder with compilers and linkers in reach.
struct Workshop {
    shell: Shell,
    _folder: TempDir,
}

impl Workshop {
    fn open() -> Workshop {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let shell = Shell::new().expect("the current folder exists");
        shell.change_dir(folder.path());
        Workshop { shell, _folder: folder }
    }

    /// Runs `command`, whose programs come with the Debian `packages`.
    fn run(&self, command: &str, packages: &str) {
        let mut words = command.split_whitespace();
        let program = words.next().expect("a command has a program");
        let done = cmd!(self.shell, "{program} {words...}").env("RUSTC_BOOTSTRAP", "1").quiet().run();
        done.unwrap_or_else(|error| panic!("{error}; apt-get install {packages}"));
    }

    /// What `command` makes of `source`: it reads `source.c` and writes `made`.
    fn make(&self, source: &str, command: &str, packages: &str) -> Vec<u8> {
        self.write("source.c", source);
        self.run(&format!("{command} source.c -o made"), packages);
        self.made()
    }

    /// What rustc makes of `source`.
    fn rust(&self, source: &str, target: Target, options: &str) -> Vec<u8> {
        self.write("source.rs", source);
        let triple = target.triple();
        let command = format!("rustc -O --target {triple} {options} source.rs -o made");
        self.run(&command, &format!("gcc libc6-dev; rustup target add {triple}"));
        self.made()
    }

    fn write(&self, name: &str, text: &str) {
        self.shell.write_file(name, text).expect("the folder can be written");
    }

    fn made(&self) -> Vec<u8> {
        self.shell.read_binary_file("made").expect("the tool made it")
    }
}

fn elf(bytes: &[u8]) -> Elf {
    let facts = inspect::inspect_without_exports(bytes).expect("the headers can be read");
    assert!(facts.anomalies.is_empty(), "{:?}", facts.anomalies);
    match facts.binary {
        Binary::Elf(elf) => *elf,
        Binary::Pe(_) => panic!("an ELF file was made"),
    }
}

fn policy() -> Policy {
    Policy::for_target(Target::X86_64Linux)
}

/// Case 1: the flag alone promises a table that nothing protects.
#[test]
fn case_1_bind_now_without_relro_is_no_relro() {
    let made = Workshop::open().make(BUFFER, "gcc -Wl,-z,now,-z,norelro", GCC);
    assert_answer(&made, &policy(), "SW-ELF-BIND-NOW", Outcome::Pass, "DF_1_NOW");
    assert_answer(&made, &policy(), "SW-ELF-RELRO", Outcome::Fail, "no PT_GNU_RELRO");
}

/// Case 3: neither an interpreter nor a library, and a program all the same.
#[test]
fn case_3_a_static_pie_is_a_program_stripped_or_not() {
    let workshop = Workshop::open();
    let mut policy = Policy::for_target(Target::X86_64LinuxMusl);
    policy.stack_protector = true;
    let whole = workshop.make(BUFFER, "gcc -static-pie -fPIE -fstack-protector-strong", GCC);
    let stripped = workshop.make(BUFFER, "gcc -static-pie -fPIE -fstack-protector-strong -s", GCC);
    for made in [&whole, &stripped] {
        assert_eq!(elf(made).shape(), ElfShape::StaticPositionIndependent);
        assert_answer(made, &policy, "SW-KIND", Outcome::Pass, "a program (DF_1_PIE)");
        assert_answer(made, &policy, "SW-ELF-PIE", Outcome::Pass, "DF_1_PIE");
        assert_answer(made, &policy, "SW-ELF-INTERPRETER", Outcome::Pass, "no interpreter");
        assert_answer(made, &policy, "SW-ELF-SELF-RELOCATION", Outcome::Pass, "");
    }
    // glibc's objects, which have one, are among the symbols with it and without.
    let without = workshop.make(BUFFER, "gcc -static-pie -fPIE -fno-stack-protector", GCC);
    for made in [&whole, &without] {
        assert_answer(made, &policy, "SW-ELF-STACK-PROTECTOR", Outcome::CannotTell, "the C library brings");
    }
    assert_answer(&stripped, &policy, "SW-ELF-STACK-PROTECTOR", Outcome::CannotTell, "static and stripped");
}

/// A library beside its older version: what was bound to a symbol's version needs that version.
#[test]
fn a_symbol_that_changed_its_version_is_gone() {
    let workshop = Workshop::open();
    let make = |script: &str| {
        workshop.shell.write_file("ship.map", script).expect("a file can be written");
        workshop.make(
            LIBRARY,
            "gcc -shared -fPIC -Wl,-soname,libship.so.1 -Wl,--version-script,ship.map",
            GCC,
        )
    };
    let [first, both, second, none] = [
        "SHIP_1 { global: answer; local: *; };",
        "SHIP_1 { global: answer; local: *; }; SHIP_2 { } SHIP_1;",
        "SHIP_1 { local: *; }; SHIP_2 { global: answer; } SHIP_1;",
        "{ global: answer; local: *; };",
    ]
    .map(make);
    let policy = Policy { kind: KindPolicy::Library, ..Policy::for_target(Target::X86_64Linux) };
    let judged = |old: &[u8], new: &[u8]| {
        let [old_facts, new_facts] =
            [old, new].map(|bytes| inspect::inspect(bytes).expect("gcc makes ELF files"));
        let old = Sighting::of(&Subject::new("old", old, &old_facts), &policy);
        let new = Sighting::of(&Subject::new("new", new, &new_facts), &policy);
        let findings = regressions(Before::One(&old), &new, &policy);
        let exports = findings.into_iter().find(|finding| finding.rule == "SW-REGRESSION-EXPORTS");
        exports.expect("it is one of them")
    };
    for (old, new, observed) in [
        (&first, &both, "none removed"),
        (&first, &second, "removed: answer@SHIP_1"),
        (&none, &second, "none removed"),
        (&first, &none, "none removed"),
        (&second, &first, "removed: answer@SHIP_2"),
    ] {
        assert_eq!(judged(old, new).observed, observed);
    }
    // The symbol that stands for the version itself is no export.
    let policy = Policy { exported_symbols: Some(vec!["answer".to_owned()]), ..policy.clone() };
    assert_answer(&second, &policy, "SW-ELF-EXPORTS", Outcome::Pass, "");
}

/// Case 3 as glibc's other start files would have it: every header of a static PIE, and a crash at start.
#[test]
fn case_3_glibcs_start_files_of_a_fixed_address_do_not_move_it() {
    let workshop = Workshop::open();
    workshop.write("source.c", BUFFER);
    workshop.run("gcc -c -fPIE source.c -o source.o", GCC);
    let place =
        |name: &str| cmd!(workshop.shell, "gcc -print-file-name={name}").quiet().read().expect("gcc runs");
    let link = |first: &str| {
        let [start, before, begin] = [first, "crti.o", "crtbeginS.o"].map(place);
        let [end, after] = ["crtendS.o", "crtn.o"].map(place);
        let libraries = ["libgcc.a", "libgcc_eh.a", "libc.a"].map(place).join(" ");
        let objects =
            format!("{start} {before} {begin} source.o --start-group {libraries} --end-group {end} {after}");
        workshop.run(&format!("ld -static -pie --no-dynamic-linker -z text -o made {objects}"), "binutils");
        workshop.made()
    };
    let policy = Policy::for_target(Target::X86_64LinuxMusl);
    assert_answer(
        &link("rcrt1.o"),
        &policy,
        "SW-ELF-SELF-RELOCATION",
        Outcome::Pass,
        "relative relocation type",
    );
    let wrong = link("crt1.o");
    assert_eq!(elf(&wrong).shape(), ElfShape::StaticPositionIndependent);
    assert_answer(&wrong, &policy, "SW-ELF-SELF-RELOCATION", Outcome::Fail, "looks at one");
}

/// Case 4: PT_PHDR, PT_INTERP and an entry point do not make a program.
#[test]
fn case_4_a_library_that_looks_executable_is_a_library() {
    let workshop = Workshop::open();
    let by_lld = workshop.make(LIBRARY, "gcc -fuse-ld=lld -shared -fPIC", LLD);
    assert_eq!(segments(&by_lld, PT_PHDR).len(), 1, "lld gives libraries a PT_PHDR");
    let loader =
        "const char loader[] __attribute__((section(\".interp\"))) = \"/lib64/ld-linux-x86-64.so.2\";\n";
    let with_loader = workshop.make(&format!("{loader}{LIBRARY}"), "gcc -shared -fPIC", GCC);
    assert_eq!(elf(&with_loader).interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    let place = cmd!(workshop.shell, "gcc -print-file-name=libc.so.6").quiet().read();
    let place = place.expect("apt-get install gcc libc6-dev");
    let libc = std::fs::read(Path::new(&place)).expect("apt-get install libc6-dev");
    assert!(elf(&libc).interpreter.is_some(), "libc.so.6 can be started");

    for (made, why) in [(&by_lld, "ET_DYN"), (&with_loader, "ET_DYN"), (&libc, "DT_SONAME")] {
        assert_eq!(elf(made).shape(), ElfShape::SharedLibrary);
        for kind in [KindPolicy::Library, KindPolicy::Auto] {
            let policy = Policy { kind, ..policy() };
            assert_answer(made, &policy, "SW-KIND", Outcome::Pass, why);
            assert_answer(made, &policy, "SW-ELF-PIE", Outcome::NotApplicable, "no program");
        }
        // Where a program is meant, none of them is taken for a position-independent one.
        let finding = finding(made, &policy(), "SW-ELF-PIE");
        assert_ne!(finding.outcome, Outcome::Pass, "{finding:#?}");
    }
}

/// Case 6: without the header the kernel and glibc decide, each for other stacks.
#[test]
fn case_6_a_missing_stack_header_fails_and_names_the_stacks() {
    const RULE: &str = "SW-ELF-NX-STACK";
    let workshop = Workshop::open();
    let made = workshop.make(BUFFER, "gcc -fuse-ld=lld -Wl,-z,nognustack", LLD);
    assert_answer(&made, &policy(), RULE, Outcome::Fail, "no PT_GNU_STACK");
    assert_answer(&made, &policy(), RULE, Outcome::Fail, "makes every thread's stack executable");
    workshop.write("source.c", BARE);
    workshop.run("aarch64-linux-gnu-gcc -c source.c -o source.o", ARM);
    workshop.run("ld.lld -m aarch64linux -pie -z nognustack source.o -o made", "lld");
    let arm = Policy::for_target(Target::Aarch64Linux);
    assert_answer(&workshop.made(), &arm, RULE, Outcome::Fail, "before Linux 5.8 all that can be read");
}

/// Case 7: what the loader reads is all there; only what is about sections may have another answer.
#[test]
fn case_7_without_section_headers_the_answers_stay() {
    let options = "gcc -O2 -s -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wl,-z,now";
    let whole = Workshop::open().make(BUFFER, options, GCC);
    let mut bare = whole.clone();
    // e_shoff, then e_shnum and e_shstrndx.
    put(&mut bare, 40, 8, 0);
    put(&mut bare, 60, 4, 0);
    let mut policy = policy();
    (policy.stack_protector, policy.fortify) = (true, true);
    policy.glibc_floor = Some("2.34".to_owned());
    let answers = |bytes: &[u8]| {
        let facts = inspect::inspect_without_exports(bytes).expect("the headers can be read");
        let report = verify(&Subject::new("case", bytes, &facts), &policy);
        report.findings.into_iter().map(|found| (found.rule, found.outcome, found.observed))
    };
    let others: Vec<_> = answers(&whole).zip(answers(&bare)).filter(|(one, other)| one != other).collect();
    let rules: Vec<_> = others.iter().map(|(one, _)| &*one.0).collect();
    let of_sections = ["SW-ELF-SECTION-MAP", "SW-WX-SECTIONS", "SW-SECTIONS", "SW-TRAILING-BYTES"];
    assert_eq!(rules, of_sections, "{others:#?}");
    let passed = |(_, other): &(_, (_, Outcome, _))| other.1 == Outcome::Pass;
    assert!(!others.iter().any(passed), "{others:#?}");
    for rule in ["SW-ELF-PIE", "SW-ELF-RELRO", "SW-ELF-BIND-NOW", "SW-ELF-GLIBC-FLOOR", "SW-ELF-NX-STACK"] {
        assert_answer(&bare, &policy, rule, Outcome::Pass, "");
    }
    assert_answer(&bare, &policy, "SW-ELF-STACK-PROTECTOR", Outcome::Pass, "__stack_chk_fail");
    assert_answer(&bare, &policy, "SW-ELF-FORTIFY", Outcome::Pass, "__strcpy_chk");
}

/// Case 10: who may do without a symbol does not need its version, where the file says so to the loader as well.
#[test]
fn case_10_a_weak_need_of_a_weak_symbol_is_no_floor_and_is_told() {
    const RULE: &str = "SW-ELF-GLIBC-FLOOR";
    let source = "extern unsigned arc4random(void) __attribute__((weak));\n\
        int main(void) { return arc4random ? (int)arc4random() : 0; }\n";
    let mut made = Workshop::open().make(source, "gcc", GCC);
    let mut policy = policy();
    policy.glibc_floor = Some("2.34".to_owned());
    // Linkers leave the need unmarked, and then glibc stops although the symbol could be missing.
    assert_answer(&made, &policy, RULE, Outcome::Fail, "GLIBC_2.36 (arc4random), hard although each symbol");
    // vna_flags, which follow the four bytes of vna_hash: those of "GLIBC_2.36".
    overwrite_bytes(&mut made, &with_flags(0), &with_flags(2));
    assert_answer(&made, &policy, RULE, Outcome::Pass, "GLIBC_2.34; weakly also GLIBC_2.36");
}

/// The beginning of the `Vernaux` of GLIBC_2.36.
fn with_flags(flags: u16) -> Vec<u8> {
    [&0x0696_91b6_u32.to_le_bytes()[..], &flags.to_le_bytes()].concat()
}

/// Case 12: every note of every segment, each property of it, at the alignment of its class.
#[test]
fn case_12_every_property_of_every_note_is_read() {
    let workshop = Workshop::open();
    let features = |bytes: &[u8]| {
        let meaning = |property: GnuProperty| property.meaning;
        elf(bytes).marks.properties.into_iter().flat_map(meaning).collect::<Vec<_>>()
    };
    let both = Policy { control_flow: vec![ControlFlow::Ibt, ControlFlow::Shstk], ..policy() };
    let link = "gcc -nostdlib -fcf-protection -pie -fPIE";
    let one = workshop.make(BARE, link, GCC);
    assert_eq!(features(&one), ["IBT", "SHSTK"]);
    assert_answer(&one, &both, "SW-ELF-CET", Outcome::Pass, "IBT, SHSTK");
    // A build-id is a second note, and the level of the processor a second property.
    let two = workshop.make(BARE, &format!("{link} -Wl,-z,x86-64-v2,--build-id=sha1"), GCC);
    assert_eq!(features(&two), ["IBT", "SHSTK", "x86-64-v2"]);
    assert!(elf(&two).notes.len() > 1 && elf(&two).build_id.is_some());
    assert_answer(&two, &both, "SW-ELF-CET", Outcome::Pass, "IBT, SHSTK");
    // In 32-bit files properties are padded to four bytes.
    let narrow = workshop.make(BARE, &format!("{link} -m32 -Wl,-z,x86-64-v2"), GCC);
    assert_eq!((elf(&narrow).class, features(&narrow)), (32, features(&two)));
    let half = workshop.make(BARE, "gcc -nostdlib -fcf-protection=branch -pie -fPIE", GCC);
    assert_answer(&half, &both, "SW-ELF-CET", Outcome::Fail, "no SHSTK");
    let none = workshop.make(BARE, "gcc -nostdlib -fcf-protection=none -pie -fPIE", GCC);
    assert_answer(&none, &both, "SW-ELF-CET", Outcome::Fail, "no GNU property");

    let options = "aarch64-linux-gnu-gcc -nostdlib -mbranch-protection=standard -Wl,-z,force-bti -pie -fPIE";
    let arm = workshop.make(BARE, options, ARM);
    assert_eq!(features(&arm), ["BTI", "PAC"]);
    let mut policy = Policy::for_target(Target::Aarch64Linux);
    policy.control_flow = vec![ControlFlow::Bti, ControlFlow::Pac];
    assert_answer(&arm, &policy, "SW-ELF-BRANCH-PROTECTION", Outcome::Pass, "BTI, PAC");
}

/// Case 13: a name that only begins like the protector's.
#[test]
fn case_13_a_function_named_after_the_protector_is_no_canary() {
    let source = format!("void __stack_chk_fail_logger(void) {{}}\n{BUFFER}");
    let policy = Policy { stack_protector: true, ..policy() };
    let workshop = Workshop::open();
    for options in ["-rdynamic", "-rdynamic -s", "-static-pie"] {
        let made = workshop.make(&source, &format!("gcc -fno-stack-protector {options}"), GCC);
        let names: Vec<_> = elf(&made).marks.stack_protector;
        assert!(!names.iter().any(|name| name.contains("logger")), "{options}: {names:?}");
        if options != "-static-pie" {
            assert_answer(&made, &policy, "SW-ELF-STACK-PROTECTOR", Outcome::Fail, "no such import");
        }
    }
}

/// Case 15: Rust needs neither, and C inside of it is judged by what is seen of it.
#[test]
fn case_15_rust_is_asked_for_no_canary_and_c_in_it_by_evidence() {
    const RUST: &str = "fn main() { println!(\"{:?}\", std::env::args()); }";
    let workshop = Workshop::open();
    let mut policy = policy();
    (policy.stack_protector, policy.fortify) = (true, true);
    let rules = ["SW-ELF-STACK-PROTECTOR", "SW-ELF-FORTIFY"];
    for options in ["", "-Cstrip=symbols"] {
        let default = workshop.rust(RUST, Target::X86_64Linux, options);
        let inside = workshop.rust(RUST, Target::X86_64LinuxMusl, options);
        for (made, rule) in
            [(&default, rules[0]), (&default, rules[1]), (&inside, rules[0]), (&inside, rules[1])]
        {
            assert_answer(made, &policy, rule, Outcome::NotApplicable, "Rust");
        }
    }
    let protected = workshop.rust(RUST, Target::X86_64Linux, "-Zstack-protector=all");
    assert_answer(&protected, &policy, rules[0], Outcome::Pass, "__stack_chk_fail");

    let with_c = |options: &str| {
        let part = "#include <string.h>\n#include <stdio.h>\n\
            int part(const char *from) { char text[64]; strcpy(text, from); return puts(text); }\n";
        workshop.write("part.c", part);
        workshop.run(&format!("gcc -O2 -fPIC {options} -c part.c -o part.o"), GCC);
        workshop.run("ar rcs libpart.a part.o", "binutils");
        let main = "unsafe extern \"C\" { fn part(from: *const std::ffi::c_char) -> i32; }\n\
            fn main() { std::process::exit(unsafe { part(c\"text\".as_ptr()) }); }";
        workshop.rust(main, Target::X86_64Linux, "--edition=2024 -L. -lstatic=part")
    };
    let guarded = with_c("-fstack-protector-strong -D_FORTIFY_SOURCE=2");
    assert_answer(&guarded, &policy, rules[0], Outcome::Pass, "__stack_chk_fail");
    assert_answer(&guarded, &policy, rules[1], Outcome::Pass, "__strcpy_chk");
    let plain = with_c("-fno-stack-protector -U_FORTIFY_SOURCE");
    assert_answer(&plain, &policy, rules[0], Outcome::NotApplicable, "GCC's own mark");
    assert_answer(&plain, &policy, rules[1], Outcome::NotApplicable, "GCC's own mark");
}

/// Case 16: one target's default is a fixed address, the other's is not.
#[test]
fn case_16_rusts_static_aarch64_program_is_at_a_fixed_address() {
    const RUST: &str = "fn main() { println!(\"{:?}\", std::env::args()); }";
    let workshop = Workshop::open();
    let target = Target::Aarch64LinuxMusl;
    let made = workshop.rust(RUST, target, "-Clinker=rust-lld");
    assert_eq!(elf(&made).shape(), ElfShape::Executable);
    assert_eq!(segments(&made, PT_GNU_RELRO).len(), 1, "RELRO is no PIE");
    let policy = Policy::for_target(target);
    assert_answer(&made, &policy, "SW-ELF-PIE", Outcome::Fail, "ET_EXEC");
    assert_answer(&made, &policy, "SW-ELF-INTERPRETER", Outcome::Pass, "no interpreter");

    let target = Target::X86_64LinuxMusl;
    let made = workshop.rust(RUST, target, "");
    assert_eq!(elf(&made).shape(), ElfShape::StaticPositionIndependent);
    assert_answer(&made, &Policy::for_target(target), "SW-ELF-PIE", Outcome::Pass, "DF_1_PIE");
}
