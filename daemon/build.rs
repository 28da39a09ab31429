//! Links the resources into the Windows program: the texts of its events, its version and its manifest. For every other
//! target it does nothing.

#[path = "src/resources/mod.rs"]
mod resources;

use std::path::Path;
use std::{env, fs};

use resources::{MANIFEST, MANIFEST_TEXT, MESSAGE_TABLE, Machine, Resource, VERSION};

macro_rules! catalogue {
    ($($variant:ident = $number:literal, $name:literal, $level:ident, $text:literal;)*) => {
        /// Number, name and meaning of every event.
        const EVENTS: &[(u32, &str, &str)] = &[$(($number, $name, $text)),*];
    };
}

include!("src/log/catalogue.in");

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/resources");
    println!("cargo:rerun-if-changed=src/log/catalogue.in");
    if variable("CARGO_CFG_TARGET_OS") != "windows" {
        return;
    }
    let machine = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => Machine::X86_64,
        "aarch64" => Machine::Aarch64,
        other => panic!("no resources for {other}: add its relocation to src/resources/object.rs"),
    };
    let version = variable("CARGO_PKG_VERSION");
    let lines = [
        ("CompanyName", "Seaworthy"),
        ("FileDescription", "Seaworthy service supervisor"),
        ("InternalName", "seaworthyd"),
        ("LegalCopyright", "MIT OR Apache-2.0"),
        ("OriginalFilename", "seaworthyd.exe"),
        ("ProductName", "Seaworthy"),
    ];
    let (section, addresses) = resources::section(&[
        Resource { kind: MESSAGE_TABLE, bytes: resources::message_table(EVENTS) },
        Resource { kind: VERSION, bytes: resources::version(&version, &lines) },
        Resource { kind: MANIFEST, bytes: MANIFEST_TEXT.as_bytes().to_vec() },
    ]);
    let path = Path::new(&variable("OUT_DIR")).join("resources.o");
    fs::write(&path, resources::object(machine, &section, &addresses))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("cargo:rustc-link-arg-bins={}", path.display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
