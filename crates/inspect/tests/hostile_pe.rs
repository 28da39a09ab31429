//! Windows files made by hand, whose tables lie, run in circles or never end: an answer in bounded time.

mod made;

use std::time::{Duration, Instant};

use inspect::facts::{Binary, PeFunction};
use made::{
    ADDRESS, CHARACTERISTICS, IMAGE_BASE, SIZE_OF_IMAGE, assert_says, file, file_of_sections, inspect, pe,
};

#[test]
fn a_directory_that_loaders_find_by_its_address_alone() {
    for (index, name) in [(0, "export"), (1, "import"), (9, "TLS")] {
        let facts = inspect(&file(&[], &[(index, 0, 0)]));
        assert_says(&facts, &format!("the {name} directory has an address and no bytes"));
    }
}

#[test]
fn a_codeview_entry_of_no_known_form_hides_no_path() {
    // An entry of the debug directory (type 2, 30 bytes at 32 in the section), and what it leads to.
    let debug = |form: &[u8; 4], with_offset: bool| {
        let offset = file(&[], &[]).len() as u32 + 32;
        let place = if with_offset { [ADDRESS + 32, offset] } else { [ADDRESS + 32, 0] };
        let entry = [&[0, 0, 0, 2, 30][..], &place].concat();
        let mut content: Vec<u8> = entry.iter().flat_map(|word| word.to_le_bytes()).collect();
        content.resize(32, 0);
        content.extend([form, &[7; 20][..], b"a.pdb\0"].concat());
        inspect(&file(&content, &[(6, 0, 28)]))
    };
    for with_offset in [true, false] {
        let facts = debug(b"RSDS", with_offset);
        assert_eq!(facts.anomalies, []);
        assert_eq!(pe(&facts).debug[0].pdb_path.as_deref(), Some("a.pdb"), "{with_offset}");
        assert_says(&debug(b"RSDX", with_offset), "is of no known form");
        assert_eq!(debug(b"NB11", with_offset).anomalies, []);
    }
}

/// Fields of the headers that [`file`] makes, as offsets in the file.
const POINTER_TO_SYMBOLS: usize = 0x8c;
const ENTRY_POINT: usize = 0x98 + 16;
const SIZE_OF_HEADERS: usize = 0x98 + 60;
const CERTIFICATES: usize = 0x98 + 112 + 8 * 4;

fn with(mut bytes: Vec<u8>, changes: &[(usize, u32)]) -> Vec<u8> {
    for (at, value) in changes {
        bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

#[test]
fn headers_that_windows_refuses() {
    let bytes = file(&[0; 64], &[]);
    assert_eq!(inspect(&bytes).anomalies, []);
    let optional = 0x80 + 24;
    let section = optional + 240;
    // What it says on the edge of that, and firmware, which loads by itself.
    assert_eq!(inspect(&with(bytes.clone(), &[(SIZE_OF_IMAGE, 0x1040)])).anomalies, []);
    inspect(&with(bytes.clone(), &[(optional + 32, 0)]));
    let mut firmware = bytes.clone();
    (firmware[CHARACTERISTICS], firmware[optional + 68]) = (0, 10);
    assert_eq!(inspect(&firmware).anomalies, []);
    for (at, value, words) in [
        (CHARACTERISTICS, 0x2000_u32, "EXECUTABLE_IMAGE is clear"),
        (optional + 24, 0x4000_8000, "is no multiple of 0x10000"),
        (section + 12, 0x1800, "section .data at 0x1800 is not aligned to 0x1000"),
        (SIZE_OF_IMAGE, 0x103f, "sections end at 0x1040, the image at 0x103f"),
    ] {
        let mut changed = bytes.clone();
        let size = if at == CHARACTERISTICS { 2 } else { 4 };
        changed[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        assert_says(&inspect(&changed), words);
    }
}

#[test]
fn sections_share_bytes_of_the_file_where_both_have_some() {
    const SECOND: usize = 0x98 + 240 + 40;
    const RAW_SIZE: usize = SECOND + 16;
    const RAW_OFFSET: usize = SECOND + 20;
    let bytes = file_of_sections(&[0; 512], &[], 2);
    let inside = bytes.len() as u32 - 256;
    for (size, offset, shares) in [(0, inside, false), (inside, 0, false), (256, inside, true)] {
        let facts = inspect(&with(bytes.clone(), &[(RAW_SIZE, size), (RAW_OFFSET, offset)]));
        let told = facts.anomalies.iter().any(|anomaly| anomaly.detail.contains("share bytes of the file"));
        assert_eq!(told, shares, "{size} bytes at {offset:#x}: {:?}", facts.anomalies);
    }
}

#[test]
fn relocations_that_no_loader_applies() {
    let block = |page: u32, entry: u16| {
        let mut content = page.to_le_bytes().to_vec();
        content.extend(12_u32.to_le_bytes());
        content.extend(entry.to_le_bytes());
        content.extend([0; 2]);
        content
    };
    let read = |page, entry, machine: u16| {
        let mut bytes = file(&block(page, entry), &[(5, 0, 12)]);
        bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        inspect(&bytes)
    };
    for (page, entry, machine) in [(0x1000, 0xa008, 0x8664), (0x1000, 0x3008, 0x14c), (0x1000, 0x5008, 0x1c4)]
    {
        assert_eq!(read(page, entry, machine).anomalies, [], "{entry:#x}");
    }
    assert_says(&read(0x1000, 0x5008, 0x8664), "0x1008 has type 5, which no loader of this machine applies");
    assert_says(&read(0x7fff_0000, 0xa008, 0x8664), "0x7fff0008 is relocated, behind the image's end");
}

#[test]
fn pointers_that_windows_follows_and_no_relocation_names() {
    // The TLS directory with one callback at 0x80, the load configuration at 0xc0, the relocations at 0x180.
    let mut content = vec![0; 0x180];
    let mut put = |at: usize, number: u64| content[at..at + 8].copy_from_slice(&number.to_le_bytes());
    for (at, to) in [(0, 0x1100), (8, 0x1108), (0x10, 0x1100), (0x18, 0x1080), (0x80, 0x1000)] {
        put(at, IMAGE_BASE + to);
    }
    put(0xc0, 0x94);
    let (cookie, guard_check, guard_functions) = (0xc0 + 88, 0xc0 + 112, 0xc0 + 128);
    put(cookie, IMAGE_BASE + 0x1110);
    put(guard_check, IMAGE_BASE + 0x1000_0000);
    put(guard_functions, IMAGE_BASE + 0x1120);
    let unrelocated = |entries: &[u16]| {
        let mut content = content.clone();
        content.extend(ADDRESS.to_le_bytes());
        content.extend((8 + 2 * entries.len() as u32).to_le_bytes());
        content.extend(entries.iter().flat_map(|entry| (0xa000 | entry).to_le_bytes()));
        let relocations = (5, 0x180, 8 + 2 * entries.len() as u32);
        let facts = inspect(&file(&content, &[(9, 0, 40), (10, 0xc0, 0x94), relocations]));
        assert_eq!(facts.anomalies, []);
        let counted = &pe(&facts).base_relocations;
        assert_eq!((counted.blocks, counted.entries as usize), (1, entries.len()));
        let told = inspect::dump(&facts).contains("\nPointers without a relocation: 0x1");
        assert_eq!(told, !counted.unrelocated.is_empty());
        counted.unrelocated.clone()
    };
    let places = [0, 8, 0x10, 0x18, 0x80, cookie as u16, guard_functions as u16];
    assert!(unrelocated(&places).is_empty(), "a number behind the image is no pointer");
    for (index, place) in places.iter().enumerate() {
        let mut others = places.to_vec();
        others.remove(index);
        assert_eq!(unrelocated(&others), [ADDRESS + u32::from(*place)]);
    }
    assert_eq!(unrelocated(&[]), places.map(|place| ADDRESS + u32::from(place)), "of none");
}

#[test]
fn bytes_of_a_section_that_no_page_holds_are_not_what_is_loaded() {
    // A directory of exports behind the page that the section's size in memory reaches.
    let mut bytes = file(&[0; 0x2000], &[(5, 0x1800, 12)]);
    assert_eq!(inspect(&bytes).anomalies, []);
    bytes[0x80 + 24 + 240 + 8..][..4].copy_from_slice(&0x1000_u32.to_le_bytes());
    assert_says(&inspect(&bytes), "address 0x2800 is in no section");
}

#[test]
fn names_of_c_have_an_underscore_in_front_on_32_bit_x86() {
    let symbols = |machine: u16, name: &[u8]| {
        let mut bytes = file(&[0; 64], &[]);
        let table = bytes.len() as u32;
        let mut symbol = vec![0; 18];
        symbol[4] = 4;
        bytes.extend(symbol);
        bytes.extend((4 + name.len() as u32).to_le_bytes());
        bytes.extend(name);
        bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        bytes[0x80 + 12..][..4].copy_from_slice(&table.to_le_bytes());
        bytes[0x80 + 16] = 1;
        pe(&inspect(&bytes)).protector_symbols.clone()
    };
    assert_eq!(symbols(0x8664, b"__stack_chk_fail\0"), ["__stack_chk_fail"]);
    assert_eq!(symbols(0x14c, b"___stack_chk_fail\0"), ["__stack_chk_fail"]);
    assert_eq!(symbols(0x8664, b".refptr.__stack_chk_guard\0"), [".refptr.__stack_chk_guard"]);
    assert_eq!(symbols(0x14c, b"___chk_fail\0"), ["__chk_fail"]);
    assert!(symbols(0x8664, b"__chk_fail_\0").is_empty());
    assert!(symbols(0x8664, b"___stack_chk_fail\0").is_empty());
    assert!(symbols(0x14c, b"__stack_chk_fail\0").is_empty());
}

#[test]
fn a_string_table_holds_no_more_than_names() {
    let mut bytes = file(&[0; 64], &[]);
    let strings = bytes.len();
    let name = b".debug_info\0";
    let size = 4 + name.len() as u32 + 1000;
    bytes.extend([&size.to_le_bytes()[..], name, &[7; 1000]].concat());
    bytes[0x80 + 12..][..4].copy_from_slice(&(strings as u32).to_le_bytes());
    bytes[0x80 + 24 + 240..][..8].copy_from_slice(b"/4\0\0\0\0\0\0");
    let facts = inspect(&bytes);
    assert_eq!(pe(&facts).sections[0].name, ".debug_info");
    assert_eq!((pe(&facts).overlay_offset, pe(&facts).overlay_size), (strings as u64 + 16, 1000));
}

#[test]
fn an_entry_point_that_is_no_code() {
    let library = file(&[0; 64], &[]);
    assert_eq!(inspect(&library).anomalies, []);
    assert_says(&inspect(&with(library.clone(), &[(ENTRY_POINT, ADDRESS)])), "in no executable section");
    let mut program = library;
    program[CHARACTERISTICS + 1] = 0;
    assert_says(&inspect(&program), "the entry point 0x0 is in no executable section");
}

#[test]
fn no_header_makes_a_payload_a_part_of_the_program() {
    let program = file(&[0; 512], &[]);
    let end = program.len() as u32;
    let overlay = |bytes: &[u8]| pe(&inspect(bytes)).overlay_size;
    assert_eq!(overlay(&program), 0);
    let mut longer = program.clone();
    longer.extend(&[b'x'; 800]);
    assert_eq!(overlay(&longer), 800);
    assert_eq!(overlay(&with(longer.clone(), &[(SIZE_OF_HEADERS, end + 800)])), 800);
    // A string table that no section's name is in: its first word is its size.
    let strings = with(longer.clone(), &[(POINTER_TO_SYMBOLS, end), (end as usize, 800)]);
    assert_eq!(overlay(&strings), 800);
    // One with a name: as much of it as that.
    let mut named = file_of_sections(&[0; 512], &[], 2);
    let (end_of_named, second) = (named.len() as u32, 0x98 + 240 + 40);
    named[second..second + 8].copy_from_slice(b"/4\0\0\0\0\0\0");
    named.extend([&800_u32.to_le_bytes()[..], b"a_name_of_20_letters\0", &[b'x'; 775]].concat());
    assert_eq!(overlay(&with(named, &[(POINTER_TO_SYMBOLS, end_of_named)])), 775);
    // Symbols make all of it a part.
    let mut symbols = program.clone();
    symbols.extend([0; 18]);
    symbols.extend([&32_u32.to_le_bytes()[..], &[b'x'; 28]].concat());
    assert_eq!(overlay(&with(symbols, &[(POINTER_TO_SYMBOLS, end), (POINTER_TO_SYMBOLS + 4, 1)])), 0);

    // Entries of the certificate table: size, revision 2.0, type.
    let certificate = |kind: u16, body: &[u8]| {
        let mut bytes = program.clone();
        let size = 8 + body.len() as u32;
        bytes.extend([&size.to_le_bytes()[..], &0x200_u16.to_le_bytes(), &kind.to_le_bytes(), body].concat());
        with(bytes, &[(CERTIFICATES, end), (CERTIFICATES + 4, size)])
    };
    assert_eq!(overlay(&certificate(1, &[b'x'; 800])), 800, "X.509, which nobody looks at");
    for (header, inside) in [(&[0x30, 4][..], 4), (&[0x30, 0x82, 1, 0], 256)] {
        let signed = [header, &vec![5; inside]].concat();
        assert_eq!(overlay(&certificate(2, &signed)), 0);
        assert_eq!(overlay(&certificate(2, &[&signed[..], &[0; 7]].concat())), 0, "filled up");
        assert_eq!(overlay(&certificate(2, &[&signed[..], &[b'x'; 800]].concat())), 800);
    }
    assert_eq!(overlay(&certificate(2, &[0x30, 0x80, 1, 1])), 4, "no definite length");
}

#[test]
fn a_file_made_so_is_read_without_a_complaint() {
    let facts = inspect(&file(&[0; 64], &[]));
    assert!(facts.anomalies.is_empty(), "{:?}", facts.anomalies);
}

#[test]
fn a_list_of_callbacks_without_an_end_says_so() {
    let mut content = vec![0; 40];
    content[24..32].copy_from_slice(&(IMAGE_BASE + u64::from(ADDRESS) + 40).to_le_bytes());
    for _ in 0..1000 {
        content.extend_from_slice(&(IMAGE_BASE + u64::from(ADDRESS)).to_le_bytes());
    }
    let facts = inspect(&file(&content, &[(9, 0, 40)]));
    assert_says(&facts, "does not end inside the file");
    assert_eq!(pe(&facts).tls.as_ref().unwrap().callbacks.len(), 1000);
}

#[test]
fn sixty_thousand_sections_do_not_multiply_with_the_imports() {
    // One library, 80,000 functions of one name: each entry's address is looked up among the sections.
    let mut content = vec![0; 64];
    content[0..4].copy_from_slice(&(ADDRESS + 64).to_le_bytes());
    content[12..16].copy_from_slice(&(ADDRESS + 48).to_le_bytes());
    content[48..54].copy_from_slice(b"a.dll\0");
    for _ in 0..80_000 {
        content.extend_from_slice(&u64::from(ADDRESS + 46).to_le_bytes());
    }
    content.extend_from_slice(&[0; 8]);
    let facts = inspect(&file_of_sections(&content, &[(1, 0, 40)], 65_000));
    let imports = &pe(&facts).imports;
    assert_eq!((imports.len(), imports[0].functions.len()), (1, 80_000));
    assert_eq!(imports[0].functions[0], PeFunction::Name("a.dll".to_owned()));
}

#[test]
fn delay_loaded_libraries_are_read_in_the_old_form_too() {
    // Absolute addresses of 32 bits, as tools before Visual C++ 7 wrote them: here of an image base whose low half is 0x4000_0000.
    let absolute = |offset: u32| (0x4000_0000 + ADDRESS + offset).to_le_bytes();
    let mut content = vec![0; 64];
    content[4..8].copy_from_slice(&absolute(64));
    content[16..20].copy_from_slice(&absolute(80));
    content.extend_from_slice(b"old.dll\0\0\0\0\0\0\0\0\0");
    content.extend_from_slice(&(1_u64 << 63 | 7).to_le_bytes());
    content.extend_from_slice(&[0; 8]);
    let facts = inspect(&file(&content, &[(13, 0, 64)]));
    let import = &pe(&facts).imports[0];
    assert!(facts.anomalies.is_empty(), "{:?}", facts.anomalies);
    assert_eq!((import.library.as_str(), import.delayed), ("old.dll", true));
    assert_eq!(import.functions, [PeFunction::Ordinal(7)]);
}

#[test]
fn certificates_that_are_none_say_so() {
    // The certificate table's address is a file offset; the section begins at 0x200 of the file.
    let certificates = |entry: &[u8], size: u32| {
        let mut bytes = file(&[0; 64], &[]);
        let at = bytes.len() as u32;
        bytes.extend_from_slice(entry);
        let directory = 0x80 + 24 + 112 + 8 * 4;
        bytes[directory..directory + 4].copy_from_slice(&at.to_le_bytes());
        bytes[directory + 4..directory + 8].copy_from_slice(&size.to_le_bytes());
        inspect(&bytes)
    };
    let entry = |size: u32, body: &[u8]| [&size.to_le_bytes()[..], &[0, 2, 2, 0], body].concat();
    assert_says(&certificates(&entry(0, &[]), 8), "does not fit");
    assert_says(&certificates(&entry(1 << 30, &[]), 8), "does not fit");
    assert_says(&certificates(&entry(24, &[0x30; 16]), 24), "not Authenticode");
    // Sequences in sequences.
    let deep: Vec<u8> =
        (0..4000_u16).rev().flat_map(|left| [[0x30, 0x82], (4 * left).to_be_bytes()].concat()).collect();
    assert_says(
        &certificates(&entry(8 + deep.len() as u32, &deep), 8 + deep.len() as u32),
        "not Authenticode",
    );
}

#[test]
fn overlapping_sections_and_shared_bytes_are_anomalies() {
    let mut bytes = file_of_sections(&[0; 0x400], &[], 2);
    let second = 0x80 + 24 + 240 + 40;
    bytes[second + 12..second + 16].copy_from_slice(&0x1200_u32.to_le_bytes());
    assert_says(&inspect(&bytes), "where another ends");
    let mut bytes = file_of_sections(&[0; 0x400], &[], 2);
    bytes[second + 16..second + 20].copy_from_slice(&0x200_u32.to_le_bytes());
    let raw: [u8; 4] = bytes[second - 20..second - 16].try_into().unwrap();
    bytes[second + 20..second + 24].copy_from_slice(&raw);
    assert_says(&inspect(&bytes), "share bytes");
}

#[test]
fn bent_resources_signatures_and_load_configurations_never_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for name in ["x86_64-signed.exe", "x86_64-hardened.exe", "i686-safe-seh.exe"] {
        let path = format!("{}/../verify/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let whole = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let begun = Instant::now();
        for _ in 0..1500 {
            let mut bent = whole.clone();
            for _ in 0..=random() % 6 {
                let at = if random() % 3 == 0 { random() % 0x200 } else { random() % bent.len() };
                bent[at] = if random() % 3 == 0 { 0xff } else { random() as u8 };
            }
            let Ok(facts) = inspect::inspect(&bent) else { continue };
            inspect::dump(&facts);
            if let Binary::Pe(pe) = &facts.binary {
                inspect::pe_authenticode_digest(&bent, pe);
                inspect::pe_signature_check(&bent, pe);
            }
        }
        // Milliseconds each, in a test build on a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(120), "{name}: {:?}", begun.elapsed());
    }
}
