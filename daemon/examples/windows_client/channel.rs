//! The named pipe, both ends in one process.
#![expect(unsafe_code, reason = "the pipe's access list is read by bare system calls")]

use std::io::{ErrorKind, Read, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;
use windows_sys::Win32::Storage::FileSystem::{CreateFileW, OPEN_EXISTING, READ_CONTROL};

use crate::os::access::own_sid;
use crate::os::pipe::{Listener, connect};
use crate::os::wide::{text_at, wide};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Prints the name of each check that passed.
pub(crate) fn check() {
    let path = Path::new(r"\\.\pipe\seaworthyd-test");
    assert_eq!(connect(path).expect_err("nobody listens").kind(), ErrorKind::NotFound);
    assert_eq!(
        Listener::bind(Path::new("seaworthyd"), None).expect_err("no pipe").kind(),
        ErrorKind::InvalidInput
    );
    let listener = Arc::new(Listener::bind(path, None).expect("bound"));
    assert_eq!(Listener::bind(path, None).expect_err("bound already").kind(), ErrorKind::PermissionDenied);
    println!("one listener");
    // Wine's user is of no service.
    let expected = format!("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{})", own_sid().expect("a SID"));
    assert_eq!(access_list(r"\\.\pipe\seaworthyd-test"), expected);
    println!("access list");

    // Far more than the pipe's own buffers, there and back.
    let server = {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            let mut stream = listener.accept().expect("a client");
            let peer = stream.peer().expect("a client").description;
            assert_eq!(peer, format!("pid {} ({})", std::process::id(), own_sid().expect("a SID")));
            stream.set_timeout(PATIENCE).expect("set");
            let mut bytes = vec![0; 100_000];
            stream.read_exact(&mut bytes).expect("read");
            stream.write_all(&bytes).expect("written");
        })
    };
    let sent: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = connect(path).expect("connected");
    client.write_all(&sent).expect("written");
    let mut back = Vec::new();
    client.read_to_end(&mut back).expect("read to the end");
    assert!(back == sent, "{} bytes came back", back.len());
    server.join().expect("the server");
    println!("round trip");

    // A client that says nothing, and one that does not read.
    let _silent = connect(path).expect("connected");
    let mut stream = listener.accept().expect("a client");
    stream.set_timeout(Some(Duration::from_millis(200))).expect("set");
    assert_eq!(stream.read(&mut [0; 10]).expect_err("silence").kind(), ErrorKind::TimedOut);
    let flood = vec![0; 10_000_000];
    assert_eq!(stream.write_all(&flood).expect_err("nobody reads").kind(), ErrorKind::TimedOut);
    drop(stream);
    println!("silent client dropped");

    // Many at once, among them those that leave before they are taken.
    for _ in 0..3 {
        drop(connect(path));
    }
    let server = {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            let mut served = 0;
            while served < 20 {
                let Ok(mut stream) = listener.accept() else { continue };
                stream.set_timeout(PATIENCE).expect("set");
                let mut byte = [0];
                if stream.read(&mut byte).is_ok_and(|length| length == 1) {
                    stream.write_all(&byte).expect("written");
                    served += 1;
                }
            }
        })
    };
    thread::scope(|scope| {
        for number in 0..20 {
            scope.spawn(move || {
                let mut client = connect(path).expect("connected");
                client.write_all(&[number]).expect("written");
                let mut byte = [0];
                client.read_exact(&mut byte).expect("read");
                assert_eq!(byte, [number]);
            });
        }
    });
    server.join().expect("the server");
    println!("many clients");

    let closer = Arc::clone(&listener);
    let server = thread::spawn(move || listener.accept().map(drop));
    let begin = Instant::now();
    closer.close();
    let error = server.join().expect("the server").expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(closer.accept().map(drop).expect_err("closed").kind(), ErrorKind::ConnectionAborted);
    assert!(begin.elapsed() < Duration::from_secs(20));
    println!("closed");
}

fn access_list(pipe: &str) -> String {
    let (mut descriptor, mut text) = (null_mut(), null_mut());
    // SAFETY: the name ends with a NUL; the other pointers are null or lead to pointers of ours, which are never freed by
    // this short program.
    unsafe {
        let file = CreateFileW(wide(pipe).as_ptr(), READ_CONTROL, 0, null(), OPEN_EXISTING, 0, null_mut());
        assert_ne!(file, INVALID_HANDLE_VALUE, "{}", std::io::Error::last_os_error());
        let pipe = OwnedHandle::from_raw_handle(file);
        let (sid, list) = (null_mut(), null_mut());
        let which = DACL_SECURITY_INFORMATION;
        let code = GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            which,
            sid,
            sid,
            list,
            list,
            &raw mut descriptor,
        );
        assert_eq!(code, 0);
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            which,
            &raw mut text,
            null_mut(),
        );
        text_at(text)
    }
}
