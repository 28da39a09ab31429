//! Images in a real engine: `apt-get install docker.io iptables mmdebstrap`, then `dockerd &` as root, or podman.

use std::fs;
use std::path::{Path, PathBuf};

use artifact::{BuilderKind, Event, Launcher, Target, ignore_events};
use seaworthy_toolchain::{
    Context, Error, ErrorKind, ImageRequest, VerifiedTool, choose, fill_pool, make_images, provision, verify,
};
use tempfile::TempDir;

const TARGET: Target = Target::X86_64Linux;

#[test]
fn a_provisioned_image_is_the_locked_one_and_is_made_once() {
    let context = Context::of_workspace(&workspace());
    let first = provision(engine(), TARGET, &context, &ignore_events).unwrap();
    let nothing_happens = |event: Event| panic!("{event:?}");
    assert_eq!(provision(engine(), TARGET, &context, &nothing_happens).unwrap(), first);
    let Launcher::Container { image, .. } = &first.launcher else { panic!("{first:?}") };
    let lock = fs::read_to_string(&context.lock_path).unwrap();
    let row = format!("image = {:?}", image.trim_start_matches("sha256:"));
    assert!(lock.contains(&row), "{row}");
    assert!(lock.contains(&format!("version = {:?}", first.identity.parts["compiler"])));
    // rustc links with its own lld there, which SW-LINKER found out; for others the image's linker does.
    assert_eq!(first.linker.as_deref(), Some("LLD"));
    let other = provision(engine(), Target::Aarch64Linux, &context, &ignore_events).unwrap();
    assert!(lock.contains(&format!("version = {:?}", other.identity.parts["linker"])));
    assert_eq!(other.linker.as_deref(), Some("GNU ld 2.35.2"));
    assert!(lock.contains(&first.identity.lock.unwrap().to_string()));
}

#[test]
fn an_image_made_again_without_the_network_is_the_same() {
    let real = Context::of_workspace(&workspace());
    provision(engine(), TARGET, &real, &ignore_events).unwrap();
    fill_pool(&[TARGET], &real, &ignore_events).unwrap();
    let context = Context { offline: true, ..real };
    let request = ImageRequest { engine: Some(engine()), targets: vec![TARGET], again: true };
    // Making it anew is an error unless it is byte for byte the locked one.
    let [image] = make_images(&request, &context, &ignore_events).unwrap().try_into().unwrap();
    assert!(image.made && image.id.starts_with("sha256:"), "{image:?}");
    let once = ImageRequest { again: false, ..request };
    let [there] = make_images(&once, &context, &ignore_events).unwrap().try_into().unwrap();
    assert_eq!((there.made, there.id), (false, image.id));
}

#[test]
fn the_tools_inside_are_the_locked_ones_and_another_is_named() {
    let place = Place::new();
    let rows = |verified: Vec<VerifiedTool>| verified.into_iter().map(|tool| tool.row).collect::<Vec<_>>();
    let verified = rows(verify(Some(engine()), &[TARGET], &place.context).unwrap());
    for row in ["images.x86_64-linux.tools.linker", "images.x86_64-linux.tools.compiler"] {
        assert!(verified.iter().any(|verified| verified == row), "{row} is not in {verified:?}");
    }
    let heads = verified.iter().filter(|row| row.starts_with("rust.components.")).count();
    assert_eq!(heads, 3, "rustc, cargo and the library: {verified:?}");

    place.change_in_image("[images.x86_64-linux.tools.linker]", "version = \"GNU ld", "version = \"LLD");
    let error = verify(Some(engine()), &[TARGET], &place.context).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageOffLock);
    let told = error.to_string();
    for row in [
        "images.x86_64-linux.tools.linker: locked /usr/bin",
        "linker: locked `LLD",
        "GNU ld (GNU Binutils for Debian) 2.35.2` linked a program",
    ] {
        assert!(told.contains(row), "`{row}` is not in: {told}");
    }
}

#[test]
fn an_image_that_was_not_made_is_missing() {
    let place = Place::new();
    place.another_digest("image");
    assert_eq!(place.refused().kind(), ErrorKind::ImageMissing);
    assert!(place.refused().hint().unwrap().contains("toolchain image"));
}

#[test]
fn an_image_with_another_content_is_off_the_lock() {
    let place = Place::new();
    place.another_digest("layer");
    let error = place.refused();
    assert_eq!(error.kind(), ErrorKind::ImageOffLock);
    assert!(error.to_string().contains("with the layers"), "{error}");
}

#[test]
fn a_changed_recipe_is_refused() {
    let place = Place::new();
    place.change("x86_64-linux/image.toml", "\"libc6-dev\"", "\"libc6-dev\", \"make\"");
    let error = place.refused();
    assert_eq!(error.kind(), ErrorKind::LockInvalid);
    assert!(error.to_string().contains("images.x86_64-linux.recipe"), "{error}");
}

#[test]
fn an_edited_package_row_is_refused_by_name_by_build_and_image() {
    let place = Place::new();
    place.change_in_image(
        "[images.x86_64-linux]",
        "{ name = \"gcc\", version = \"4:10",
        "{ name = \"gcc\", version = \"4:11",
    );
    let request = ImageRequest { engine: Some(engine()), targets: vec![TARGET], again: true };
    let refusals = [place.refused(), make_images(&request, &place.context, &ignore_events).unwrap_err()];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::LockInvalid);
        let told = error.to_string();
        for row in ["gcc=4:10.2.1-1:amd64", "gcc=4:11.2.1-1:amd64"] {
            assert!(told.contains(row), "`{row}` is not in: {told}");
        }
        assert_eq!(told.lines().count(), 3, "no other row is told: {told}");
    }
}

#[test]
fn another_rust_is_refused_where_the_lock_is_the_workspaces_own() {
    let place = Place::new();
    place.change("toolchain.lock", "release = \"", "release = \"0.");
    assert!(place.refused().to_string().contains("Rust here is"));
    let embedded = Context { locks_rust: false, ..place.context.clone() };
    provision(engine(), TARGET, &embedded, &ignore_events).unwrap();
}

#[test]
fn one_flipped_byte_in_the_pool_is_refused_by_its_file() {
    let place = Place::new();
    let real = Context::of_workspace(&workspace());
    fill_pool(&[TARGET], &real, &ignore_events).unwrap();
    let pool = place.context.cache_dir.join("pool");
    copy(&real.cache_dir.join("pool"), &pool);
    let files = fs::read_dir(&pool).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|path| path.to_string_lossy().contains("/gcc-10_")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let request = ImageRequest { engine: Some(engine()), targets: vec![TARGET], again: true };
    let offline = Context { offline: true, ..place.context.clone() };
    for context in [&offline, &place.context] {
        let error = make_images(&request, context, &ignore_events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
    // What fills the pool gets it again.
    fill_pool(&[TARGET], &place.context, &ignore_events).unwrap();
    assert_eq!(
        fs::read(&file).unwrap(),
        fs::read(real.cache_dir.join("pool").join(file.file_name().unwrap())).unwrap()
    );
}

/// A copy of `docker/`, to be changed.
struct Place {
    context: Context,
    _folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let real = Context::of_workspace(&workspace());
        provision(engine(), TARGET, &real, &ignore_events).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let context = Context {
            docker_dir: folder.path().join("docker"),
            lock_path: folder.path().join("docker/toolchain.lock"),
            cache_dir: folder.path().join("cache"),
            makes_images: false,
            ..real.clone()
        };
        copy(&real.docker_dir, &context.docker_dir);
        Place { context, _folder: folder }
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        self.change_behind(file, "", from, to);
    }

    /// Changes the lock behind the head of an image's table.
    fn change_in_image(&self, head: &str, from: &str, to: &str) {
        self.change_behind("toolchain.lock", head, from, to);
    }

    fn change_behind(&self, file: &str, head: &str, from: &str, to: &str) {
        let path = self.context.docker_dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let (before, behind) = text.split_at(text.find(head).unwrap());
        let changed = behind.replacen(from, to, 1);
        assert_ne!(changed, behind);
        fs::write(path, format!("{before}{changed}")).unwrap();
    }

    /// Replaces the digest in the first row `name` of the image by another one.
    fn another_digest(&self, name: &str) {
        let path = self.context.docker_dir.join("toolchain.lock");
        let text = fs::read_to_string(&path).unwrap();
        let row = format!("\n{name} = \"");
        let place = text.find("[images.x86_64-linux]").unwrap();
        let place = place + text[place..].find(&row).unwrap() + row.len();
        fs::write(path, format!("{}{}{}", &text[..place], "0".repeat(64), &text[place + 64..])).unwrap();
    }

    fn refused(&self) -> Error {
        provision(engine(), TARGET, &self.context, &ignore_events).unwrap_err()
    }
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
