//! Where the builders of a workspace are described: in its own `docker/`, or in the one this program carries.

use std::fs;
use std::path::Path;

use artifact::Digest;
use toolchain::Context;

use crate::failure::{Failure, Message};

/// The files of this repository's `docker/`, for workspaces that have none.
const EMBEDDED: &[(&str, &str)] = &[
    ("toolchain.lock", include_str!("../../docker/toolchain.lock")),
    ("aarch64-linux/image.toml", include_str!("../../docker/aarch64-linux/image.toml")),
    ("x86_64-linux/image.toml", include_str!("../../docker/x86_64-linux/image.toml")),
    ("x86_64-windows/image.toml", include_str!("../../docker/x86_64-windows/image.toml")),
    ("x86_64-windows/setup", include_str!("../../docker/x86_64-windows/setup")),
    ("x86_64-windows/run-exe", include_str!("../../docker/x86_64-windows/run-exe")),
];

/// The builders of `workspace`.
pub(crate) fn context(workspace: &Path, offline: bool) -> Result<Context, Failure> {
    let mut context = Context::of_workspace(workspace);
    context.offline = offline;
    context.makes_images = !offline;
    if !context.lock_path.is_file() {
        context.docker_dir = unpacked(&context.cache_dir).map_err(|error| {
            let folder = context.cache_dir.display();
            Failure::Toolchain(Message::new(
                format!("cannot write the builders' description below {folder}: {error}"),
                "free some space there, or name another folder in SEAWORTHY_CACHE",
            ))
        })?;
        context.lock_path = context.docker_dir.join("toolchain.lock");
        context.locks_rust = false;
    }
    Ok(context)
}

/// The embedded files as a folder, named by their digest and written once.
fn unpacked(cache: &Path) -> std::io::Result<std::path::PathBuf> {
    let all: String = EMBEDDED.iter().map(|(name, text)| format!("{name}\0{text}\0")).collect();
    let folder = cache.join("docker").join(Digest::of(all.as_bytes()).short());
    if folder.join("toolchain.lock").is_file() {
        return Ok(folder);
    }
    // The lock is written last, and by a rename: where it is, everything else is too.
    for (name, text) in EMBEDDED.iter().rev() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        fs::write(&partial, text)?;
        #[cfg(unix)]
        if text.starts_with("#!") {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))?;
        }
        fs::rename(partial, path)?;
    }
    Ok(folder)
}
