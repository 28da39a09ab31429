//! Users and groups from `/etc/passwd` and `/etc/group` (passwd(5), group(5)). Nothing else is asked: no NSS, no LDAP, no
//! systemd-userdb, since a static program cannot load their modules.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// More of either file is not read. Bytes.
const LARGEST_FILE: u64 = 4 << 20;
const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// Means "leave as is" to the system calls, so nobody can have it.
const NOBODYS: u32 = u32::MAX;

/// A user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) id: u32,
    /// `None` for a number that is not in the file.
    pub(super) entry: Option<UserEntry>,
}

/// What the file says of a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) group: u32,
    pub(super) home: String,
}

/// Finds a user by name or number; a number need not be in the file.
pub(super) fn user(wanted: &str) -> io::Result<User> {
    find_user(&read(Path::new(PASSWD))?, wanted).ok_or_else(|| unknown("user", wanted, PASSWD))
}

/// Finds a group by name or number; a number need not be in the file.
pub(super) fn group(wanted: &str) -> io::Result<u32> {
    find_group(&read(Path::new(GROUP))?, wanted).ok_or_else(|| unknown("group", wanted, GROUP))
}

fn find_user(passwd: &str, wanted: &str) -> Option<User> {
    let number = number(wanted);
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, group, _, home, _] = fields.as_slice() else { return None };
        let (id, group) = (self::number(id)?, self::number(group)?);
        let (name, home) = ((*name).to_owned(), (*home).to_owned());
        // A name of digits is a name first, as in other programs.
        (name == wanted || Some(id) == number)
            .then_some(User { id, entry: Some(UserEntry { name, group, home }) })
    });
    entry.or_else(|| Some(User { id: number?, entry: None }))
}

fn find_group(groups: &str, wanted: &str) -> Option<u32> {
    let by_name = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _] = fields.as_slice() else { return None };
        (*name == wanted).then(|| number(id))?
    });
    by_name.or_else(|| number(wanted))
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?.filter(|id| *id != NOBODYS)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut bytes))
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unknown(what: &str, wanted: &str, file: &str) -> io::Error {
    let message = format!("unknown {what} {wanted:?}: not in {file}, and no other user database is asked");
    io::Error::new(io::ErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "root:x:0:0:root:/root:/bin/bash\n\nbroken\nbad:x:a:0:::\nweb:x:33:34:,:/var/www:/bin/sh\n+::::::\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let web = find_user(FILE, "web").expect("found");
        assert_eq!(web.id, 33);
        assert_eq!(
            web.entry.as_ref().map(|entry| (entry.group, entry.home.as_str())),
            Some((34, "/var/www"))
        );
        assert_eq!(find_user(FILE, "33"), Some(web));
        assert_eq!(find_user(FILE, "1234"), Some(User { id: 1234, entry: None }));
        for unknown in ["bad", "broken", "", "we", "+", "-1", "4294967295", "99999999999", "0x10"] {
            assert_eq!(find_user(FILE, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn groups_are_found_by_name_and_number() {
        let file = "root:x:0:\nadm:x:4:a,b\nbad:x::\n";
        assert_eq!(find_group(file, "adm"), Some(4));
        assert_eq!(find_group(file, "77"), Some(77));
        for unknown in ["bad", "a", "4294967295"] {
            assert_eq!(find_group(file, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_system_agrees() {
        #[expect(clippy::disallowed_methods, reason = "getent is the independent truth")]
        let output =
            std::process::Command::new("getent").args(["passwd", "nobody"]).output().expect("getent runs");
        let line = String::from_utf8(output.stdout).expect("text");
        let fields: Vec<&str> = line.trim().split(':').collect();
        let nobody = user("nobody").expect("in the file");
        let entry = nobody.entry.expect("in the file");
        assert_eq!(
            (nobody.id.to_string(), entry.group.to_string()),
            (fields[2].to_owned(), fields[3].to_owned())
        );
        assert!(user("no-such-user").expect_err("unknown").to_string().contains("/etc/passwd"));
    }
}
