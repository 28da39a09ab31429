//! Who may change a program: judged from the access lists of its file and folders.

/// An entry of an access list that allows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessEntry {
    /// Whom, as text such as `S-1-5-18`.
    pub(crate) sid: String,
    /// Access rights (`ACCESS_MASK`, [MS-DTYP] 2.4.3).
    pub(crate) mask: u32,
    /// Only for what will be made inside.
    pub(crate) inherit_only: bool,
}

/// What a file's security descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Who may change the access list whatever it says.
    pub(crate) owner: String,
    /// `None`: there is no list, everyone may do everything.
    pub(crate) entries: Option<Vec<AccessEntry>>,
}

/// Where a descriptor was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The program or its folder: nothing may be written or added (a DLL beside a program is loaded).
    Program,
    /// A folder above: others may add to it, but not rename or remove what leads to the program.
    Above,
}

/// FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE.
const REPLACE: u32 = 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x1000_0000 | 0x4000_0000;
/// And FILE_WRITE_DATA (in a folder: add a file), FILE_APPEND_DATA (add a folder).
const CHANGE: u32 = REPLACE | 0x2 | 0x4;

/// Who may replace every program anyway ([MS-DTYP] 2.4.2.4; the third is TrustedInstaller), and placeholders for the owner,
/// who is judged by himself.
const TRUSTED: [&str; 5] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
    "S-1-3-0",
    "S-1-3-4",
];

/// The SIDs that may change what is at `place`, besides administrators and `ourselves`. Entries that deny are not
/// counted, so it may name too many, never too few.
pub(crate) fn writers(descriptor: &Descriptor, place: Place, ourselves: &str) -> Vec<String> {
    let is_trusted = |sid: &str| sid == ourselves || TRUSTED.contains(&sid);
    let Some(entries) = &descriptor.entries else {
        return vec!["everyone (it has no access list)".to_owned()];
    };
    let rights = if place == Place::Program { CHANGE } else { REPLACE };
    let may_write = entries.iter().filter(|entry| !entry.inherit_only && entry.mask & rights != 0);
    let mut found: Vec<_> = std::iter::once(&descriptor.owner)
        .chain(may_write.map(|entry| &entry.sid))
        .filter(|sid| !is_trusted(sid))
        .cloned()
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "S-1-5-18";
    const USERS: &str = "S-1-5-32-545";
    const READ: u32 = 0x12_00a9;
    const MODIFY: u32 = 0x13_01bf;

    fn judge(owner: &str, entries: &[(&str, u32, bool)], place: Place) -> Vec<String> {
        let entries = entries.iter().map(|(sid, mask, inherit_only)| AccessEntry {
            sid: (*sid).to_owned(),
            mask: *mask,
            inherit_only: *inherit_only,
        });
        let descriptor = Descriptor { owner: owner.to_owned(), entries: Some(entries.collect()) };
        writers(&descriptor, place, "S-1-5-21-1-2-3-1001")
    }

    #[test]
    fn program_files_passes_and_a_download_folder_does_not() {
        let trusted = TRUSTED[2];
        let program_files = [
            (trusted, 0x1f_01ff, false),
            (SYSTEM, MODIFY, false),
            (USERS, READ, false),
            (USERS, 0xa000_0000, true),
        ];
        assert_eq!(judge(trusted, &program_files, Place::Program), [""; 0]);
        let other = "S-1-5-21-1-2-3-1002";
        assert_eq!(judge(other, &[(SYSTEM, MODIFY, false)], Place::Program), [other]);
        assert_eq!(judge(SYSTEM, &[(USERS, MODIFY, false)], Place::Program), [USERS]);
        assert_eq!(judge("S-1-5-21-1-2-3-1001", &[], Place::Program), [""; 0]);
    }

    /// The root of a drive: signed-in users may add folders there, and own what is in them.
    #[test]
    fn a_folder_above_may_be_added_to() {
        let root = [("S-1-5-11", 0x4, false), ("S-1-5-11", MODIFY, true), (USERS, READ, false)];
        assert_eq!(judge(SYSTEM, &root, Place::Above), [""; 0]);
        assert_eq!(judge(SYSTEM, &root, Place::Program), ["S-1-5-11"]);
        assert_eq!(judge(SYSTEM, &[("S-1-1-0", 0x40, false)], Place::Above), ["S-1-1-0"]);
    }

    #[test]
    fn no_list_is_no_protection() {
        let descriptor = Descriptor { owner: SYSTEM.to_owned(), entries: None };
        assert_eq!(writers(&descriptor, Place::Above, SYSTEM).len(), 1);
    }
}
