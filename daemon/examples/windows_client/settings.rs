//! The structures that the daemon gives to the service manager, field by field: Wine keeps few of them, so that reading back
//! cannot show them.
#![expect(unsafe_code, reason = "structures of the system")]

use std::ffi::c_void;
use std::time::Duration;

use crate::os::service_manager::{WindowsServiceManager, read_info, with_info};
use crate::service_manager::{Definition, Error, RecoveryAction, ServiceManager, Setting, SidType, install};
use crate::start_when::StartWhen;

/// Prints the name of each check that passed.
pub(crate) fn check() {
    let actions = vec![
        (RecoveryAction::Restart, Duration::from_secs(1)),
        (RecoveryAction::Nothing, Duration::ZERO),
        (RecoveryAction::Reboot, Duration::from_millis(1500)),
    ];
    let privileges = vec!["SeChangeNotifyPrivilege".to_owned(), "SeTcbPrivilege".to_owned()];
    let settings = [
        Setting::Description("what it does \u{1f6a2}".to_owned()),
        Setting::Recovery { reset: Duration::from_secs(900), actions },
        Setting::DelayedStart(true),
        Setting::RecoverFromExitCodes(true),
        Setting::SidType(SidType::Restricted),
        Setting::RequiredPrivileges(privileges),
        Setting::RequiredPrivileges(Vec::new()),
        Setting::PreshutdownTimeout(Duration::from_secs(60)),
    ];
    for setting in &settings {
        // SAFETY: the structure is that of the level.
        let back = with_info(setting, |info| unsafe { read_info(info, setting.level()) });
        assert_eq!(back.as_ref(), Some(setting));
    }
    println!("read back");

    // winsvc.h, by hand: a pointer has 8 bytes, a number 4.
    let number = |setting: &Setting, at: usize| with_info(setting, |info| number_at(info, at));
    assert_eq!(number(&settings[1], 0), 900);
    assert_eq!(number(&settings[1], 24), 3);
    // SAFETY: the pointer to the actions lies at 32; there are three of two numbers each.
    let actions: Vec<u32> = with_info(&settings[1], |info| unsafe {
        let actions = *info.byte_add(32).cast::<*const c_void>();
        (0..6).map(|index| number_at(actions, index * 4)).collect()
    });
    assert_eq!(actions, [1, 1000, 0, 0, 2, 1500]);
    assert_eq!(settings.each_ref().map(Setting::level), [1, 2, 3, 4, 5, 6, 6, 7]);
    let numbers: Vec<_> = [2, 3, 4, 7].map(|index| number(&settings[index], 0)).into();
    assert_eq!(numbers, [1, 1, 3, 60_000]);
    // SAFETY: the pointer to the list lies at 0; the list has 23 + 1 + 14 + 1 + 1 units.
    let units: Vec<u16> = with_info(&settings[5], |info| unsafe {
        let list = *info.cast::<*const u16>();
        (0..40).map(|index| *list.add(index)).collect()
    });
    assert_eq!(String::from_utf16_lossy(&units), "SeChangeNotifyPrivilege\0SeTcbPrivilege\0\0");
    println!("field by field");

    // A service with everything that the command line does not reach.
    let manager = WindowsServiceManager::new();
    let name = "seaworthyd-settings";
    let mut definition =
        Definition::new(name, "settings", "text", "\"C:\\client.exe\"".to_owned(), StartWhen::Delayed);
    let answer = install(&manager, &definition);
    assert!(answer.is_ok_and(|warnings| warnings.iter().all(|it| it.contains("does not keep"))));
    manager.delete(name).expect("removed");
    definition.config.dependencies = vec!["EventLog".to_owned(), "RpcSs".to_owned()];
    match install(&manager, &definition) {
        Ok(_) => manager.delete(name).expect("removed"),
        // Wine takes dependencies and forgets them.
        Err(Error::Differs { what, .. }) => assert_eq!(what, "dependencies"),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(manager.status(name).expect_err("nothing is left").code(), Some(1060));
    println!("whole or not at all");
}

fn number_at(pointer: *const c_void, at: usize) -> u32 {
    // SAFETY: our caller knows that a number lies there.
    unsafe { *pointer.byte_add(at).cast::<u32>() }
}
