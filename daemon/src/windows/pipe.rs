//! The control channel on Windows: a named pipe that only the service itself and administrators may open, and only on
//! this machine. Its twin for Unix has the same methods.
#![expect(unsafe_code, reason = "named pipes have no safe interface")]

use std::io::{self, Read, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_FILE_NOT_FOUND, ERROR_IO_PENDING, ERROR_NO_DATA,
    ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED, HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeClientProcessId, PIPE_READMODE_BYTE,
    PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects, WaitForSingleObject,
};

use super::access::{Local, client_sid};
use super::token::own_sid;
use super::wide::{check, wide};

/// Of each direction of a connection. Bytes.
const BUFFER: u32 = 4096;
/// How long [`connect`] waits for its turn. Milliseconds.
const BUSY: u32 = 5000;

/// Where the daemon listens unless it is configured.
pub(crate) fn default_path() -> PathBuf {
    PathBuf::from(r"\\.\pipe\seaworthyd")
}

/// Takes connections.
#[derive(Debug)]
pub(crate) struct Listener {
    name: Vec<u16>,
    /// The instance that waits for the next client: there is always one, so that nobody else can take the name.
    waiting: Mutex<OwnedHandle>,
    /// Set when the listener is closed.
    closed: OwnedHandle,
}

impl Listener {
    /// Takes the name, such as `\\.\pipe\seaworthyd`; fails if anyone has it already. Groups have no numbers here.
    pub(crate) fn bind(path: &Path, group: Option<u32>) -> io::Result<Self> {
        if group.is_some() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "control.group is for Linux"));
        }
        let name = name(path)?;
        // Wine does not know the flag for the first instance, so this looks beforehand, too.
        // SAFETY: the name ends with a NUL.
        if unsafe { WaitNamedPipeW(name.as_ptr(), 1) } != 0 || last_error() != ERROR_FILE_NOT_FOUND {
            return Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed()));
        }
        let waiting = Mutex::new(instance(&name, FILE_FLAG_FIRST_PIPE_INSTANCE)?);
        Ok(Self { name, waiting, closed: event()? })
    }

    /// Waits for the next client. After [`Listener::close`]: an error of kind `ConnectionAborted`.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Err(error) = self.wait_for_client(&waiting) {
            if error.raw_os_error() != Some(ERROR_NO_DATA.cast_signed()) {
                return Err(error);
            }
            // That client came and went before anyone looked: the instance is free for the next.
            // SAFETY: the pipe is open.
            check(unsafe { DisconnectNamedPipe(waiting.as_raw_handle()) })?;
        }
        let next = instance(&self.name, 0)?;
        Stream::new(std::mem::replace(&mut *waiting, next))
    }

    /// Ends a waiting [`Listener::accept`], and every later one.
    pub(crate) fn close(&self) {
        // SAFETY: the handle is open; it cannot fail for an event of ours.
        unsafe { SetEvent(self.closed.as_raw_handle()) };
    }

    fn wait_for_client(&self, pipe: &OwnedHandle) -> io::Result<()> {
        let connected = event()?;
        let mut overlapped = overlapped(&connected);
        // SAFETY: the pipe is open; `overlapped` stays in its place until the operation has ended, see below.
        let result = unsafe { ConnectNamedPipe(pipe.as_raw_handle(), &raw mut overlapped) };
        match (result, last_error()) {
            // The client was faster than this call.
            (0, ERROR_PIPE_CONNECTED) => return Ok(()),
            (0, ERROR_IO_PENDING) | (1.., _) => {}
            _ => return Err(io::Error::last_os_error()),
        }
        // The first of those that are set is answered: a closed listener takes nobody.
        let handles = [self.closed.as_raw_handle(), connected.as_raw_handle()];
        // SAFETY: both handles are open.
        let woken = unsafe { WaitForMultipleObjects(2, handles.as_ptr(), 0, INFINITE) };
        if woken != WAIT_OBJECT_0 + 1 {
            // SAFETY: as above.
            unsafe { CancelIoEx(pipe.as_raw_handle(), &raw const overlapped) };
        }
        let ended = end(pipe, &mut overlapped).map(drop);
        if woken == WAIT_OBJECT_0 { Err(io::ErrorKind::ConnectionAborted.into()) } else { ended }
    }
}

/// Connects to the listener of that name.
pub(crate) fn connect(path: &Path) -> io::Result<Stream> {
    let name = name(path)?;
    // Whoever listens may learn who we are, but not act in our name.
    let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
    loop {
        // SAFETY: the name ends with a NUL; null asks for no attributes and no template.
        let handle = unsafe {
            CreateFileW(
                name.as_ptr(),
                FILE_GENERIC_READ | FILE_GENERIC_WRITE,
                0,
                ptr::null(),
                OPEN_EXISTING,
                flags,
                ptr::null_mut(),
            )
        };
        match owned(handle) {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {
                // SAFETY: the name ends with a NUL.
                check(unsafe { WaitNamedPipeW(name.as_ptr(), BUSY) })?;
            }
            result => return Stream::new(result?),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pipe: OwnedHandle,
    /// Set when an operation has ended; there is one at a time.
    done: OwnedHandle,
    timeout: Option<Duration>,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// For people and audits.
    pub(crate) description: String,
    /// Whether it may ask: nobody else has come through the access list.
    pub(crate) is_permitted: bool,
}

impl Stream {
    fn new(pipe: OwnedHandle) -> io::Result<Self> {
        Ok(Self { pipe, done: event()?, timeout: None })
    }

    /// How long a read or a write may take; `None` for ever.
    pub(crate) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeout = timeout;
        Ok(())
    }

    /// The client; the pipe's access list has already decided that it may speak.
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        let mut pid = 0;
        // SAFETY: the pipe is open; `pid` is writable.
        let result = unsafe { GetNamedPipeClientProcessId(self.pipe.as_raw_handle(), &raw mut pid) };
        let process = if result == 0 { "an unknown process".to_owned() } else { format!("pid {pid}") };
        let user = client_sid(&self.pipe).unwrap_or_else(|error| format!("user unknown: {error}"));
        let description = format!("{process} ({user})");
        Ok(Peer { description, is_permitted: true })
    }

    /// Waits for an operation that was begun, and cancels it when its time is over. When this returns, the system
    /// uses neither `overlapped` nor the operation's buffer any more.
    fn finish(
        &self,
        begun: i32,
        overlapped: &mut OVERLAPPED,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if begun == 0 && last_error() != ERROR_IO_PENDING {
            return Err(io::Error::last_os_error());
        }
        let milliseconds =
            timeout.map_or(INFINITE, |it| u32::try_from(it.as_millis()).unwrap_or(INFINITE - 1));
        // SAFETY: the handle is open.
        let woken = unsafe { WaitForSingleObject(self.done.as_raw_handle(), milliseconds) };
        if woken != WAIT_OBJECT_0 {
            // SAFETY: the pipe is open; `overlapped` is that of the operation.
            unsafe { CancelIoEx(self.pipe.as_raw_handle(), overlapped) };
        }
        match end(&self.pipe, overlapped) {
            // It may have ended well in the last moment.
            Err(_) if woken == WAIT_TIMEOUT => Err(io::ErrorKind::TimedOut.into()),
            result => result,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut overlapped = overlapped(&self.done);
        let size = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        // SAFETY: the pipe is open; pointer and size describe `buffer`; both stay until `finish` returns.
        let begun = unsafe {
            ReadFile(
                self.pipe.as_raw_handle(),
                buffer.as_mut_ptr(),
                size,
                ptr::null_mut(),
                &raw mut overlapped,
            )
        };
        match self.finish(begun, &mut overlapped, self.timeout) {
            // The other end is closed, and everything it wrote has been read.
            Err(error) if error.raw_os_error() == Some(ERROR_BROKEN_PIPE.cast_signed()) => Ok(0),
            result => result,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut overlapped = overlapped(&self.done);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        // SAFETY: the pipe is open; pointer and size describe `bytes`; both stay until `finish` returns.
        let begun = unsafe {
            WriteFile(self.pipe.as_raw_handle(), bytes.as_ptr(), size, ptr::null_mut(), &raw mut overlapped)
        };
        self.finish(begun, &mut overlapped, self.timeout)
    }

    /// What was written is with the system, which keeps it for the reader also when this end is closed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A new instance of the pipe, waiting for a client.
fn instance(name: &[u16], flags: u32) -> io::Result<OwnedHandle> {
    // Everything for the system, administrators and ourselves; nobody else, and nothing inherited.
    let descriptor = Local::descriptor(&format!("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{})", own_sid()?))?;
    let attributes = descriptor.attributes();
    // SAFETY: the name ends with a NUL; the attributes and their descriptor outlive the call.
    owned(unsafe {
        CreateNamedPipeW(
            name.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            BUFFER,
            BUFFER,
            0,
            &raw const attributes,
        )
    })
}

/// Waits for the end of an operation and answers how many bytes it moved.
fn end(pipe: &OwnedHandle, overlapped: &mut OVERLAPPED) -> io::Result<usize> {
    let mut moved = 0;
    // SAFETY: the pipe is open; `overlapped` is that of an operation on it; `moved` is writable.
    check(unsafe { GetOverlappedResult(pipe.as_raw_handle(), overlapped, &raw mut moved, 1) })?;
    Ok(moved as usize)
}

fn overlapped(done: &OwnedHandle) -> OVERLAPPED {
    OVERLAPPED { hEvent: done.as_raw_handle(), ..Default::default() }
}

/// An event that stays set until an operation begins, or for ever.
fn event() -> io::Result<OwnedHandle> {
    // SAFETY: null asks for no attributes and no name.
    owned(unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) })
}

fn name(path: &Path) -> io::Result<Vec<u16>> {
    let text = path.to_str().filter(|text| text.starts_with(r"\\.\pipe\") && !text.contains('\0'));
    text.map(wide).ok_or_else(|| {
        let message = format!(r"{} does not begin with \\.\pipe\", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened for us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn last_error() -> u32 {
    io::Error::last_os_error().raw_os_error().unwrap_or_default().cast_unsigned()
}
