//! Part of the small workspace that the real builds are tried on.

#[cfg(windows)]
mod system {
    #[link(name = "user32", kind = "raw-dylib")]
    unsafe extern "system" {
        fn GetDoubleClickTime() -> u32;
        fn GetCursorPos(point: *mut [i32; 2]) -> i32;
    }
    #[link(name = "kernel32", kind = "raw-dylib")]
    unsafe extern "system" {
        fn GetTickCount64() -> u64;
    }

    pub fn number() -> u64 {
        let mut point = [0; 2];
        unsafe { u64::from(GetDoubleClickTime()) + GetCursorPos(&mut point) as u64 + GetTickCount64() }
    }
}

pub fn number() -> u64 {
    #[cfg(windows)]
    return system::number();
    #[cfg(not(windows))]
    return 1;
}
