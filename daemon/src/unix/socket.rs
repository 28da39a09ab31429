//! The control channel on Unix: a socket in the file system, for its owner and, where configured, a group.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::Gid;

/// Where the daemon listens unless it is configured: in root's place, else in the user's own.
pub(crate) fn default_path() -> PathBuf {
    let folder = match std::env::var_os("RUNTIME_DIRECTORY") {
        // systemd's RuntimeDirectory= (systemd.exec(5)).
        Some(folder) => PathBuf::from(folder),
        None if rustix::process::geteuid().is_root() => PathBuf::from("/run/seaworthyd"),
        None => std::env::var_os("XDG_RUNTIME_DIR")
            .map_or_else(std::env::temp_dir, PathBuf::from)
            .join(format!("seaworthyd-{}", rustix::process::geteuid().as_raw())),
    };
    folder.join("control.sock")
}

/// Hears clients.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    has_group: bool,
}

/// A client, or the daemon as a client sees it.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: UnixStream,
    has_group: bool,
}

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// For the audit: user, group and process.
    pub(crate) description: String,
    /// Whether it may ask.
    pub(crate) is_permitted: bool,
}

impl Listener {
    /// Listens at `path`; a socket that nobody listens at any more is replaced.
    pub(crate) fn bind(path: &Path, group: Option<u32>) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
        }
        match fs::symlink_metadata(path) {
            Ok(there) if std::os::unix::fs::FileTypeExt::is_socket(&there.file_type()) => {
                fs::remove_file(path)?
            }
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "a file that is no socket is there",
                ));
            }
            Err(_) => {}
        }
        // From birth closed to others; opened to the group afterwards.
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = Self { socket: bound?, path: path.to_owned(), has_group: group.is_some() };
        if let Some(group) = group {
            rustix::fs::chown(path, None, Some(Gid::from_raw(group)))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        }
        Ok(listener)
    }

    /// The next client.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        let (socket, _) = self.socket.accept()?;
        Ok(Stream { socket, has_group: self.has_group })
    }
}

impl Listener {
    /// Nobody can come any more; a client that knocks in this moment is turned away when the program ends.
    pub(crate) fn close(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Connects to the daemon at `path`.
pub(crate) fn connect(path: &Path) -> io::Result<Stream> {
    Ok(Stream { socket: UnixStream::connect(path)?, has_group: false })
}

impl Stream {
    /// How long a read or a write may take; `None` for ever.
    pub(crate) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)?;
        self.socket.set_write_timeout(timeout)
    }

    /// Who is at the other end, by the kernel's word (SO_PEERCRED, unix(7)). The socket's own mode has kept all others out
    /// already; this holds where its folder or mode was changed.
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        let peer = rustix::net::sockopt::socket_peercred(&self.socket)?;
        let is_permitted = self.has_group || peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        let description = format!("uid {}, gid {}, pid {}", peer.uid, peer.gid, peer.pid);
        Ok(Peer { description, is_permitted })
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
