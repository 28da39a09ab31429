//! Signatures over statements: OpenSSH's (`ssh-keygen -Y`), as git uses them, so that agents, hardware keys and the
//! verifier that every machine has all work. The one place of this crate that starts a program.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::error::cannot_read;
use crate::{Error, ErrorKind};

/// What a signature is for (PROTOCOL.sshsig): one made for anything else does not hold here.
const NAMESPACE: &str = "seaworthy-rebuild";

/// Whose signatures count: a file as `ssh-keygen(1)`, ALLOWED SIGNERS, describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    path: PathBuf,
}

impl Signers {
    /// The list at `path`.
    pub fn open(path: &Path) -> Result<Signers, Error> {
        let path = fs::canonicalize(path).map_err(|cause| cannot_read(path, cause))?;
        Ok(Signers { path })
    }
}

/// Signs the file at `path` with a private key, or with the agent's where `key` is a public one; gives the signature's
/// path, `<path>.sig`.
pub fn sign(path: &Path, key: &Path) -> Result<PathBuf, Error> {
    let signature = signature_path(path);
    // ssh-keygen asks before it overwrites.
    match fs::remove_file(&signature) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(cannot_read(&signature, error));
        }
        _ => {}
    }
    let shell = shell()?;
    let output =
        cmd!(shell, "ssh-keygen -q -Y sign -n {NAMESPACE} -f {key} {path}").quiet().ignore_status().output();
    let output = output.map_err(not_started)?;
    if !output.status.success() || !signature.is_file() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(ErrorKind::BadKey, format!("cannot sign with {}: {said}", key.display()))
            .with_hint(
                "name a private key of `ssh-keygen -t ed25519`, or the public key of one in your agent",
            ));
    }
    Ok(signature)
}

/// Who of `signers` made the signature beside the file at `path`, as their list names them.
pub fn verify_signature(path: &Path, signers: &Signers) -> Result<String, Error> {
    let (signature, list) = (signature_path(path), &signers.path);
    let refused = |why: String| {
        Error::new(ErrorKind::BadSignature, format!("{}: {why}", path.display()))
            .with_hint("have the rebuilder sign it again, or add the key to the allowed signers")
    };
    if !signature.is_file() {
        return Err(refused(format!("there is no signature {}", signature.display())));
    }
    let shell = shell()?;
    let told = |what: std::process::Output| {
        (
            what.status.success(),
            String::from_utf8_lossy(&what.stdout).into_owned(),
            String::from_utf8_lossy(&what.stderr).into_owned(),
        )
    };
    let found = cmd!(shell, "ssh-keygen -Y find-principals -s {signature} -f {list}")
        .quiet()
        .ignore_status()
        .output();
    let (success, names, _) = told(found.map_err(not_started)?);
    let name = names.lines().next().filter(|_| success).map(|name| name.trim().to_owned());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(refused(format!("nobody in {} has the key that signed it", list.display())));
    };
    let content = fs::read(path).map_err(|cause| cannot_read(path, cause))?;
    let verified = cmd!(shell, "ssh-keygen -Y verify -f {list} -I {name} -n {NAMESPACE} -s {signature}")
        .stdin(content)
        .quiet()
        .ignore_status()
        .output();
    let (success, out, err) = told(verified.map_err(not_started)?);
    if success { Ok(name) } else { Err(refused(format!("{}{}", out.trim(), err.trim()))) }
}

fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

fn shell() -> Result<Shell, Error> {
    Shell::new().map_err(not_started)
}

fn not_started(cause: xshell::Error) -> Error {
    Error::new(ErrorKind::BadKey, format!("`ssh-keygen` cannot be started: {cause}"))
        .with_hint("apt-get install openssh-client")
        .with_source(cause)
}
