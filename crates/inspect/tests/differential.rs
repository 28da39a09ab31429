//! The same facts from `readelf` and `objdump`, over files that are not ours.
//!
//! A sample by default; every ELF file of /usr/bin and /usr/lib with `SEAWORTHY_DIFFERENTIAL=all`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use inspect::facts::{AbiTag, Binary, Elf, GnuProperty, Pe};
use xshell::{Shell, cmd};

const SAMPLE: usize = 300;

#[test]
fn elf_files_of_this_machine_read_as_readelf_reads_them() {
    let files = elf_files();
    assert!(
        files.len() >= SAMPLE.min(files.len()).max(50),
        "only {} ELF files in /usr/bin and /usr/lib",
        files.len()
    );
    let shell = Shell::new().unwrap();
    let mut differences = Vec::new();
    for batch in files.chunks(100) {
        let text = cmd!(shell, "readelf -hldVnW {batch...}")
            .env("LC_ALL", "C")
            .quiet()
            .ignore_status()
            .ignore_stderr()
            .read()
            .expect("readelf runs: apt-get install binutils");
        let theirs = by_file(&text, batch);
        for path in batch {
            let bytes = fs::read(path).unwrap();
            let facts =
                inspect::inspect(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let Binary::Elf(ours) = &facts.binary else { panic!("{} is an ELF file", path.display()) };
            for anomaly in &facts.anomalies {
                differences.push(format!("{}: {anomaly:?}", path.display()));
            }
            compare(path, ours, &theirs[path], &mut differences);
            for disagreement in inspect::second_opinion(&bytes, &facts) {
                differences.push(format!("{}: {disagreement:?}", path.display()));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} files:\n{}",
        differences.len(),
        files.len(),
        differences.join("\n")
    );
}

#[test]
fn pe_files_read_as_objdump_reads_them() {
    let shell = Shell::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("program.c");
    fs::write(&source, "#include <windows.h>\nint main(void) { Sleep(1); return GetTickCount() == 0; }\n__declspec(dllexport) int answer(void) { return 42; }\n").unwrap();
    let mut files = Vec::new();
    for (name, options) in
        [("console.exe", vec![]), ("gui.exe", vec!["-mwindows", "-s"]), ("library.dll", vec!["-shared"])]
    {
        let out = folder.path().join(name);
        cmd!(shell, "x86_64-w64-mingw32-gcc -O1 -g {options...} -o {out} {source}")
            .quiet()
            .run()
            .expect("mingw links: apt-get install gcc-mingw-w64-x86-64");
        files.push(out);
    }
    files.extend(wine_modules(&shell, &folder.path().join("wine")));
    let mut differences = Vec::new();
    for path in &files {
        let bytes = fs::read(path).unwrap();
        if !inputs::looks_like_a_program(&bytes) {
            continue;
        }
        let text = cmd!(shell, "x86_64-w64-mingw32-objdump -p {path}")
            .env("LC_ALL", "C")
            .quiet()
            .ignore_stderr()
            .read()
            .expect("objdump runs: apt-get install binutils-mingw-w64-x86-64");
        let facts = inspect::inspect(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Binary::Pe(ours) = &facts.binary else { panic!("{} is a PE file", path.display()) };
        for anomaly in &facts.anomalies {
            differences.push(format!("{}: {anomaly:?}", path.display()));
        }
        compare_pe(path, ours, &text, &mut differences);
        for disagreement in inspect::second_opinion(&bytes, &facts) {
            differences.push(format!("{}: {disagreement:?}", path.display()));
        }
    }
    assert!(
        differences.is_empty(),
        "{} in {} files:\n{}",
        differences.len(),
        files.len(),
        differences.join("\n")
    );
}

/// Wine's own modules, PE32 and PE32+, out of the image that builds for Windows: files that nobody linked for us.
fn wine_modules(shell: &Shell, into: &Path) -> Vec<PathBuf> {
    let images = cmd!(shell, "docker images --quiet localhost/seaworthy-x86_64-windows").quiet().read();
    let images = images.expect("Docker answers: ci/setup starts it");
    let image = images.lines().next().expect("the image is there: cargo xtask toolchain image --bootstrap");
    let find = "find /usr/lib/x86_64-linux-gnu/wine/*-windows -type f";
    let in_image = cmd!(shell, "docker run --rm --network none {image} sh -c {find}").quiet().read();
    let chosen = sampled(in_image.expect("the image runs").lines().map(PathBuf::from).collect());
    assert!(chosen.len() >= SAMPLE, "only {} files of Wine in {image}", chosen.len());
    fs::create_dir(into).unwrap();
    cmd!(shell, "docker run --rm --network none --volume {into}:/out {image} cp --parents {chosen...} /out")
        .quiet()
        .run()
        .expect("the modules can be copied");
    walk(into)
}

fn elf_files() -> Vec<PathBuf> {
    let mut files = walk(Path::new("/usr/bin"));
    files.extend(walk(Path::new("/usr/lib")));
    files.retain(|path| {
        use std::io::Read;
        let mut magic = [0; 4];
        fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
    });
    // A kernel module or an object file has no segments to compare, and readelf prints them in another form.
    files.retain(|path| {
        !matches!(path.extension().and_then(|text| text.to_str()), Some("o" | "ko" | "debug"))
    });
    sampled(files)
}

fn sampled(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort();
    if std::env::var_os("SEAWORTHY_DIFFERENTIAL").is_some_and(|value| value == "all") {
        return files;
    }
    let step = (files.len() / SAMPLE).max(1);
    files.into_iter().step_by(step).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(walk(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

/// readelf's text cut at its `File: ` lines; a single file has none.
fn by_file(text: &str, files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    if let [only] = files {
        return BTreeMap::from([(only.clone(), text.to_owned())]);
    }
    let mut parts = BTreeMap::new();
    for part in format!("\n{text}").split("\nFile: ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        parts.insert(PathBuf::from(name), text.to_owned());
    }
    parts
}

fn compare(path: &Path, ours: &Elf, theirs: &str, differences: &mut Vec<String>) {
    let mut differ = |fact: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{}: {fact}: ours {ours}, readelf's {theirs}", path.display()));
        }
    };
    let header = |name: &str| {
        let line = theirs.lines().find(|line| line.trim_start().starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    differ("class", format!("ELF{}", ours.class), header("Class:"));
    differ("entry", format!("{:#x}", ours.entry), header("Entry point address:"));
    differ("big endian", ours.big_endian.to_string(), header("Data:").contains("big").to_string());
    let kind = match ours.file_type {
        2 => "EXEC",
        3 => "DYN",
        1 => "REL",
        _ => "?",
    };
    differ("type", kind.to_owned(), header("Type:").split(' ').next().unwrap_or_default().to_owned());
    differ(
        "segments",
        ours.segments.len().to_string(),
        header("Number of program headers:").split(' ').next().unwrap_or_default().to_owned(),
    );
    differ(
        "sections",
        ours.sections.len().to_string(),
        header("Number of section headers:").split(' ').next().unwrap_or_default().to_owned(),
    );

    let requested =
        theirs.split_once("[Requesting program interpreter: ").and_then(|(_, rest)| rest.split_once(']'));
    differ(
        "interpreter",
        format!("{:?}", ours.interpreter.as_deref()),
        format!("{:?}", requested.map(|(path, _)| path)),
    );
    let bracketed = |tag: &str| -> Vec<String> {
        let lines = theirs.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| Some(line.split_once('[')?.1.strip_suffix(']')?.to_owned())).collect()
    };
    differ("needed", format!("{:?}", ours.needed), format!("{:?}", bracketed("(NEEDED)")));
    differ("soname", format!("{:?}", ours.soname), format!("{:?}", bracketed("(SONAME)").pop()));
    differ("runpath", format!("{:?}", ours.runpath), format!("{:?}", bracketed("(RUNPATH)").pop()));
    differ("rpath", format!("{:?}", ours.rpath), format!("{:?}", bracketed("(RPATH)").pop()));

    let after = |words: &str| -> Vec<&str> {
        theirs.lines().filter_map(|line| Some(line.split_once(words)?.1.trim())).collect()
    };
    let property = |property: &GnuProperty| format!("{}: {}", property.name, property.meaning.join(", "));
    let properties: Vec<_> = ours.marks.properties.iter().map(property).collect();
    differ("GNU properties", properties.join(", "), after(" Properties: ").join(", "));
    let tag = |tag: AbiTag| format!("{}.{}.{}", tag.kernel[0], tag.kernel[1], tag.kernel[2]);
    differ(
        "ABI tag",
        format!("{:?}", ours.marks.abi_tag.map(tag)),
        format!("{:?}", after("OS: Linux, ABI: ").first().map(|version| (*version).to_owned())),
    );
    differ(
        "package",
        format!("{:?}", ours.marks.package.as_deref()),
        format!("{:?}", after("Packaging Metadata: ").first()),
    );

    let loads = theirs.lines().filter_map(|line| line.trim_start().strip_prefix("LOAD "));
    let loads: Vec<Vec<u64>> = loads
        .map(|line| {
            let words = line.split_whitespace().filter_map(|word| word.strip_prefix("0x"));
            words.take(5).filter_map(|word| u64::from_str_radix(word, 16).ok()).collect()
        })
        .collect();
    let ours_loads = ours.segments.iter().filter(|segment| segment.kind == 1);
    let ours_loads: Vec<Vec<u64>> = ours_loads
        .map(|segment| {
            vec![
                segment.offset,
                segment.virtual_address,
                segment.physical_address,
                segment.file_size,
                segment.memory_size,
            ]
        })
        .collect();
    differ("loads", format!("{ours_loads:x?}"), format!("{loads:x?}"));

    // "  0x0010:   Name: GLIBC_2.17  Flags: none  Version: 4"
    let names = theirs.split_once("Version needs section").map_or("", |(_, rest)| rest).lines();
    let mut names: Vec<_> = names
        .filter(|line| line.contains("Flags:"))
        .filter_map(|line| line.split_once("Name: ")?.1.split_whitespace().next().map(str::to_owned))
        .collect();
    let mut ours_names: Vec<_> = ours
        .versions_needed
        .iter()
        .flat_map(|need| need.versions.iter().map(|version| version.name.clone()))
        .collect();
    names.sort();
    ours_names.sort();
    differ("versions needed", format!("{ours_names:?}"), format!("{names:?}"));
}

fn compare_pe(path: &Path, ours: &Pe, theirs: &str, differences: &mut Vec<String>) {
    let mut differ = |fact: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{}: {fact}: ours {ours}, objdump's {theirs}", path.display()));
        }
    };
    let field = |name: &str| {
        let line = theirs.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default().to_owned()
    };
    // Written with as many zeros as the class has digits.
    let plain = |name: &str| {
        let text = field(name);
        u64::from_str_radix(&text, 16).map_or(text, |number| format!("{number:x}"))
    };
    differ("subsystem", format!("{:08x}", ours.subsystem), field("Subsystem"));
    differ("DLL characteristics", format!("{:08x}", ours.dll_characteristics), field("DllCharacteristics"));
    differ("image base", format!("{:x}", ours.image_base), plain("ImageBase"));
    differ("entry", format!("{:x}", ours.entry), plain("AddressOfEntryPoint"));
    differ("checksum", format!("{:08x}", ours.checksum), field("CheckSum"));
    differ("size of image", format!("{:08x}", ours.size_of_image), field("SizeOfImage"));
    let libraries = theirs.lines().filter_map(|line| line.trim_start().strip_prefix("DLL Name: "));
    let libraries: Vec<_> = libraries.map(str::to_owned).collect();
    let ours_libraries = ours.imports.iter().filter(|import| !import.delayed);
    let ours_libraries: Vec<_> = ours_libraries.map(|import| import.library.clone()).collect();
    differ("imports", format!("{ours_libraries:?}"), format!("{libraries:?}"));
}
