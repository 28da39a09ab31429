//! Faults seeded one at a time into builds that are otherwise the same: each must be told by its true cause.
//!
//! The programs are really built, with the compilers of this machine (`ci/setup`). With `SEAWORTHY_FAULTS=FOLDER` every
//! pair is kept there, so that other tools can be asked about the same files (docs/reproducibility.md).

mod support;

use std::fs;

use reproduce::{CauseKind, Verdict};
use support::{Build, Case, Linux, Pair, Windows, check, hello};

/// Two builds that differ in the folder they are made in.
fn folders(name: &'static str, build: Build) -> Case {
    let there = build.clone().folder("another/place");
    Case::programs(name, Pair { published: build, rebuilt: there }, CauseKind::PathLeak)
}

#[test]
fn nothing_is_told_of_builds_without_a_fault() {
    for build in [Build::of(Linux::Aarch64), Build::of(Linux::X86_64), Build::of(Windows).steady()] {
        let build = build.remapped();
        let there = build.clone().folder("another/place");
        let pair = Pair { published: build, rebuilt: there };
        check(Case::same("no-fault", pair, Verdict::Identical, &[]));
    }
}

#[test]
fn folders_that_are_not_remapped() {
    check(folders("missing-remap-aarch64", Build::of(Linux::Aarch64)));
    check(folders("missing-remap-x86_64", Build::of(Linux::X86_64)));
    check(folders("missing-remap-windows", Build::of(Windows).steady()));
    let build = Build::of(Linux::Aarch64).folder("one/place/x");
    let there = build.clone().folder("two/place/y");
    check(Case::programs(
        "missing-remap-same-length",
        Pair { published: build, rebuilt: there },
        CauseKind::PathLeak,
    ));
    // Only debuggers see this one.
    let quiet = "#![no_main]\n#[unsafe(no_mangle)]\npub extern \"C\" fn main() -> i32 { 7 }\n";
    check(folders("missing-remap-debug", Build::of(Linux::X86_64).source(quiet).flag("-Cdebuginfo=2")));
    check(folders(
        "c-file-macro",
        Build::of(Linux::X86_64).c("const char *where(void) { return __FILE__; }"),
    ));
    check(folders(
        "out-dir-in-the-program",
        Build::of(Linux::Aarch64).source(&hello("env!(\"OUT_DIR\")")).remapped(),
    ));
}

#[test]
fn dates() {
    let dated = |one: &str, other: &str, source: &str, target: fn() -> Build| {
        let build = target().source(source).remapped();
        Pair { published: build.clone().env("WHEN", one), rebuilt: build.env("WHEN", other) }
    };
    let text = hello("env!(\"WHEN\")");
    let case = |name, pair| Case::programs(name, pair, CauseKind::DateString);
    check(case(
        "dated-build-script",
        dated("2026-11-24T08:00:01Z", "2026-11-25T09:30:59Z", &text, || Build::of(Linux::Aarch64)),
    ));
    check(case(
        "dated-build-script-date-command",
        dated("Tue Nov 24 08:00:01 UTC 2026", "Wed Nov 25 09:30:59 UTC 2026", &text, || {
            Build::of(Linux::X86_64)
        }),
    ));
    check(case(
        "dated-build-script-seconds",
        dated("1795521296", "1795607697", &text, || Build::of(Windows).steady()),
    ));
    let number = |seconds: u64| {
        let source = hello(&format!("std::hint::black_box({seconds}_u64)"));
        Build::of(Linux::Aarch64).source(&source).remapped()
    };
    check(case(
        "dated-number-aarch64",
        Pair { published: number(1_795_521_296), rebuilt: number(1_795_607_697) },
    ));
    let number = |seconds: u64| {
        let source = hello(&format!("std::hint::black_box({seconds}_u64)"));
        Build::of(Linux::X86_64).source(&source).remapped()
    };
    check(case(
        "dated-number-x86_64",
        Pair { published: number(1_795_521_296), rebuilt: number(1_795_607_697) },
    ));
    let c =
        Build::of(Linux::X86_64).c("const char *where(void) { return __DATE__ \" \" __TIME__; }").remapped();
    check(case(
        "c-date-macro",
        Pair {
            published: c.clone().env("SOURCE_DATE_EPOCH", "1795521296"),
            rebuilt: c.env("SOURCE_DATE_EPOCH", "1795607697"),
        },
    ));
}

#[test]
fn stamps_checksums_and_signatures() {
    let stamped = Build::of(Windows).remapped();
    check(Case::programs(
        "pe-timestamp",
        Pair {
            published: stamped.clone().env("SOURCE_DATE_EPOCH", "1795521296"),
            rebuilt: stamped.clone().env("SOURCE_DATE_EPOCH", "1795607697"),
        },
        CauseKind::PeTimestamp,
    ));
    let build = Build::of(Windows).remapped().steady();
    let strip = |epoch| ["x86_64-w64-mingw32-strip", "FILE"].map(str::to_owned).to_vec().with_epoch(epoch);
    check(Case::programs(
        "gnu-strip-afterwards",
        Pair {
            published: build.clone().then(strip("1795521296")),
            rebuilt: build.clone().then(strip("1795607697")),
        },
        CauseKind::PeTimestamp,
    ));
    let wrong_sum = build.clone().edit(|bytes| {
        let header = u32::from_le_bytes(bytes[0x3c..0x40].try_into().unwrap()) as usize;
        bytes[header + 88] ^= 0x55;
    });
    check(Case::same(
        "pe-checksum",
        Pair { published: build.clone(), rebuilt: wrong_sum },
        Verdict::NormalizedIdentical,
        &[CauseKind::PeChecksum],
    ));
    let signed = build.clone().then(support::sign());
    check(Case::same(
        "signed",
        Pair { published: signed, rebuilt: build },
        Verdict::NormalizedIdentical,
        &[CauseKind::Signature, CauseKind::PeChecksum],
    ));
    let uuid = Build::of(Linux::X86_64).remapped().flag("-Clink-arg=-Wl,--build-id=uuid");
    check(Case::same(
        "random-build-id",
        Pair { published: uuid.clone(), rebuilt: uuid },
        Verdict::Explained,
        &[CauseKind::BuildIdOnly],
    ));
}

trait WithEpoch {
    fn with_epoch(self, epoch: &str) -> support::Command;
}

impl WithEpoch for Vec<String> {
    fn with_epoch(self, epoch: &str) -> support::Command {
        support::Command { words: self, env: vec![("SOURCE_DATE_EPOCH".to_owned(), epoch.to_owned())] }
    }
}

#[test]
fn random_names_of_import_libraries() {
    let source = "#[link(name = \"user32\", kind = \"raw-dylib\")]\nunsafe extern \"system\" { fn GetDoubleClickTime() -> u32; }\n\
                  fn main() { println!(\"{}\", unsafe { GetDoubleClickTime() }); }\n";
    let build = Build::of(Windows).source(source).remapped().steady();
    check(Case::programs(
        "unshimmed-dlltool",
        Pair { published: build.clone(), rebuilt: build },
        CauseKind::RawDylibSymbols,
    ));
}

#[test]
fn other_tools() {
    let build = Build::of(Linux::X86_64).remapped();
    let case = |name, published: &Build, rebuilt: Build, kind| {
        Case::programs(name, Pair { published: published.clone(), rebuilt }, kind)
    };
    // rustc passes -fuse-ld=lld only to a driver that is called cc.
    let cc = build.clone().linker("cc");
    check(case("linker-gcc", &cc, build.clone().linker("gcc"), CauseKind::LinkerIdentity));
    let arm = Build::of(Linux::Aarch64).remapped();
    let lld = fs::canonicalize("/usr/bin/ld.lld").expect("apt-get install lld");
    let lld = format!("-Clink-arg=-B{}", lld.parent().unwrap().display());
    check(case(
        "linker-lld-aarch64",
        &arm,
        arm.clone().flag("-Clink-arg=-fuse-ld=lld").flag(&lld),
        CauseKind::LinkerIdentity,
    ));
    let other_loader = arm.clone().flag("-Clink-arg=-Wl,--dynamic-linker=/opt/sysroot/ld.so");
    check(case("other-loader", &arm, other_loader, CauseKind::SysrootFloor));
    let other_start_files = arm.clone().edit(|bytes| {
        let mark = memchr::memmem::find(bytes, b"GCC: (").expect("the start files have a mark");
        bytes[mark + 6..mark + 12].copy_from_slice(b"Other ");
    });
    check(case("other-start-files", &arm, other_start_files, CauseKind::SysrootFloor));
}

#[test]
fn things_in_another_order() {
    let words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"];
    let list = |words: &[&str]| {
        let lines: Vec<_> = words.iter().map(|word| format!("({word:?}, {})", word.len())).collect();
        let array = format!("[{}]", lines.join(", "));
        hello(&format!(
            "{{ static LIST: [(&str, u64); {}] = {array}; std::hint::black_box(&LIST) }}",
            words.len()
        ))
    };
    let mut shuffled = words;
    shuffled.reverse();
    shuffled.swap(2, 7);
    for (name, build) in [
        ("hash-ordered-list-aarch64", Build::of(Linux::Aarch64)),
        ("hash-ordered-list-x86_64", Build::of(Linux::X86_64)),
        ("hash-ordered-list-windows", Build::of(Windows).steady()),
    ] {
        let build = build.remapped();
        let pair =
            Pair { published: build.clone().source(&list(&words)), rebuilt: build.source(&list(&shuffled)) };
        check(Case::programs(name, pair, CauseKind::OrderOnly));
    }
    let (one, other) = (
        "__attribute__((used)) int one(int x) { return x * 3 + (x >> 2) / 7; }",
        "__attribute__((used)) long other(long x) { while (x & 1) x = x * 5 + 1; return x; }",
    );
    let build = Build::of(Linux::X86_64).c("const char *where(void) { return \"c\"; }").remapped();
    let build = build.flag("-Clink-arg=-Wl,--no-gc-sections");
    let pair =
        Pair { published: build.clone().c_last(one).c_last(other), rebuilt: build.c_last(other).c_last(one) };
    check(Case::programs("unsorted-objects", pair, CauseKind::OrderOnly));
    let collated = |lines: &[&str]| lines.join("\n").into_bytes();
    check(Case::bytes(
        "locale-collation",
        collated(&["Zebra", "apple", "zebra"]),
        collated(&["apple", "zebra", "Zebra"]),
        Verdict::Explained,
        &[CauseKind::OrderOnly],
    ));
}

#[test]
fn a_procedural_macro_that_asks_a_hash_map() {
    let build = Build::of(Linux::X86_64).remapped().procedural_macro(support::HASHED_MACRO).source(
        "fn main() { let list = hashed::list!(); println!(\"{:?}\", std::hint::black_box(&list)); }\n",
    );
    check(Case::programs(
        "hash-map-procedural-macro",
        Pair { published: build.clone(), rebuilt: build },
        CauseKind::OrderOnly,
    ));
}

#[test]
fn symbols_and_debug_information() {
    let build = Build::of(Linux::Aarch64).remapped().flag("-Cdebuginfo=1");
    let strip = |words: &[&str]| support::Command {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        env: Vec::new(),
    };
    let stripped = build.clone().then(strip(&["aarch64-linux-gnu-strip", "FILE"]));
    check(Case::programs(
        "stripped",
        Pair { published: build.clone(), rebuilt: stripped },
        CauseKind::Stripped,
    ));
    let renamed =
        build.clone().then(strip(&["aarch64-linux-gnu-objcopy", "--redefine-sym", "main=niam", "FILE"]));
    let same = build.then(strip(&["aarch64-linux-gnu-objcopy", "FILE"]));
    check(Case::programs("renamed-symbol", Pair { published: same, rebuilt: renamed }, CauseKind::DebugInfo));
}

#[test]
fn other_code() {
    let source = hello("std::env::args().map(|text| text.len() as f64).map(f64::sqrt).sum::<f64>()");
    let build = Build::of(Linux::X86_64).remapped().source(&source);
    let arm = Build::of(Linux::Aarch64).remapped().source(&source);
    let case = |name, published: &Build, rebuilt: Build| {
        Case::programs(name, Pair { published: published.clone(), rebuilt }, CauseKind::Codegen)
    };
    check(case("other-opt-level", &build, build.clone().flag("-Copt-level=1")));
    check(case("other-target-cpu", &build, build.clone().flag("-Ctarget-cpu=x86-64-v3")));
    check(case("other-debug-assertions", &arm, arm.clone().flag("-Cdebug-assertions=yes")));
    check(case("other-panic", &arm, arm.clone().flag("-Coverflow-checks=yes").flag("-Copt-level=0")));
    let feature = source.replace("sqrt", "cbrt");
    check(case("other-feature", &arm, arm.clone().source(&feature)));
}

#[test]
fn what_has_no_cause_is_different() {
    let told = |who: &str| Build::of(Linux::Aarch64).remapped().source(&hello(&format!("{who:?}")));
    let pair = Pair { published: told("built by alice at noon"), rebuilt: told("built by carol at dusk") };
    check(Case::same("user-name", pair, Verdict::Different, &[]));
    let program = support::built(&told("x"));
    // Where nothing should be, between two sections.
    let inspect::facts::Binary::Elf(elf) = inspect::inspect(&program).unwrap().binary else { unreachable!() };
    let mut ends: Vec<_> = elf
        .sections
        .iter()
        .filter(|one| one.kind != 8 && one.offset > 0)
        .map(|one| (one.offset, one.offset + one.size))
        .collect();
    ends.sort_unstable();
    let gap = ends.windows(2).find(|pair| pair[0].1 + 8 < pair[1].0).expect("linkers align sections")[0].1;
    let mut hidden = program.clone();
    hidden[gap as usize + 4] = b'A';
    let compared = reproduce::compare("x", &program, &hidden);
    assert_eq!(compared.verdict, Verdict::Different, "{compared:?}");
    assert_eq!(compared.unexplained[0].section, "between sections");
    let mut bent = program.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 0xff;
    let compared = reproduce::compare("x", &program, &bent);
    assert!(!compared.verdict.is_same(), "{compared:?}");
}

#[test]
fn archives() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("in")).unwrap();
    fs::write(place.join("in/a"), "one").unwrap();
    fs::write(place.join("in/b"), "two".repeat(500)).unwrap();
    for (name, published, rebuilt, kind) in [
        ("tar-order", "tar -cf OUT --mtime=@0 a b", "tar -cf OUT --mtime=@0 b a", CauseKind::OrderOnly),
        (
            "tar-time",
            "tar -cf OUT --mtime=@0 a b",
            "tar -cf OUT --mtime=@9999 a b",
            CauseKind::ArchiveMetadata,
        ),
        (
            "tar-umask",
            "tar -cf OUT --mtime=@0 --mode=0644 a b",
            "tar -cf OUT --mtime=@0 --mode=0600 a b",
            CauseKind::ArchiveMetadata,
        ),
        (
            "tar-owner",
            "tar -cf OUT --mtime=@0 --owner=0 a b",
            "tar -cf OUT --mtime=@0 --owner=1000 a b",
            CauseKind::ArchiveMetadata,
        ),
        (
            "gzip-level",
            "tar -cf - --mtime=@0 a b | gzip -n -1 >OUT",
            "tar -cf - --mtime=@0 a b | gzip -n -9 >OUT",
            CauseKind::Compressor,
        ),
        ("zip-order", "zip -qX OUT a b", "zip -qX OUT b a", CauseKind::OrderOnly),
        (
            "zip-time",
            "touch -d @1000000000 a b; zip -qX OUT a b",
            "touch -d @1100000000 a b; zip -qX OUT a b",
            CauseKind::ArchiveMetadata,
        ),
        (
            "zip-umask",
            "touch -d @1000000000 a b; chmod 644 a b; zip -qX OUT a b",
            "chmod 600 a b; zip -qX OUT a b",
            CauseKind::ArchiveMetadata,
        ),
        ("zip-level", "zip -qX1 OUT a b", "zip -qX9 OUT a b", CauseKind::Compressor),
    ] {
        let make = |side: &str, script: &str| {
            let out =
                place.join(format!("{name}.{side}{}", if name.starts_with("zip") { ".zip" } else { "" }));
            support::shell(&place.join("in"), &script.replace("OUT", out.to_str().unwrap()));
            out
        };
        let (one, other) = (make("published", published), make("rebuilt", rebuilt));
        let (file, members) = reproduce::compare_archives(name, &one, &other).unwrap();
        support::keep(name, &fs::read(&one).unwrap(), &fs::read(&other).unwrap());
        assert_eq!(file.verdict, Verdict::Explained, "{name}: {file:?}");
        assert_eq!(
            file.causes.iter().map(|cause| cause.kind).collect::<Vec<_>>(),
            [kind],
            "{name}: {file:?}"
        );
        assert!(members.is_empty(), "{name}: {members:?}");
    }
}
