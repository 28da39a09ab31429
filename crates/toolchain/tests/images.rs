//! Images in a real engine: `apt-get install docker.io iptables mmdebstrap`, then `dockerd &` as root, or podman.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{BuilderKind, Event, Launcher, Target, Toolchain, ignore_events};
use seaworthy_toolchain::{Context, Error, ErrorKind, choose, provision};
use tempfile::TempDir;

const TARGET: Target = Target::X86_64Linux;

#[test]
fn a_provisioned_image_is_the_locked_one_and_is_made_once() {
    let context = Context::of_workspace(&workspace());
    let first = provision(engine(), TARGET, &context, &ignore_events).unwrap();
    let nothing_happens = |event: Event| panic!("{event:?}");
    assert_eq!(provision(engine(), TARGET, &context, &nothing_happens).unwrap(), first);
    let Launcher::Container { image, .. } = &first.launcher else { panic!("{first:?}") };
    assert!(image.starts_with("sha256:"), "{image}");
    let lock = fs::read_to_string(&context.lock_path).unwrap();
    for part in ["recipe", "packages"] {
        assert!(lock.contains(&first.identity.parts[part]), "{part}");
    }
    assert!(first.identity.parts["compiler"].contains("gcc"));
}

#[test]
fn an_image_that_was_not_made_is_missing() {
    let place = Place::new();
    fs::remove_dir_all(place.context.cache_dir.join("images")).unwrap();
    assert_eq!(place.refused().kind(), ErrorKind::ImageMissing);
    assert!(place.refused().hint().unwrap().contains("toolchain image --bootstrap"));
}

#[test]
fn a_changed_recipe_is_refused() {
    let place = Place::new();
    place.change("x86_64-linux/Dockerfile", "FROM ${BASE}", "FROM ${BASE}\nRUN true");
    let error = place.refused();
    assert_eq!(error.kind(), ErrorKind::LockInvalid);
    assert!(error.to_string().contains("docker/x86_64-linux has the recipe"), "{error}");
}

#[test]
fn a_changed_package_list_is_refused() {
    let place = Place::new();
    place.change("x86_64-linux/packages.txt", "\ngcc=", "\ngcc-of-another-kind=");
    let told = place.refused().to_string();
    for row in ["packages.txt", "locked, not there: gcc=4:", "there, not locked: gcc-of-another-kind=4:"] {
        assert!(told.contains(row), "`{row}` is not in: {told}");
    }
    assert_eq!(told.lines().count(), 3, "no other row is told: {told}");
}

#[test]
fn a_changed_package_of_the_dockerfile_is_refused_by_name() {
    let place = Place::new();
    place.change("x86_64-linux/Dockerfile", " gcc=4:10", " gcc=4:11");
    let told = place.refused().to_string();
    for row in ["Dockerfile", "locked, not there: gcc=4:10", "there, not locked: gcc=4:11"] {
        assert!(told.contains(row), "`{row}` is not in: {told}");
    }
}

#[test]
fn another_rust_is_refused() {
    let place = Place::new();
    place.change("toolchain.lock", "release = \"", "release = \"0.");
    assert!(place.refused().to_string().contains("Rust here is"));
}

#[test]
fn a_record_of_another_image_is_off_the_lock() {
    let place = Place::new();
    let other = provision(engine(), Target::Aarch64Linux, &place.with_bootstrap(), &ignore_events).unwrap();
    let ours = provision(engine(), TARGET, &place.with_bootstrap(), &ignore_events).unwrap();
    for record in place.records("x86_64-linux") {
        let text = fs::read_to_string(&record).unwrap();
        fs::write(&record, text.replace(&id(&ours), &id(&other))).unwrap();
    }
    let error = place.refused();
    assert_eq!(error.kind(), ErrorKind::ImageOffLock);
    assert!(error.to_string().contains(&id(&other)), "{error}");
}

/// A copy of `docker/` and of this machine's records, to be changed.
struct Place {
    context: Context,
    _folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let real = Context::of_workspace(&workspace());
        for target in [TARGET, Target::Aarch64Linux] {
            provision(engine(), target, &real, &ignore_events).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let context = Context {
            docker_dir: folder.path().join("docker"),
            lock_path: folder.path().join("docker/toolchain.lock"),
            cache_dir: folder.path().join("cache"),
            bootstrap_images: false,
            ..real.clone()
        };
        copy(&real.docker_dir, &context.docker_dir);
        let records = PathBuf::from("images").join(engine().name());
        copy(&real.cache_dir.join(&records), &context.cache_dir.join(&records));
        Place { context, _folder: folder }
    }

    fn with_bootstrap(&self) -> Context {
        Context { bootstrap_images: true, ..self.context.clone() }
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.context.docker_dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        fs::write(path, changed).unwrap();
    }

    fn records(&self, image: &str) -> Vec<PathBuf> {
        let folder = self.context.cache_dir.join("images").join(engine().name());
        let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(image)).collect()
    }

    fn refused(&self) -> Error {
        provision(engine(), TARGET, &self.context, &ignore_events).unwrap_err()
    }
}

fn id(toolchain: &Toolchain) -> String {
    toolchain.identity.parts["image"].clone()
}

fn engine() -> BuilderKind {
    let choice = choose(None).unwrap();
    assert!(
        [BuilderKind::Docker, BuilderKind::Podman].contains(&choice.kind),
        "no container engine answers: apt-get install docker.io iptables mmdebstrap, then start `dockerd`"
    );
    choice.kind
}

fn workspace() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
