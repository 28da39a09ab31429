//! The fixtures, the policies they pass under, and edits of single fields. Nothing here uses the readers under test:
//! offsets come from the ELF gABI and the PE/COFF specification.

use std::path::{Path, PathBuf};

use artifact::{Finding, Outcome, Target};
use seaworthy_verify::{ControlFlow, Policy, Requirement, Secret, Subject, SysrootPolicy, rules, verify};

/// A passing file of `fixtures/`, see `make.sh` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fixture {
    Glibc,
    Musl,
    MuslX86,
    Zig,
    Freestanding,
    Console,
    /// A glibc program whose every object was compiled with every protection.
    Protected,
    /// An x86-64 program with control-flow enforcement.
    ControlFlow,
    /// The same as `Glibc`, with a root folder that has what it needs.
    InRoot,
    /// The same as `Console`, with a folder that has no DLL.
    InFolder,
    /// A Windows program linked with every protection.
    Hardened,
    /// A signed Windows program.
    Signed,
}

impl Fixture {
    pub(crate) const ALL: [Fixture; 12] = [
        Fixture::Glibc,
        Fixture::Musl,
        Fixture::MuslX86,
        Fixture::Zig,
        Fixture::Freestanding,
        Fixture::Console,
        Fixture::Protected,
        Fixture::ControlFlow,
        Fixture::InRoot,
        Fixture::InFolder,
        Fixture::Hardened,
        Fixture::Signed,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fixture::Glibc | Fixture::InRoot => "aarch64-glibc",
            Fixture::Musl => "aarch64-musl",
            Fixture::MuslX86 => "x86_64-musl",
            Fixture::Zig => "x86_64-musl-zig",
            Fixture::Freestanding => "x86_64-freestanding",
            Fixture::Protected => "aarch64-hardened",
            Fixture::ControlFlow => "x86_64-control-flow",
            Fixture::Console | Fixture::InFolder => "x86_64-console.exe",
            Fixture::Hardened => "x86_64-hardened.exe",
            Fixture::Signed => "x86_64-signed.exe",
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        read(self.name())
    }

    /// The target's default; the fixture of glibc was linked on Debian 12, and the Windows one has a build-id.
    pub(crate) fn policy(self) -> Policy {
        match self {
            Fixture::Glibc => {
                let mut policy = Policy::for_target(Target::Aarch64Linux);
                policy.glibc_floor = Some("2.34".to_owned());
                policy.kernel_minimum = Some("3.7.0".to_owned());
                policy
            }
            Fixture::Protected => Policy {
                linker: Some("GNU ld 2.40".to_owned()),
                control_flow: vec![ControlFlow::Bti, ControlFlow::Pac],
                stack_protector: true,
                fortify: true,
                separate_code: true,
                exported_symbols: Some(Vec::new()),
                secrets: vec![Secret::AwsKey],
                size_budget: Some(200_000),
                // Room for what the size budget and the packer's sign are tried with.
                trailing_bytes: 4096,
                ..Policy::for_target(Target::Aarch64Linux)
            },
            Fixture::ControlFlow => Policy {
                control_flow: vec![ControlFlow::Ibt, ControlFlow::Shstk],
                ..Policy::for_target(Target::X86_64LinuxMusl)
            },
            Fixture::Musl => {
                Policy { linker: Some("LLD 22.1".to_owned()), ..Policy::for_target(Target::Aarch64LinuxMusl) }
            }
            Fixture::MuslX86 | Fixture::Zig | Fixture::Freestanding => {
                Policy::for_target(Target::X86_64LinuxMusl)
            }
            Fixture::InRoot => Policy {
                sysroot: Some(SysrootPolicy::new(&fixture("aarch64-root"))),
                ..Fixture::Glibc.policy()
            },
            Fixture::InFolder => {
                let mut policy = Fixture::Console.policy();
                policy.sysroot = Some(SysrootPolicy::new(&fixture("aarch64-root")));
                // What may be imported at all is another rule's.
                policy.imported_dlls = vec!["*".to_owned()];
                policy
            }
            Fixture::Console => {
                let mut policy = Policy::for_target(Target::X86_64Windows);
                policy.build_id = true;
                policy.linker = Some("GNU ld 2.40".to_owned());
                policy
            }
            Fixture::Hardened => {
                let mut policy = Policy::for_target(Target::X86_64Windows);
                // lld-link writes none.
                policy.checksum = false;
                policy.control_flow_guard = Requirement::Required;
                (policy.cet_compat, policy.stack_cookies) = (true, true);
                policy.imported_dlls = vec!["KERNEL32.dll".to_owned(), "libssp-0.dll".to_owned()];
                policy.delay_loaded_dlls = Some(vec!["user32.dll".to_owned()]);
                policy.exported_functions = vec!["hardened_entry".to_owned()];
                policy.version_resource = vec!["ProductVersion".to_owned()];
                let settings = [("requestedExecutionLevel", "asInvoker"), ("longPathAware", "true")];
                policy.manifest = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
                policy
            }
            Fixture::Signed => {
                let mut policy = Policy::for_target(Target::X86_64Windows);
                policy.imported_dlls.push("libssp-0.dll".to_owned());
                policy.authenticode = Requirement::Required;
                policy.authenticode_timestamp = true;
                policy.trusted_certificates = vec![FIXTURE_ROOT.to_owned()];
                policy
            }
        }
    }
}

/// The path of a file of `fixtures/`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
/// SHA-256 of the certificate whose key made those of `x86_64-signed.exe`, see `make.sh`.
pub(crate) const FIXTURE_ROOT: &str = "9b1ef2edf4954a325c768b60ab8e908fb4ba27cf5b26ccfb7021b7de4eb28654";

pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = fixture(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `rule` says about a file.
pub(crate) fn finding(bytes: &[u8], policy: &Policy, rule: &str) -> Finding {
    let facts = inspect::inspect_without_exports(bytes).expect("the headers can be read");
    let report = verify(&Subject::new("case", bytes, &facts), policy);
    assert_eq!(report.findings.len(), rules().len());
    report.findings.into_iter().find(|finding| finding.rule == rule).expect("the rule exists")
}

/// Panics unless `rule` ended so and saw something with `words` in it.
#[track_caller]
pub(crate) fn assert_answer(bytes: &[u8], policy: &Policy, rule: &str, outcome: Outcome, words: &str) {
    let finding = finding(bytes, policy, rule);
    assert!(finding.outcome == outcome && finding.observed.contains(words), "{finding:#?}");
}

// ---- Any file ----------------------------------------------------------------------------------------------------

pub(crate) fn number(bytes: &[u8], offset: usize, size: usize) -> u64 {
    bytes[offset..offset + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(crate) fn put(bytes: &mut [u8], offset: usize, size: usize, value: u64) {
    bytes[offset..offset + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// Changes one number in place.
pub(crate) fn change(bytes: &mut [u8], offset: usize, size: usize, with: impl Fn(u64) -> u64) {
    let value = with(number(bytes, offset, size));
    put(bytes, offset, size, value);
}

/// Writes `new` over the only place where `old` stands.
pub(crate) fn overwrite(bytes: &mut [u8], old: &str, new: &str) {
    overwrite_bytes(bytes, old.as_bytes(), new.as_bytes());
}

/// The same for what is no text.
pub(crate) fn overwrite_bytes(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert_eq!(places.len(), 1, "`{}` stands at {places:?}", old.escape_ascii());
    bytes[places[0]..][..new.len()].copy_from_slice(new);
}

/// The same for the name of a version, and its hash (gABI, Hash Table), by which a loader finds it.
pub(crate) fn rename_version(bytes: &mut [u8], old: &str, new: &str) {
    let hash = |name: &str| {
        let step = |hash: u32, byte: u8| {
            let hash = (hash << 4).wrapping_add(u32::from(byte));
            (hash ^ (hash & 0xf000_0000) >> 24) & 0x0fff_ffff
        };
        name.bytes().fold(0, step).to_le_bytes()
    };
    overwrite_bytes(bytes, &hash(old), &hash(new));
    overwrite(bytes, old, new);
}

// ---- ELF, 64-bit little endian -----------------------------------------------------------------------------------

pub(crate) const EI_OSABI: usize = 7;
pub(crate) const E_TYPE: usize = 16;
pub(crate) const E_MACHINE: usize = 18;
pub(crate) const E_ENTRY: usize = 24;
pub(crate) const E_FLAGS: usize = 48;

pub(crate) const PT_LOAD: u64 = 1;
pub(crate) const PT_DYNAMIC: u64 = 2;
pub(crate) const PT_NOTE: u64 = 4;
pub(crate) const PT_PHDR: u64 = 6;
pub(crate) const PT_GNU_STACK: u64 = 0x6474_e551;
pub(crate) const PT_GNU_RELRO: u64 = 0x6474_e552;
pub(crate) const P_FLAGS: usize = 4;
pub(crate) const P_VADDR: usize = 16;
pub(crate) const P_MEMSZ: usize = 40;

pub(crate) const SH_FLAGS: usize = 8;
pub(crate) const SH_OFFSET: usize = 24;

/// From a property note to the bits of its first property: note header, name, type and size.
pub(crate) const PROPERTY_BITS: usize = 12 + 4 + 4 + 4;

/// Offsets of the program headers of a type.
pub(crate) fn segments(bytes: &[u8], kind: u64) -> Vec<usize> {
    let (table, size, count) = (number(bytes, 32, 8), number(bytes, 54, 2), number(bytes, 56, 2));
    let headers = (0..count).map(|index| (table + index * size) as usize);
    headers.filter(|header| number(bytes, *header, 4) == kind).collect()
}

pub(crate) fn segment(bytes: &[u8], kind: u64) -> usize {
    segments(bytes, kind)[0]
}

/// The offset of the program header that loads code.
pub(crate) fn code_segment(bytes: &[u8]) -> usize {
    let loaded = segments(bytes, PT_LOAD);
    loaded
        .into_iter()
        .find(|header| number(bytes, header + P_FLAGS, 4) & 1 != 0)
        .expect("some code is loaded")
}

/// The offset of the section header of that name.
pub(crate) fn section(bytes: &[u8], name: &str) -> usize {
    let (table, size, count) = (number(bytes, 40, 8), number(bytes, 58, 2), number(bytes, 60, 2));
    let header = |index: u64| (table + index * size) as usize;
    let names = number(bytes, header(number(bytes, 62, 2)) + 24, 8);
    let wanted = [name.as_bytes(), b"\0"].concat();
    let named = |at: &usize| bytes[(names + number(bytes, *at, 4)) as usize..].starts_with(&wanted);
    (0..count).map(header).find(named).expect("the section is in the fixture")
}

/// The offset of the value of a dynamic entry; its tag is eight bytes before.
pub(crate) fn dynamic(bytes: &[u8], tag: u64) -> usize {
    let start = number(bytes, segment(bytes, PT_DYNAMIC) + 8, 8) as usize;
    let mut entries = (start..).step_by(16).take_while(|at| number(bytes, *at, 8) != 0);
    entries.find(|at| number(bytes, *at, 8) == tag).expect("the tag is in the fixture") + 8
}

// ---- PE32+ -------------------------------------------------------------------------------------------------------

pub(crate) const TIME_DATE_STAMP: usize = 8;
pub(crate) const CHARACTERISTICS: usize = 22;
pub(crate) const CHECKSUM: usize = 24 + 64;
pub(crate) const SUBSYSTEM: usize = 24 + 68;
pub(crate) const DLL_CHARACTERISTICS: usize = 24 + 70;
pub(crate) const BASE_RELOCATION_DIRECTORY: usize = 24 + 112 + 5 * 8;

pub(crate) const SECTION_ALIGNMENT: usize = 24 + 32;
pub(crate) const IMAGE_BASE: usize = 24 + 24;
/// Of the data directory with that index.
pub(crate) const fn directory(index: usize) -> usize {
    24 + 112 + index * 8
}

pub(crate) const SECTION_CHARACTERISTICS: usize = 36;

/// The offset of a field of the headers, counted from the `PE` signature.
pub(crate) fn pe(bytes: &[u8], field: usize) -> usize {
    number(bytes, 0x3c, 4) as usize + field
}

/// Writes `to` where `from`, of the same length, stands first.
pub(crate) fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let place = bytes.windows(from.len()).position(|window| window == from).expect("it is in the fixture");
    bytes[place..place + from.len()].copy_from_slice(to);
}

/// The offset of the section header of that name.
pub(crate) fn pe_section(bytes: &[u8], name: &str) -> usize {
    let first = pe(bytes, 24) + number(bytes, pe(bytes, 20), 2) as usize;
    let count = number(bytes, pe(bytes, 6), 2) as usize;
    let mut wanted = name.as_bytes().to_vec();
    wanted.resize(8, 0);
    let mut headers = (0..count).map(|index| first + index * 40);
    headers.find(|at| bytes[*at..].starts_with(&wanted)).expect("the section is in the fixture")
}

/// The offset of the first name below that type in the resource directory, which starts its section.
pub(crate) fn resource_name(bytes: &[u8], kind: u64) -> usize {
    let root = number(bytes, pe_section(bytes, ".rsrc") + 20, 4) as usize;
    // Entries of eight bytes stand behind sixteen of each directory: a name, and an offset from the root.
    let count = number(bytes, root + 14, 2) as usize;
    let mut entries = (0..count).map(|index| root + 16 + 8 * index);
    let entry = entries.find(|entry| number(bytes, *entry, 4) == kind).expect("the type is in the fixture");
    root + (number(bytes, entry + 4, 4) & 0x7fff_ffff) as usize + 16
}

/// The file offset of an address relative to the image base.
pub(crate) fn pe_offset(bytes: &[u8], address: u64) -> usize {
    let first = pe(bytes, 24) + number(bytes, pe(bytes, 20), 2) as usize;
    let count = number(bytes, pe(bytes, 6), 2) as usize;
    let headers = (0..count).map(|index| first + index * 40);
    let mut sections = headers.map(|at| [12, 16, 20].map(|field| number(bytes, at + field, 4)));
    let section = sections.find(|[start, size, _]| (*start..start + size).contains(&address));
    let [start, _, offset] = section.expect("the address is in a section of the fixture");
    (offset + address - start) as usize
}

/// Takes the type, `IMAGE_REL_BASED_DIR64`, from the base relocation of what is at an address relative to the image base.
pub(crate) fn unrelocate(bytes: &mut [u8], address: u64) {
    let field = pe(bytes, BASE_RELOCATION_DIRECTORY);
    let mut block = pe_offset(bytes, number(bytes, field, 4));
    let end = block + number(bytes, field + 4, 4) as usize;
    while block < end {
        let (page, size) = (number(bytes, block, 4), number(bytes, block + 4, 4) as usize);
        let mut entries = (block + 8..block + size).step_by(2);
        let wanted = 0xa000 | address & 0xfff;
        let entry = entries.find(|at| page == address & !0xfff && number(bytes, *at, 2) == wanted);
        if let Some(entry) = entry {
            return put(bytes, entry, 2, 0);
        }
        block += size;
    }
    panic!("{address:#x} has no relocation in the fixture");
}

/// Writes the checksum of the file as it is: the sum of all 16-bit words with end-around carry, plus the size.
pub(crate) fn put_checksum(bytes: &mut [u8]) {
    let field = pe(bytes, CHECKSUM);
    put(bytes, field, 4, 0);
    let words = bytes.chunks(2).map(|word| number(word, 0, word.len()));
    let sum = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    let size = bytes.len() as u64;
    put(bytes, field, 4, sum + size);
}
