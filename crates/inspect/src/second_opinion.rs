//! What goblin, which shares no code with our reader, says of the same bytes.

use crate::constants::{elf as elf_constants, pe as pe_constants};
use goblin::container::Ctx;
use goblin::elf::{dynamic, header, program_header};
use goblin::{elf, pe};

use crate::facts::{Binary, Elf, Facts, Pe};

/// A fact that the two readers see differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which fact.
    pub fact: &'static str,
    /// As our reader has it.
    pub ours: String,
    /// As goblin has it.
    pub theirs: String,
}

/// Compares machine, ASLR, NX, RELRO, binding, subsystem and libraries with goblin's reading of `bytes`.
///
/// Ask only about facts without anomalies: goblin does not bound its work on damaged files. Such facts get one
/// disagreement that says so.
pub fn second_opinion(bytes: &[u8], facts: &Facts) -> Vec<Disagreement> {
    if !facts.anomalies.is_empty() {
        return vec![disagreement("readable", "with anomalies", "not asked")];
    }
    match &facts.binary {
        Binary::Elf(ours) => match read_elf(bytes) {
            Ok(theirs) => compare_elf(ours, &theirs),
            Err(error) => vec![disagreement("readable", "an ELF file", &error.to_string())],
        },
        Binary::Pe(ours) => match pe::PE::parse_with_opts(bytes, &pe_options()) {
            Ok(theirs) => compare_pe(ours, &theirs),
            Err(error) => vec![disagreement("readable", "a PE file", &error.to_string())],
        },
    }
}

/// What is compared, read by goblin; its whole reading would index every symbol and relocation, for no fact of these.
fn read_elf(bytes: &[u8]) -> goblin::error::Result<elf::Elf<'_>> {
    let header = elf::Elf::parse_header(bytes)?;
    let context = Ctx::new(header.container()?, header.endianness()?);
    let mut elf = elf::Elf::lazy_parse(header)?;
    let (start, count) = (elf.header.e_phoff as usize, usize::from(elf.header.e_phnum));
    elf.program_headers = elf::ProgramHeader::parse(bytes, start, count, context)?;
    elf.dynamic = elf::Dynamic::parse(bytes, &elf.program_headers, context)?;
    let text = |start: u64, size: u64| {
        let end = usize::try_from(start.checked_add(size)?).ok()?;
        let text = bytes.get(usize::try_from(start).ok()?..end)?;
        std::str::from_utf8(text.split(|byte| *byte == 0).next()?).ok()
    };
    let interpreter = elf
        .program_headers
        .iter()
        .find(|header| header.p_type == program_header::PT_INTERP && header.p_filesz > 0);
    elf.interpreter = interpreter.and_then(|header| text(header.p_offset, header.p_filesz));
    if let Some(dynamic) = &elf.dynamic {
        let needed = dynamic.dyns.iter().filter(|entry| entry.d_tag == dynamic::DT_NEEDED);
        let (start, size) = (dynamic.info.strtab as u64, dynamic.info.strsz as u64);
        let library = |offset: u64| text(start.checked_add(offset)?, size.checked_sub(offset)?);
        elf.libraries = needed.filter_map(|entry| library(entry.d_val)).collect();
    }
    Ok(elf)
}

/// The same for PE: resources, thread-local storage and certificates are not compared.
fn pe_options() -> pe::options::ParseOptions {
    let mut options = pe::options::ParseOptions::default();
    options.parse_resources = false;
    options.parse_tls_data = false;
    options.parse_attribute_certificates = false;
    options
}

fn compare_elf(ours: &Elf, theirs: &elf::Elf<'_>) -> Vec<Disagreement> {
    let mut found = Found::default();
    found.compare("machine", ours.machine, theirs.header.e_machine);
    found.compare("class", ours.class, if theirs.is_64 { 64 } else { 32 });
    found.compare("file type", ours.file_type, theirs.header.e_type);
    found.compare("interpreter", ours.interpreter.as_deref(), theirs.interpreter);

    let flag =
        |tag: i64, flag: u64| ours.dynamic.iter().any(|entry| entry.tag == tag && entry.value & flag != 0);
    let dynamic_flags = theirs.dynamic.as_ref().map(|dynamic| (dynamic.info.flags, dynamic.info.flags_1));
    let (flags, flags_1) = dynamic_flags.unwrap_or((0, 0));
    found.compare(
        "position independent executable",
        ours.file_type == elf_constants::ET_DYN && flag(elf_constants::DT_FLAGS_1, elf_constants::DF_1_PIE),
        theirs.header.e_type == header::ET_DYN && flags_1 & dynamic::DF_1_PIE != 0,
    );

    let ours_stack = ours.segments.iter().find(|segment| segment.kind == elf_constants::PT_GNU_STACK);
    let theirs_stack =
        theirs.program_headers.iter().find(|header| header.p_type == program_header::PT_GNU_STACK);
    found.compare(
        "stack flags",
        ours_stack.map(|segment| segment.flags),
        theirs_stack.map(|header| header.p_flags),
    );
    let ours_relro = ours.segments.iter().find(|segment| segment.kind == elf_constants::PT_GNU_RELRO);
    let theirs_relro =
        theirs.program_headers.iter().find(|header| header.p_type == program_header::PT_GNU_RELRO);
    found.compare(
        "RELRO range",
        ours_relro.map(|segment| (segment.virtual_address, segment.memory_size)),
        theirs_relro.map(|header| (header.p_vaddr, header.p_memsz)),
    );
    let bind_now_tag = |tag: u64| tag == dynamic::DT_BIND_NOW;
    let theirs_bind_now = theirs
        .dynamic
        .as_ref()
        .is_some_and(|dynamic| dynamic.dyns.iter().any(|entry| bind_now_tag(entry.d_tag)));
    found.compare(
        "immediate binding",
        ours.dynamic.iter().any(|entry| entry.tag == elf_constants::DT_BIND_NOW)
            || flag(elf_constants::DT_FLAGS, elf_constants::DF_BIND_NOW)
            || flag(elf_constants::DT_FLAGS_1, elf_constants::DF_1_NOW),
        theirs_bind_now || flags & dynamic::DF_BIND_NOW != 0 || flags_1 & dynamic::DF_1_NOW != 0,
    );
    let ours_libraries: Vec<&str> = ours.needed.iter().map(String::as_str).collect();
    found.compare("needed libraries", ours_libraries, theirs.libraries.clone());
    found.disagreements
}

fn compare_pe(ours: &Pe, theirs: &pe::PE<'_>) -> Vec<Disagreement> {
    let mut found = Found::default();
    found.compare("machine", ours.machine, theirs.header.coff_header.machine);
    found.compare("PE32+", ours.magic == 0x20b, theirs.is_64);
    found.compare("image base", ours.image_base, theirs.image_base);
    let windows = theirs.header.optional_header.map(|header| header.windows_fields);
    found.compare("subsystem", Some(ours.subsystem), windows.map(|fields| fields.subsystem));
    let flags = windows.map_or(0, |fields| fields.dll_characteristics);
    for (fact, flag) in [
        ("ASLR (DYNAMIC_BASE)", pe_constants::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE),
        ("ASLR (HIGH_ENTROPY_VA)", pe_constants::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA),
        ("NX (NX_COMPAT)", pe_constants::IMAGE_DLLCHARACTERISTICS_NX_COMPAT),
    ] {
        found.compare(fact, ours.dll_characteristics & flag != 0, flags & flag != 0);
    }
    let relocations = theirs.header.optional_header.and_then(|header| {
        let table = header.data_directories.get_base_relocation_table()?;
        Some((table.virtual_address, table.size))
    });
    let ours_relocations = ours.data_directories.get(5).map(|table| (table.address, table.size));
    found.compare("relocation directory", ours_relocations.filter(|table| *table != (0, 0)), relocations);
    // goblin lists a library once for each import table it is in, without those that are delay-loaded.
    let ours_libraries: Vec<_> =
        ours.imports.iter().filter(|import| !import.delayed).map(|import| import.library.as_str()).collect();
    let mut theirs_libraries = theirs.libraries.clone();
    let mut sorted = ours_libraries;
    sorted.sort_unstable();
    sorted.dedup();
    theirs_libraries.sort_unstable();
    theirs_libraries.dedup();
    found.compare("imported libraries", sorted, theirs_libraries);
    found.disagreements
}

#[derive(Default)]
struct Found {
    disagreements: Vec<Disagreement>,
}

impl Found {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, fact: &'static str, ours: T, theirs: T) {
        if ours != theirs {
            self.disagreements.push(disagreement(fact, &format!("{ours:?}"), &format!("{theirs:?}")));
        }
    }
}

fn disagreement(fact: &'static str, ours: &str, theirs: &str) -> Disagreement {
    Disagreement { fact, ours: ours.to_owned(), theirs: theirs.to_owned() }
}
