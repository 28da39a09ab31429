//! Installed packages: dpkg's and apk's databases, read as text.

use std::collections::HashMap;

use crate::capture::Taker;
use crate::{Class, Fact, Place};

/// A database of more bytes is not read.
const LARGEST: u64 = 64 << 20;
const DPKG: &str = "/var/lib/dpkg/status";
/// Where images without a package manager keep one file a package.
const DPKG_FOLDER: &str = "/var/lib/dpkg/status.d";
const INFO: &str = "/var/lib/dpkg/info";
const APK: &str = "/lib/apk/db/installed";
const RPM: [&str; 2] = ["/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite"];

/// Which package brings a file.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    /// `name=version` by path.
    files: HashMap<String, String>,
}

impl Installed {
    /// The package that brings `path`, given without links. dpkg may know it by its path before `/lib` became a link.
    pub(crate) fn owner(&self, path: &str) -> Option<&String> {
        self.files.get(path).or_else(|| self.files.get(path.strip_prefix("/usr")?))
    }
}

/// Takes every package as a fact.
pub(crate) fn take(place: &Place, taker: &mut Taker) -> Installed {
    let mut installed = Installed::default();
    let mut found = false;
    let mut texts = vec![(DPKG.to_owned(), place.text(DPKG, LARGEST))];
    for name in place.root().list(DPKG_FOLDER) {
        if !name.ends_with(".md5sums") {
            let path = format!("{DPKG_FOLDER}/{name}");
            let text = place.text(&path, LARGEST);
            texts.push((path, text));
        }
    }
    for (path, text) in texts {
        match text {
            Ok(Some(text)) => {
                found = true;
                for package in text.split("\n\n") {
                    dpkg_package(package, &path, place, &mut installed, taker);
                }
            }
            Ok(None) => {}
            Err(why) => taker.unknown(Class::Inventory, "dpkg", &why),
        }
    }
    match place.text(APK, LARGEST) {
        Ok(Some(text)) => {
            found = true;
            for package in text.split("\n\n") {
                apk_package(package, &mut installed, taker);
            }
        }
        Ok(None) => {}
        Err(why) => taker.unknown(Class::Inventory, "apk", &why),
    }
    if RPM.iter().any(|path| place.root().without_links(path).is_some()) {
        taker.unknown(Class::Inventory, "rpm", "rpm's database is not read here");
    } else if !found {
        taker.unknown(Class::Inventory, "packages", "there is no database of dpkg or apk");
    }
    installed
}

fn dpkg_package(text: &str, source: &str, place: &Place, installed: &mut Installed, taker: &mut Taker) {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let (Some(name), Some(version)) = (field("Package"), field("Version")) else { return };
    // `want ok installed`; files of status.d say nothing.
    if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
        return;
    }
    let architecture = field("Architecture").unwrap_or("all");
    let same = field("Multi-Arch") == Some("same");
    let key = if same { format!("{name}:{architecture}") } else { name.to_owned() };
    let package = format!("{name}={version}");
    for list in [format!("{INFO}/{name}.list"), format!("{INFO}/{name}:{architecture}.list")] {
        let Ok(Some(files)) = place.text(&list, LARGEST) else { continue };
        // Only settings and files that can be loaded are asked for.
        let is_asked =
            |file: &&str| file.starts_with("/etc/") || file.contains(".so") || file.contains("/ld-");
        for file in files.lines().filter(is_asked) {
            installed.files.insert(file.to_owned(), package.clone());
        }
    }
    let fact = Fact {
        value: version.to_owned(),
        source: source.to_owned(),
        version: Some(version.to_owned()),
        package: Some(package),
        weight: None,
    };
    taker.fact(Class::Inventory, &key, fact);
}

fn apk_package(text: &str, installed: &mut Installed, taker: &mut Taker) {
    let (mut name, mut version, mut folder) = ("", "", "");
    for line in text.lines() {
        match line.split_once(':') {
            Some(("P", value)) => name = value,
            Some(("V", value)) => version = value,
            Some(("F", value)) => folder = value,
            Some(("R", value)) if value.contains(".so") || value.starts_with("ld-") => {
                installed.files.insert(format!("/{folder}/{value}"), format!("{name}={version}"));
            }
            _ => {}
        }
    }
    if !name.is_empty() {
        let fact = Fact {
            value: version.to_owned(),
            source: APK.to_owned(),
            version: Some(version.to_owned()),
            package: Some(format!("{name}={version}")),
            weight: None,
        };
        taker.fact(Class::Inventory, name, fact);
    }
}
