//! Two Debian systems, one of them bent in fifty places: each is found, in the right order, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use artifact::Date;
use environment::{
    Capture, Class, Drift, DriftPolicy, ErrorKind, Fact, Fleet, Place, Request, Verdict, Wanted, capture,
    diff,
};
use support::roots::{self, shell};

/// What facts are read from.
const PARTS: &str = "etc var/lib/dpkg usr/lib usr/lib64 bin lib lib64 sbin";

/// Changes a text file.
fn edit(path: &Path, change: impl FnOnce(&mut String)) {
    let before = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut after = before.clone();
    change(&mut after);
    assert_ne!(before, after, "{} was to be changed", path.display());
    fs::write(path, after).unwrap();
}

fn taken(root: &Path, artifacts: &[Wanted]) -> Capture {
    let request = Request { artifacts: artifacts.to_vec(), ..Request::default() };
    capture(&Place::open(root.to_str().unwrap()).unwrap(), &request).unwrap()
}

fn drift(a: &Capture, b: &Capture) -> Drift {
    diff(a, b, &DriftPolicy::default()).unwrap()
}

/// Bends the root, and gives what it bent as `class/key`.
fn inject(root: &Path) -> BTreeSet<String> {
    let mut injected = BTreeSet::new();
    // Twenty packages: other revisions, other versions, removed, added.
    let status = root.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&status).unwrap();
    let mut packages: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
    let name =
        |package: &str| package.lines().find_map(|line| line.strip_prefix("Package: ")).unwrap().to_owned();
    let is_plain = |package: &&mut String| {
        let name = name(package);
        package.contains("\nVersion: ") && !name.starts_with("lib") && !name.starts_with("gcc")
    };
    for (index, package) in packages
        .iter_mut()
        .filter(|package| package.starts_with("Package"))
        .filter(is_plain)
        .take(17)
        .enumerate()
    {
        let version = package.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap().to_owned();
        let other = if index % 2 == 0 { format!("{version}+bent{index}") } else { format!("99.{index}-1") };
        *package = package.replace(&format!("\nVersion: {version}\n"), &format!("\nVersion: {other}\n"));
        injected.insert(format!("inventory/{}", name(package)));
    }
    packages.retain(|package| !package.starts_with("Package: tzdata\n"));
    injected.insert("inventory/tzdata".to_owned());
    for added in ["extra-one", "extra-two"] {
        packages.insert(
            1,
            format!("Package: {added}\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0-1"),
        );
        injected.insert(format!("inventory/{added}"));
    }
    fs::write(&status, packages.join("\n\n")).unwrap();
    // Eighteen settings.
    for index in 0..6 {
        fs::write(root.join(format!("etc/added-{index}.conf")), "added").unwrap();
        injected.insert(format!("config//etc/added-{index}.conf"));
    }
    for file in ["debconf.conf", "deluser.conf", "fstab", "issue", "issue.net", "nsswitch.conf", "pam.conf"] {
        edit(&root.join("etc").join(file), |text| text.push_str("# bent\n"));
        injected.insert(format!("config//etc/{file}"));
    }
    for file in ["bash.bashrc", "xattr.conf"] {
        fs::remove_file(root.join("etc").join(file)).unwrap();
        injected.insert(format!("config//etc/{file}"));
    }
    fs::write(root.join("etc/environment"), "LANG=de\nDB_PASSWORD=hunter2\nPROXY=here\n").unwrap();
    injected.extend(["LANG", "DB_PASSWORD", "PROXY"].map(|name| format!("config/variable {name}")));
    // Eight of the runtime.
    fs::remove_file(root.join("etc/localtime")).unwrap_or_default();
    symlink("/usr/share/zoneinfo/Asia/Kathmandu", root.join("etc/localtime")).unwrap();
    injected.insert("runtime/time zone".to_owned());
    fs::write(root.join("etc/default/locale"), "LANG=tr_TR.UTF-8\n").unwrap();
    injected.insert("runtime/locale LANG".to_owned());
    edit(&root.join("etc/passwd"), |text| {
        *text = text.replace("games:x:5:60:", "games:x:77:60:");
        for user in ["one", "two", "three", "four"] {
            text.push_str(&format!("{user}:x:1000:1000::/:/bin/sh\n"));
        }
    });
    injected.extend(["games", "one", "two", "three", "four"].map(|user| format!("runtime/user {user}")));
    edit(&root.join("usr/lib/os-release"), |text| {
        *text = text.replace("VERSION_ID=\"12\"", "VERSION_ID=\"12.1\"")
    });
    injected.insert("runtime/system VERSION_ID".to_owned());
    // Four libraries: other builds and one that is gone.
    for library in ["libm.so.6", "libresolv.so.2", "libpthread.so.0"] {
        let path = root.join("usr/lib/x86_64-linux-gnu").join(library);
        let mut bytes = fs::read(&path).unwrap();
        let note = bytes.windows(8).position(|bytes| bytes == b"\x03\0\0\0GNU\0").unwrap();
        bytes[note + 8] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        injected.insert(format!("abi/{library}"));
    }
    fs::remove_file(root.join("usr/lib/x86_64-linux-gnu/libgcc_s.so.1")).unwrap();
    injected.insert("abi/libgcc_s.so.1".to_owned());
    injected
}

#[test]
fn fifty_injected_differences_are_found_in_order_and_nothing_else() {
    let original = roots::native();
    let bent = roots::copy_of(&original, PARTS);
    let injected = inject(bent.path());
    assert_eq!(injected.len(), 50, "{injected:#?}");
    let (a, b) = (taken(&original, &[]), taken(bent.path(), &[]));
    let drift = drift(&a, &b);
    let found: BTreeSet<String> =
        drift.differences.iter().map(|one| format!("{}/{}", one.class.name(), one.key)).collect();
    assert_eq!(found.difference(&injected).collect::<Vec<_>>(), Vec::<&String>::new(), "false positives");
    assert_eq!(injected.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "missed");
    assert_eq!(drift.verdict, Verdict::Drifted);
    // A library that is gone weighs most, then other builds of libraries; every package by itself weighs least.
    assert_eq!(drift.differences[0].key, "libgcc_s.so.1");
    assert!(drift.differences[0].fix.starts_with("install libgcc-s1="), "{}", drift.differences[0].fix);
    assert!(
        drift.differences[1..4].iter().all(|one| one.class == Class::Abi),
        "{:#?}",
        &drift.differences[..5]
    );
    let least = drift.differences.last().unwrap();
    assert_eq!(least.class, Class::Inventory);
    for pair in drift.differences.windows(2) {
        assert!(pair[0].points >= pair[1].points);
    }
    let sum: f64 = drift.differences.iter().map(|one| one.points).sum();
    assert!((sum - drift.score).abs() < 1e-9, "points are shares of the rate: {sum} {}", drift.score);
    let text = String::from_utf8(b.to_bytes()).unwrap();
    assert!(!text.contains("hunter2") && text.contains("DB_PASSWORD"));
    for one in &drift.differences {
        assert!(!one.why.is_empty() && !one.fix.is_empty(), "{one:#?}");
    }
}

#[test]
fn the_same_place_twice_scores_nothing_however_it_comes() {
    let original = roots::native();
    let folder = tempfile::tempdir().unwrap();
    for script in [
        "tar -C ROOT -cf OUT/a.tar .",
        "tar -C ROOT -czf OUT/a.tar.gz --sort=name etc usr var lib lib64 bin sbin",
    ] {
        let script = script
            .replace("ROOT", original.to_str().unwrap())
            .replace("OUT", folder.path().to_str().unwrap());
        shell(&script);
    }
    let name = |capture: Capture| Capture { name: String::new(), ..capture };
    let a = name(taken(&original, &[]));
    for archive in ["a.tar", "a.tar.gz"] {
        let b = name(taken(&folder.path().join(archive), &[]));
        assert_eq!(a.to_bytes(), b.to_bytes(), "{archive}");
    }
    let none = drift(&a, &a);
    assert_eq!((none.verdict, none.score, none.differences.len()), (Verdict::Within, 0.0, 0));
    assert!(none.coverage > 0.999, "{}", none.coverage);
    assert_eq!(Capture::read("a", &a.to_bytes()).unwrap(), a);
    // dpkg's own list has the same packages.
    let told = shell(&format!(
        "dpkg-query --admindir={}/var/lib/dpkg -W -f '${{Package}} ${{Version}}\\n'",
        original.display()
    ));
    let told: BTreeSet<_> = told.lines().collect();
    let ours = a.facts[&Class::Inventory]
        .iter()
        .map(|(key, fact)| format!("{} {}", key.split(':').next().unwrap(), fact.value));
    let ours: BTreeSet<_> = ours.collect();
    assert_eq!(ours.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
}

#[test]
fn libc_one_version_back_weighs_more_than_five_hundred_leaves() {
    let fact = |value: &str, version: &str, weight: u32| Fact {
        value: value.to_owned(),
        version: Some(version.to_owned()),
        weight: Some(weight),
        ..Fact::default()
    };
    for libraries in [2, 20, 300] {
        let mut a = Capture { schema_version: 1, ..Capture::default() };
        let abi = a.facts.entry(Class::Abi).or_default();
        // Everything needs libc; the others are needed by one or two.
        abi.insert("libc.so.6".to_owned(), fact("c", "2.36-9", 1 + libraries));
        for index in 0..libraries {
            abi.insert(format!("lib{index}.so.1"), fact("x", "1.0-1", 2));
        }
        let inventory: BTreeMap<_, _> =
            (0..600).map(|index| (format!("leaf{index}"), fact("1.0-1", "1.0-1", 1))).collect();
        a.facts.insert(Class::Inventory, inventory);
        let mut older = a.clone();
        older
            .facts
            .get_mut(&Class::Abi)
            .unwrap()
            .insert("libc.so.6".to_owned(), fact("o", "2.35-1", 1 + libraries));
        let mut leaves = a.clone();
        for (_, fact) in leaves.facts.get_mut(&Class::Inventory).unwrap().iter_mut().take(500) {
            (fact.value, fact.version) = ("1.0-2".to_owned(), Some("1.0-2".to_owned()));
        }
        let (older, leaves) = (drift(&a, &older).score, drift(&a, &leaves).score);
        assert!(older > leaves, "{libraries} libraries: {older} {leaves}");
    }
}

#[test]
fn what_a_program_lacks_there_fails_whatever_the_rate() {
    let original = roots::native();
    let bent = roots::copy_of(&original, PARTS);
    let program = Wanted {
        name: "apt-get".to_owned(),
        bytes: fs::read(original.join("usr/bin/apt-get")).unwrap(),
        installed: Some("/usr/bin/apt-get".into()),
    };
    let wanted = [program];
    assert_eq!(
        environment::missing(&Place::open(original.to_str().unwrap()).unwrap(), &wanted[0]).unwrap(),
        Vec::<String>::new()
    );
    let a = taken(&original, &wanted);
    assert_eq!(drift(&a, &taken(&original, &wanted)).verdict, Verdict::Within);
    let library = bent.path().join("usr/lib/x86_64-linux-gnu");
    for entry in fs::read_dir(&library).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("libstdc++.so.6") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let b = taken(bent.path(), &wanted);
    let gated = drift(&a, &b);
    assert_eq!(gated.verdict, Verdict::Gated);
    let gate = gated.gates.iter().find(|gate| gate.key == "apt-get: library libstdc++.so.6").unwrap();
    assert!(
        gate.why.contains("libstdc++.so.6, needed by ") && gate.why.ends_with("is absent in B"),
        "{}",
        gate.why
    );
    assert!(gate.fix.starts_with("install libstdc++6="), "{}", gate.fix);
    let lenient = DriftPolicy { threshold: 100.0, ..DriftPolicy::default() };
    assert_eq!(diff(&a, &b, &lenient).unwrap().verdict, Verdict::Gated);
    // Captured without the program, nothing can be said of it.
    assert_eq!(drift(&a, &taken(&original, &[])).verdict, Verdict::NotComparable);
    let told =
        environment::missing(&Place::open(bent.path().to_str().unwrap()).unwrap(), &wanted[0]).unwrap();
    assert!(told.iter().any(|why| why.contains("library libstdc++.so.6")), "{told:?}");
}

#[test]
fn a_system_for_another_processor_fails_and_is_read_on_this_one() {
    let cross = Path::new("/usr/aarch64-linux-gnu");
    assert!(cross.join("lib/libc.so.6").exists(), "apt-get install libc6-arm64-cross");
    let b = taken(cross, &[]);
    assert_eq!(b.architecture.as_deref(), Some("aarch64"));
    let drift = drift(&taken(&roots::native(), &[]), &b);
    assert_eq!(drift.verdict, Verdict::Gated);
    assert!(drift.gates.iter().any(|gate| gate.key == "architecture" && gate.why.contains("aarch64")));
}

#[test]
fn hostile_places_are_read_without_leaving_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    fs::write(folder.path().join("outside"), "secret outside").unwrap();
    fs::write(root.join("etc/inside"), "x").unwrap();
    for (name, target) in [
        ("etc/loop", "loop"),
        ("etc/up", "../../outside"),
        ("etc/absolute", "/etc/inside"),
        ("etc/circle", "/etc"),
        ("lib", "usr/lib"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    shell(&format!("mkfifo {}/etc/pipe", root.display()));
    let capture = taken(&root, &[]);
    let config = &capture.facts[&Class::Config];
    assert_eq!(config["/etc/up"].value, "-> ../../outside", "a link is what it says");
    assert!(!String::from_utf8(capture.to_bytes()).unwrap().contains("secret"));
    assert!(capture.unknown.iter().any(|unknown| unknown.key == "packages"));
    // An archive with names and links that lead out.
    let archive = folder.path().join("hostile.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    let mut add = |name: &str, kind, link: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        if !link.is_empty() {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    };
    use tar::EntryType::{Char, Link, Regular, Symlink};
    add("etc/a", Regular, "", b"a");
    add("../etc/escape", Regular, "", b"out");
    add("etc/../../etc/escape", Regular, "", b"out");
    add("etc/b", Link, "../../outside", b"");
    add("usr/lib", Symlink, "/", b"");
    add("usr/lib/os-release", Regular, "", b"PRETTY_NAME=\"x\"\n");
    add("etc/c", Symlink, folder.path().join("outside").to_str().unwrap(), b"");
    add("etc/c/d", Regular, "", b"through the link");
    add("etc/device", Char, "", b"");
    tar.into_inner().unwrap();
    let capture = taken(&archive, &[]);
    assert!(!folder.path().join("escape").exists() && !Path::new("/etc/escape").exists());
    assert_eq!(fs::read_to_string(folder.path().join("outside")).unwrap(), "secret outside");
    assert_eq!(
        capture.unknown.iter().filter(|unknown| unknown.why.contains("leads out")).count(),
        3,
        "{:#?}",
        capture.unknown
    );
    assert!(capture.facts[&Class::Config].contains_key("/etc/a"));
    // Cut off anywhere, it is an error or an honest part.
    let bytes = fs::read(&archive).unwrap();
    for length in (0..bytes.len()).step_by(509) {
        fs::write(&archive, &bytes[..length]).unwrap();
        let _ = Place::open(archive.to_str().unwrap());
    }
    for nothing in [
        "/no/such/place",
        "docker://no-such-image-of-anybody",
        folder.path().join("outside").to_str().unwrap(),
    ] {
        let error = Place::open(nothing).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_fleet_is_told_by_prevalence_and_by_what_differs_most() {
    let fact = |value: &str| Fact { value: value.to_owned(), ..Fact::default() };
    let place = |name: usize, config: &str, inventory: &str| {
        let mut capture =
            Capture { schema_version: 1, name: format!("host-{name:03}"), ..Capture::default() };
        capture.facts.entry(Class::Config).or_default().insert("/etc/app.conf".to_owned(), fact(config));
        capture.facts.entry(Class::Inventory).or_default().insert("leaf".to_owned(), fact(inventory));
        capture
    };
    let baseline = place(0, "good", "1");
    let policy = DriftPolicy::default();
    let (mut one, mut other) = (Fleet::default(), Fleet::default());
    for index in 0..100 {
        let config = if index % 4 == 0 { "bad" } else { "good" };
        let inventory = if index % 2 == 0 { "2" } else { "1" };
        let part = if index % 3 == 0 { &mut one } else { &mut other };
        part.add(&baseline, &place(index, config, inventory), &policy);
    }
    one.merge(other);
    let fleet = one.finish(&baseline, &policy).unwrap();
    assert_eq!(
        (fleet.places, fleet.verdicts[&Verdict::Within], fleet.verdicts[&Verdict::Drifted]),
        (100, 50, 50)
    );
    assert!((fleet.prevalence - 0.25).abs() < 1e-9, "inventory alone does not count: {}", fleet.prevalence);
    let told: Vec<_> = fleet.keys.iter().map(|key| (key.key.as_str(), key.places)).collect();
    assert_eq!(told, [("leaf", 50), ("/etc/app.conf", 25)]);
    assert_eq!(fleet.keys[1].values, [("bad".to_owned(), 25)]);
    assert_eq!(fleet.worst[0].name, "host-000");
}

#[test]
fn waivers_let_pass_what_they_name_and_must_be_of_use() {
    let today = Date::parse("2026-06-30").unwrap();
    let waiver = |key: &str, expires: &str| {
        format!(
            "[[waiver]]\nkey = \"{key}\"\nreason = \"known\"\nticket = \"SHIP-7\"\nexpires = \"{expires}\"\n"
        )
    };
    let mut a = Capture { schema_version: 1, ..Capture::default() };
    for key in ["/etc/motd", "/etc/issue"] {
        let fact = Fact { value: "x".to_owned(), ..Fact::default() };
        a.facts.entry(Class::Config).or_default().insert(key.to_owned(), fact);
    }
    let mut b = a.clone();
    b.facts.get_mut(&Class::Config).unwrap().get_mut("/etc/motd").unwrap().value = "y".to_owned();
    let policy = DriftPolicy::parse("p", &waiver("config//etc/m*", "2026-06-30"), today).unwrap();
    let drift = diff(&a, &b, &policy).unwrap();
    assert_eq!((drift.verdict, drift.score), (Verdict::Within, 0.0));
    assert_eq!(drift.differences[0].waived.as_ref().unwrap().ticket, "SHIP-7", "it stays in the report");
    let error = diff(&a, &a, &policy).unwrap_err();
    assert!(error.kind() == ErrorKind::BadPolicy && error.to_string().contains("waives nothing"), "{error}");
    for (text, told) in [
        (waiver("config/x", "2026-06-29"), "expired on 2026-06-29"),
        (waiver("config/x", "soon"), "which is no day"),
        (waiver("config/x", "2999-01-01").repeat(2), "twice"),
        (waiver("", "2999-01-01"), "empty `key`"),
        (waiver("config/x", "2999-01-01").replace("ticket", "tiket"), "tiket"),
        ("threshold = 101.0\n".to_owned(), "out of range"),
        ("treshold = 1.0\n".to_owned(), "treshold"),
    ] {
        let error = DriftPolicy::parse("drift.toml", &text, today).unwrap_err();
        assert!(
            error.to_string().contains(told) && error.to_string().contains("drift.toml"),
            "{told}: {error}"
        );
    }
    let error = Capture::read("c", b"{\"schema_version\": 2}").unwrap_err();
    assert!(error.kind() == ErrorKind::NotACapture && error.to_string().contains("version 2"), "{error}");
    assert!(Capture::read("c", b"{\"schema_version\": 1, \"name\": \"x\"}").is_err());
}

#[test]
fn versions_are_in_dpkgs_order() {
    let versions = [
        "1.0",
        "1.0-1",
        "1.0-2",
        "1.0-10",
        "1.0~rc1",
        "1.0~rc1-1",
        "1.0+b1",
        "1.0a",
        "1.0.1",
        "1:0.1",
        "0",
        "1.01",
        "2.36-9+deb12u8",
        "2.36-9+deb12u13",
        "2.35-0ubuntu3",
        "1.0-1~bpo12+1",
        "1.0-1+b2",
        "9.9.9-z",
        "1.2.3-4.5",
        "a",
    ];
    let mut script = String::new();
    let mut ours = Vec::new();
    for one in versions {
        for other in versions {
            for word in ["lt", "eq", "gt"] {
                script +=
                    &format!("dpkg --compare-versions '{one}' {word} '{other}' 2>/dev/null && echo {word}\n");
            }
            ours.push(match environment::Version::parse(one).cmp(&environment::Version::parse(other)) {
                std::cmp::Ordering::Less => "lt",
                std::cmp::Ordering::Equal => "eq",
                std::cmp::Ordering::Greater => "gt",
            });
        }
    }
    let told = shell(&(script + "true\n"));
    assert_eq!(told.lines().collect::<Vec<_>>(), ours);
}
