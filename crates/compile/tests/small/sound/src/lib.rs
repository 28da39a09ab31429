//! Part of the small workspace that the real builds are tried on.

#[cfg(windows)]
mod system {
    #[link(name = "user32", kind = "raw-dylib")]
    unsafe extern "system" {
        fn MessageBeep(kind: u32) -> i32;
        fn GetCursorPos(point: *mut [i32; 2]) -> i32;
    }

    pub fn number() -> u64 {
        let mut point = [0; 2];
        unsafe { MessageBeep(0) as u64 + GetCursorPos(&mut point) as u64 }
    }
}

pub fn number() -> u64 {
    #[cfg(windows)]
    return system::number();
    #[cfg(not(windows))]
    return 2;
}
