//! Where a loader looks by itself: the folders built into it, and its configuration files.

use crate::families::Family;
use crate::limits;
use crate::object::Rules;
use crate::sysroot::Sysroot;

/// How the loader of one program searches.
#[derive(Debug)]
pub(crate) struct Loader {
    pub(crate) rules: Rules,
    /// Folders of its configuration, searched before the default ones.
    pub(crate) configured: Vec<String>,
    /// Folders built in.
    pub(crate) defaults: Vec<String>,
    /// What `$LIB` becomes.
    pub(crate) lib: String,
    /// What `$PLATFORM` becomes.
    pub(crate) platform: String,
}

impl Loader {
    /// The loader that a program names by `path`, at `real`, or the family's usual one where a file names none that is there.
    pub(crate) fn of(
        root: &Sysroot,
        rules: Rules,
        path: Option<&str>,
        real: Option<&str>,
        family: Option<&Family>,
    ) -> Loader {
        match rules {
            Rules::Glibc => glibc(root, real, family),
            Rules::Musl => musl(root, path, family),
        }
    }
}

/// glibc searches what `ldconfig` found (so `/etc/ld.so.conf` with its default folders), then the built-in folders.
///
/// `/etc/ld.so.cache` itself is not read: it describes the root at the time when somebody last ran `ldconfig`.
fn glibc(root: &Sysroot, real: Option<&str>, family: Option<&Family>) -> Loader {
    const CONFIGURATION: &str = "/etc/ld.so.conf";
    let real = real.map(str::to_owned).or_else(|| family.and_then(|family| root.real(family.loader)));
    let built_in = real.map(|real| {
        let folders = root.configured(&real, || {
            let bytes = root.read(&real, limits::LIBRARY_BYTES).unwrap_or_default();
            built_in_folders(&bytes)
        });
        folders.to_vec()
    });
    let defaults = built_in.filter(|folders| !folders.is_empty()).unwrap_or_else(|| usual(family));
    let configured = root.configured(CONFIGURATION, || {
        let mut reading = Reading { root, folders: Vec::new(), files: Vec::new() };
        reading.file(CONFIGURATION, 0);
        reading.folders
    });
    let lib = defaults.first().map_or("lib", |folder| folder.trim_matches('/')).to_owned();
    let platform = family.map_or("", |family| family.platform).to_owned();
    Loader { rules: Rules::Glibc, configured: configured.to_vec(), defaults, lib, platform }
}

/// A loader of glibc that cannot be read: where distributions put things, Debian's folders first.
fn usual(family: Option<&Family>) -> Vec<String> {
    let Some(family) = family else { return vec!["/lib".to_owned(), "/usr/lib".to_owned()] };
    let folders = [format!("lib/{}", family.multiarch), family.slib.to_owned(), "lib".to_owned()];
    let mut all: Vec<_> = folders.iter().flat_map(|lib| [format!("/{lib}"), format!("/usr/{lib}")]).collect();
    all.dedup();
    all
}

/// The folders that a glibc loader was built with: texts that begin and end with a slash, one behind the other, in its
/// read-only data (`system_dirs` in elf/dl-load.c).
fn built_in_folders(bytes: &[u8]) -> Vec<String> {
    let is_folder = |text: &[u8]| {
        text.len() > 4
            && text.len() < 256
            && text.starts_with(b"/")
            && text.ends_with(b"/")
            && text.iter().all(|byte| byte.is_ascii_graphic())
            && text.split(|byte| *byte == b'/').any(|name| name.starts_with(b"lib"))
    };
    let texts = bytes.split(|byte| *byte == 0);
    let run = texts.skip_while(|text| !is_folder(text)).take_while(|text| is_folder(text)).take(16);
    run.map(|text| String::from_utf8_lossy(&text[..text.len() - 1]).into_owned()).collect()
}

/// musl searches the folders in `etc/ld-musl-ARCH.path` beside the folder that its loader is named in (`/etc` for `/lib`), or
/// these three (ldso/dynlink.c, `load_library`).
fn musl(root: &Sysroot, interpreter: Option<&str>, family: Option<&Family>) -> Loader {
    let beside = interpreter.and_then(|path| path.rsplit_once('/')).map_or("", |(beside, _)| beside);
    let prefix = beside.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    let path = format!("{prefix}/etc/ld-musl-{}.path", family.map_or("", |family| family.musl));
    let configured = root.configured(&path, || {
        let text = root.real(&path).and_then(|real| root.read(&real, limits::CONFIGURATION_BYTES).ok());
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let folders = text.split(['\n', ':']).map(str::trim).filter(|folder| folder.starts_with('/'));
        folders.take(limits::CONFIGURED).map(folder).collect()
    });
    let defaults =
        if configured.is_empty() { vec!["/lib", "/usr/local/lib", "/usr/lib"] } else { Vec::new() };
    let defaults = defaults.into_iter().map(str::to_owned).collect();
    let text = String::new;
    Loader { rules: Rules::Musl, configured: configured.to_vec(), defaults, lib: text(), platform: text() }
}

/// Reads `ld.so.conf` (ldconfig, `parse_conf`): a folder a line, `include` with globs, `#` begins a comment.
struct Reading<'a> {
    root: &'a Sysroot,
    folders: Vec<String>,
    /// Files read already, without links: each counts once.
    files: Vec<String>,
}

impl Reading<'_> {
    fn file(&mut self, path: &str, depth: usize) {
        let Some(real) = self.root.real(path).filter(|real| !self.files.contains(real)) else { return };
        if depth > limits::INCLUDES || self.files.len() >= limits::CONFIGURED {
            return;
        }
        self.files.push(real.clone());
        let Ok(bytes) = self.root.read(&real, limits::CONFIGURATION_BYTES) else { return };
        for line in String::from_utf8_lossy(&bytes).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("include") => {
                    for pattern in words {
                        self.include(path, pattern, depth);
                    }
                }
                Some("hwcap") | None => {}
                Some(_) => self.add(line),
            }
        }
    }

    fn add(&mut self, line: &str) {
        // `/folder=libc6` once told libraries of two C libraries apart.
        let name = line.split('=').next().unwrap_or_default().trim_end();
        if name.starts_with('/') && self.folders.len() < limits::CONFIGURED {
            let name = folder(name);
            if !self.folders.contains(&name) {
                self.folders.push(name);
            }
        }
    }

    /// Files whose names match `pattern`, in order; a relative one is beside the file that includes.
    fn include(&mut self, from: &str, pattern: &str, depth: usize) {
        let beside = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let pattern =
            if pattern.starts_with('/') { pattern.to_owned() } else { format!("{beside}/{pattern}") };
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let wild = part.contains(['*', '?', '[']);
            let parents = std::mem::take(&mut found);
            for parent in parents {
                if wild {
                    let names = self.root.names(&parent);
                    let names = names.iter().filter(|name| glob(part.as_bytes(), name.as_bytes()));
                    found.extend(names.map(|name| format!("{parent}/{name}")));
                } else {
                    found.push(format!("{parent}/{part}"));
                }
            }
            found.truncate(limits::CONFIGURED);
        }
        for path in found {
            self.file(&path, depth + 1);
        }
    }
}

/// Without slashes at its end, as the loader writes it.
fn folder(name: &str) -> String {
    name.trim_end_matches('/').to_owned()
}

/// Whether `name` matches: `*` is any text, `?` one byte, `[a-m]` and `[!a-m]` one of a set; a leading dot wants a dot. Linear
/// but for the last `*`.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(b'?') => (at, seen) = (at + 1, seen + 1),
            Some(b'[') if let Some((true, length)) = in_set(&pattern[at..], name[seen]) => {
                (at, seen) = (at + length, seen + 1);
            }
            Some(byte) if *byte == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((pattern_at, name_at)) = star else { return false };
                (at, seen) = (pattern_at + 1, name_at + 1);
                star = Some((pattern_at, name_at + 1));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether `byte` is in the set that `pattern` begins with, and how long that is; `None`: the bracket stands for itself.
fn in_set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = 1 + usize::from(negated);
    // A bracket at the set's begin belongs to it.
    let end = first + 1 + pattern.get(first + 1..)?.iter().position(|byte| *byte == b']')?;
    let (mut set, mut holds) = (&pattern[first..end], false);
    while let Some((low, rest)) = set.split_first() {
        if let [b'-', high, rest @ ..] = rest {
            holds |= (*low..=*high).contains(&byte);
            set = rest;
        } else {
            holds |= *low == byte;
            set = rest;
        }
    }
    Some((holds != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_configuration_includes_by_glob_and_beside_itself_and_never_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("etc/ld.so.conf.d")).unwrap();
        let write = |name: &str, text: &str| fs::write(root.join("etc").join(name), text).unwrap();
        write("ld.so.conf", "# first\ninclude ld.so.conf.d/*.conf\n  /opt/last/  # ours\n");
        write("ld.so.conf.d/b.conf", "/opt/b=libc6\nhwcap 1 nosegneg\nrelative/folder\n");
        write("ld.so.conf.d/a.conf", "/opt/a\ninclude /etc/ld.so.conf\n");
        write("ld.so.conf.d/a.conf.dpkg-old", "/opt/old\n");
        write("ld.so.conf.d/.hidden.conf", "/opt/hidden\n");
        let sysroot = Sysroot::open(root).unwrap();
        let loader = Loader::of(&sysroot, Rules::Glibc, None, None, None);
        assert_eq!(loader.configured, ["/opt/a", "/opt/b", "/opt/last"]);
        assert_eq!(loader.defaults, ["/lib", "/usr/lib"]);
    }

    #[test]
    fn musl_is_configured_beside_its_loader() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("etc", "/usual"), ("opt/m/etc", "/other:/second\n")] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
            fs::write(folder.path().join(path).join("ld-musl-x86_64.path"), text).unwrap();
        }
        let sysroot = Sysroot::open(folder.path()).unwrap();
        let family = crate::families::family(62, 64, false);
        let configured = |path| Loader::of(&sysroot, Rules::Musl, Some(path), None, family).configured;
        assert_eq!(configured("/lib/ld-musl-x86_64.so.1"), ["/usual"]);
        assert_eq!(configured("/opt/m/lib/ld-musl-x86_64.so.1"), ["/other", "/second"]);
        assert_eq!(configured("/opt/n/lib/ld-musl-x86_64.so.1"), [""; 0]);
    }

    #[test]
    fn the_loader_of_this_machine_says_where_it_looks() {
        let family = crate::families::family(62, 64, false).unwrap();
        let loader =
            Loader::of(&Sysroot::open("/".as_ref()).unwrap(), Rules::Glibc, None, None, Some(family));
        assert_eq!(loader.defaults[..2], ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]);
        assert_eq!(loader.lib, "lib/x86_64-linux-gnu");
        assert!(built_in_folders(b"\0/libexec\0/lib\0x").is_empty());
        assert_eq!(built_in_folders(b"a\0/lib64/\0/usr/lib64/\0\0/lib/\0"), ["/lib64", "/usr/lib64"]);
    }

    #[test]
    fn a_glob_takes_what_a_shell_would() {
        for (pattern, name, matches) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*.conf", ".conf", false),
            ("a?c*", "abcdef", true),
            ("*a*b*", "xxaxxb", true),
            ("*a*b", "xxaxxbx", false),
            ("[a-m]*.conf", "g.conf", true),
            ("[a-m]*.conf", "n.conf", false),
            ("[!a-m]*.conf", "n.conf", true),
            ("[^a-m]*.conf", "g.conf", false),
            ("x[-az]", "x-", true),
            ("x[]a]", "x]", true),
            ("*[0-9]", "a1b2", true),
            ("*[0-9]", "a1b", false),
            ("[ab", "[ab", true),
            ("[ab", "a", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }
}
