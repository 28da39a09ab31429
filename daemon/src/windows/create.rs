//! Creates a process with a token that is not ours, which std's `Command` cannot.
#![expect(unsafe_code, reason = "process creation with a token has no safe interface")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_INFORMATION, ResumeThread,
    STARTF_USESTDHANDLES, STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::job::Job;
use super::wide::{check, wide_whole};
use crate::launch::Launch;
use crate::service_manager::quoted;

/// A process that has not run yet.
pub(super) struct Suspended {
    pub(super) process: OwnedHandle,
    pub(super) id: u32,
    pub(super) stdin: Option<PipeWriter>,
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
    thread: OwnedHandle,
}

impl Suspended {
    /// Creates the process in `job`, so that no child of it can be outside. It inherits three handles and nothing else, and
    /// has a console of its own that has no window: nobody else's Ctrl-C is its, and its own reaches all of the workload.
    pub(super) fn new(launch: &Launch, token: &OwnedHandle, job: &Job) -> io::Result<Self> {
        let program = program(launch)?;
        let application = wide_whole(program.as_os_str())?;
        let mut line = wide_whole(&command_line(&launch.command, &launch.args))?;
        let environment = environment(&launch.environment)?;
        let folder = launch.folder.as_ref().map(|folder| wide_whole(folder.as_os_str())).transpose()?;

        let (its_stdin, stdin) = match launch.input {
            Some(_) => io::pipe().map(|(reader, writer)| (OwnedHandle::from(reader), Some(writer)))?,
            None => (File::open("NUL")?.into(), None),
        };
        let (stdout, its_stdout) = io::pipe()?;
        let (stderr, its_stderr) = io::pipe()?;
        let inherited = [its_stdin, its_stdout.into(), its_stderr.into()];
        let handles = inherited.each_ref().map(AsRawHandle::as_raw_handle);
        for handle in handles {
            // SAFETY: the handle is open.
            check(unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
        }
        let jobs = [job.0.as_raw_handle()];
        let mut attributes = Attributes::new()?;
        attributes.add(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;

        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        [startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError] =
            handles;
        startup.lpAttributeList = attributes.pointer();
        let mut made = PROCESS_INFORMATION::default();
        // SAFETY: the token is open for TOKEN_ASSIGN_PRIMARY, TOKEN_DUPLICATE and TOKEN_QUERY; texts end with a NUL, the
        // environment with two, and the line is writable; the startup information is of the kind and size that the
        // flag and `cb` say, and the handles in it and in its list of attributes outlive the call.
        check(unsafe {
            CreateProcessAsUserW(
                token.as_raw_handle(),
                application.as_ptr(),
                line.as_mut_ptr(),
                ptr::null(),
                ptr::null(),
                1,
                CREATE_SUSPENDED
                    | CREATE_NO_WINDOW
                    | CREATE_UNICODE_ENVIRONMENT
                    | EXTENDED_STARTUPINFO_PRESENT,
                environment.as_ptr().cast(),
                folder.as_ref().map_or(ptr::null(), |folder| folder.as_ptr()),
                &raw const startup.StartupInfo,
                &raw mut made,
            )
        })?;
        // SAFETY: both handles were just opened for us, and nobody else closes them.
        let [process, thread] =
            [made.hProcess, made.hThread].map(|handle| unsafe { OwnedHandle::from_raw_handle(handle) });
        Ok(Self { process, id: made.dwProcessId, stdin, stdout, stderr, thread })
    }

    /// Lets it run.
    pub(super) fn resume(&self) -> io::Result<()> {
        // SAFETY: the handle is open, and has every access (from CreateProcess).
        let before = unsafe { ResumeThread(self.thread.as_raw_handle()) };
        if before == u32::MAX { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The program's file: as named, or found where programs are. The folder that the daemon happens to be in is none of
/// those. `.exe` may be left out.
fn program(launch: &Launch) -> io::Result<PathBuf> {
    let mut named = launch.command.clone();
    if named.extension().is_none() {
        named.set_extension("exe");
    }
    let program = if named.components().count() > 1 {
        // Without the dots and spaces at its end, which Windows would not see either.
        std::path::absolute(named)?
    } else {
        let own = launch.environment.iter().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
        let path = own.map(|(_, folders)| OsString::from(folders)).or_else(|| std::env::var_os("PATH"));
        let beside = std::env::current_exe()?.parent().map(Path::to_owned);
        let path = path.unwrap_or_default();
        let found = beside.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(&named));
        found.into_iter().find(|file| file.is_file()).ok_or(io::ErrorKind::NotFound)?
    };
    let is = |extension: &str| program.extension().is_some_and(|it| it.eq_ignore_ascii_case(extension));
    if is("bat") || is("cmd") {
        // Its arguments would be read by rules that no quoting satisfies (CVE-2024-24576).
        let why =
            r#"a batch file is cmd.exe's to run: use command = "cmd.exe", args = ["/d", "/c", 'C:\...']"#;
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(program)
}

/// As `CommandLineToArgvW` and C's start-up code read it; the program is quoted always, by other rules: a path has no quote.
fn command_line(program: &Path, arguments: &[String]) -> OsString {
    let mut line = OsString::from("\"");
    line.push(program);
    line.push("\"");
    for argument in arguments {
        line.push(" ");
        line.push(quoted(argument));
    }
    line
}

/// What we have, and `added`: a variable once, whatever its case, sorted as the system wants it.
fn environment(added: &[(String, String)]) -> io::Result<Vec<u16>> {
    let added = added.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os().chain(added) {
        variables.insert(name.to_string_lossy().to_uppercase(), (name, value));
    }
    let mut block = Vec::new();
    for (mut variable, value) in variables.into_values() {
        variable.push("=");
        variable.push(value);
        block.extend(wide_whole(&variable)?);
    }
    // An empty one has two as well.
    block.extend(if block.is_empty() { &[0, 0][..] } else { &[0] });
    Ok(block)
}

/// The two attributes of a process that std does not set. What is added must outlive its use.
struct Attributes {
    memory: Vec<u64>,
}

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: asks for the size alone, and fails.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), 2, 0, &raw mut size) };
        let mut memory = vec![0_u64; size.div_ceil(8)];
        // SAFETY: the memory is as large as was asked for.
        check(unsafe { InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), 2, 0, &raw mut size) })?;
        Ok(Self { memory })
    }

    fn add(&mut self, attribute: u32, handles: &[HANDLE]) -> io::Result<()> {
        // SAFETY: the list is initialized and has room; pointer and size describe `handles`.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.pointer(),
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                size_of_val(handles),
                ptr::null_mut(),
                ptr::null(),
            )
        })
    }

    fn pointer(&mut self) -> *mut std::ffi::c_void {
        self.memory.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the list was initialized.
        unsafe { DeleteProcThreadAttributeList(self.pointer()) };
    }
}
