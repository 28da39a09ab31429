//! Debian's archive, through apt: which packages a suite has today, and their files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Program;
use crate::error::Faults as _;
use crate::lock::Package;
use crate::recipe::Description;
use crate::{Error, ErrorKind};

/// Names another mirror for Debian packages than the one this machine's apt uses.
const MIRROR: &str = "SEAWORTHY_DEBIAN_MIRROR";
/// Where apt keeps its sources, in its older and its newer form (sources.list(5)).
const APT: &str = "/etc/apt";
/// apt's own downloader, which knows its proxies and checks digests.
const HELPER: &str = "/usr/lib/apt/apt-helper";
/// Whose signature a suite must bear.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where apt comes from.
const GET_APT: &str = "apt-get install apt debian-archive-keyring mmdebstrap";

/// The mirror that packages come from: the one asked for, else the first that this machine's apt uses.
fn mirror() -> Result<String, Error> {
    if let Ok(mirror) = env::var(MIRROR) {
        return Ok(mirror);
    }
    let apt = Path::new(APT);
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        let mut further: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        further.sort();
        files.extend(further);
    }
    let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.into_iter().find_map(|text| mirror_in(&text)).ok_or_else(|| {
        Error::new(ErrorKind::DownloadFailed, format!("{APT} names no Debian mirror"))
            .with_hint(format!("set {MIRROR} to the address of a Debian mirror"))
    })
}

/// The first address in apt's sources whose last folder is `debian`: the archive itself, not its security updates and
/// not somebody else's packages.
fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let mut addresses = words.filter(|word| word.starts_with("http://") || word.starts_with("https://"));
    let address = addresses.find(|word| word.trim_end_matches('/').ends_with("/debian"))?;
    Some(address.trim_end_matches('/').to_owned())
}

/// The packages that the image of `description` is made of today: what it asks for, what is essential, apt, and all that
/// these need. Sorted by name. `folder` is empty and private.
pub(crate) fn resolve(
    description: &Description,
    folder: &Path,
    on_line: &mut dyn FnMut(&str),
) -> Result<Vec<Package>, Error> {
    let mirror = mirror()?;
    let configuration = apt_folder(description, &mirror, folder)?;
    let apt = Program::new("apt-get").env("APT_CONFIG", configuration.to_string_lossy());
    let hint = |error: Error| match error.kind() {
        ErrorKind::MissingTool => error.with_hint(GET_APT),
        _ => error.with_hint(format!("check the network and image.toml; {MIRROR} names another mirror")),
    };
    apt.clone().args(["update", "--quiet"]).follow(ErrorKind::DownloadFailed, on_line).map_err(hint)?;
    let asked = description.packages.iter().map(String::as_str);
    let apt = apt.args(["install", "--print-uris", "--quiet=2", "--yes", "?essential", "apt"]).args(asked);
    let printed = apt.read(ErrorKind::DownloadFailed).map_err(hint)?;
    let mut packages = Vec::new();
    for line in printed.lines() {
        let package = row(line, &mirror).ok_or_else(|| {
            Error::new(
                ErrorKind::DownloadFailed,
                format!("`{}` prints `{line}`, which is no package", apt.line()),
            )
        })?;
        packages.push(package);
    }
    packages.sort();
    Ok(packages)
}

/// A root for apt that knows `description`'s suite and no installed package; gives its configuration.
fn apt_folder(description: &Description, mirror: &str, folder: &Path) -> Result<PathBuf, Error> {
    let place = folder.to_string_lossy();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| fs::write(&path, text))
            .map_err(|cause| Error::io(&path, cause))
    };
    for empty in [
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
    ] {
        let path = folder.join(empty);
        fs::create_dir_all(&path).map_err(|cause| Error::io(&path, cause))?;
    }
    write("var/lib/dpkg/status", String::new())?;
    // Only the suite itself, so that it moves with point releases alone.
    let source = format!("deb [signed-by={KEYRING}] {mirror} {} main\n", description.suite);
    write("etc/apt/sources.list", source)?;
    let configuration = format!(
        "Dir \"{place}\";\nDir::State::status \"{place}/var/lib/dpkg/status\";\n\
         APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Install-Recommends \"false\";\n\
         APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::ForceHash \"sha256\";\n"
    );
    write("apt.conf", configuration)?;
    Ok(folder.join("apt.conf"))
}

/// A line of `apt-get --print-uris`: `'address' file size SHA256:digest`.
fn row(line: &str, mirror: &str) -> Option<Package> {
    let (address, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let [file, size, digest] = rest.split(' ').collect::<Vec<_>>().try_into().ok()?;
    // apt's file names are package_version_architecture.deb, with the version's colon as %3a.
    let [name, version, architecture] =
        file.strip_suffix(".deb")?.split('_').collect::<Vec<_>>().try_into().ok()?;
    let path = address.strip_prefix(mirror)?.trim_start_matches('/');
    Some(Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        architecture: architecture.to_owned(),
        sha256: digest.strip_prefix("SHA256:")?.parse().ok()?,
        size: size.parse().ok()?,
        path: path.to_owned(),
    })
}

/// Gets the files of `packages`, each to its place. Whatever is not there afterwards, or has another digest, could not be
/// had; the error is for nothing at all.
pub(crate) fn download(packages: &[(&Package, PathBuf)], on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
    /// A command line must not become longer than the system takes.
    const AT_ONCE: usize = 200;
    let mirror = mirror()?;
    for some in packages.chunks(AT_ONCE) {
        let mut helper = Program::new(HELPER).args(["download-file"]);
        for (package, place) in some {
            helper = helper.args([
                format!("{mirror}/{}", package.path),
                place.to_string_lossy().into_owned(),
                format!("SHA256:{}", package.sha256),
            ]);
        }
        match helper.follow(ErrorKind::DownloadFailed, on_line) {
            Err(error) if error.kind() == ErrorKind::MissingTool => return Err(error.with_hint(GET_APT)),
            // It ends badly when one file of many cannot be had, and says so in words; the caller looks at files.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "ba223257dcb94dc840e358b1257b373b4603edb44ec9ce08c3bad8f49f436793";

    #[test]
    fn the_mirror_is_the_archive_that_apt_uses_in_either_form() {
        let older = "# deb http://old/debian x\ndeb https://packages.example/tool stable main\ndeb http://mirror.example/debian bookworm main\n";
        assert_eq!(mirror_in(older).as_deref(), Some("http://mirror.example/debian"));
        let newer = "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: x\n\nTypes: deb\nURIs: https://mirror.example/debian/\n";
        assert_eq!(mirror_in(newer).as_deref(), Some("https://mirror.example/debian"));
        assert_eq!(mirror_in("deb http://security.example/debian-security x main"), None);
    }

    #[test]
    fn a_row_of_apt_is_a_package() {
        let line = format!(
            "'http://m/debian/pool/main/libx/libxcrypt/libcrypt1_4.4.18-4%2bb1_amd64.deb' libcrypt1_1%3a4.4.18-4+b1_amd64.deb 87504 SHA256:{SHA}"
        );
        let package = row(&line, "http://m/debian").unwrap();
        assert_eq!(package.identity(), "libcrypt1=1:4.4.18-4+b1:amd64");
        assert_eq!((package.sha256, package.size), (SHA.parse().unwrap(), 87504));
        assert_eq!(package.path, "pool/main/libx/libxcrypt/libcrypt1_4.4.18-4%2bb1_amd64.deb");
        for other in [line.replace("SHA256", "MD5Sum"), line.replace("//m/", "//n/"), "'x'".to_owned()] {
            assert_eq!(row(&other, "http://m/debian"), None, "{other}");
        }
    }
}
