//! Our facts in the form that all readers' are brought into: names, and lists of texts. Numbers are hexadecimal.

use inspect::facts::{
    AbiTag, Binary, Elf, ElfImport, ElfLinkage, Facts, LoadConfig, Names, Pe, PeExport, PeFunction, PeImport,
    PeLinkage, ResourceName, Signature,
};

use crate::Table;

/// Facts with one text each.
fn single<const N: usize>(facts: [(&str, String); N]) -> Table {
    facts.into_iter().map(|(name, text)| (name.to_owned(), vec![text])).collect()
}

/// Numbers with a space between.
macro_rules! numbers {
    ($($value:expr),+ $(,)?) => { [$(format!("{:#x}", $value)),+].join(" ") };
}

/// The format and the processor, for the count of files.
pub(crate) fn machine(facts: &Facts) -> String {
    let (format, number) = match &facts.binary {
        Binary::Elf(elf) => ("ELF", elf.machine),
        Binary::Pe(pe) => ("PE", pe.machine),
    };
    let name = match (format, number) {
        ("ELF", 3) | ("PE", 0x14c) => "x86",
        ("ELF", 62) | ("PE", 0x8664) => "x86-64",
        ("ELF", 40) | ("PE", 0x1c4) => "ARM",
        ("ELF", 183) | ("PE", 0xaa64) => "AArch64",
        ("ELF", 8) => "MIPS",
        ("ELF", 21) => "PowerPC64",
        ("ELF", 22) => "S/390",
        ("ELF", 243) => "RISC-V",
        _ => return format!("{format} {number:#x}"),
    };
    format!("{format} {name}")
}

pub(crate) fn elf(elf: &Elf, linkage: &ElfLinkage) -> Table {
    let mut table = elf_header(elf);
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    put("interpreter", elf.interpreter.iter().cloned().collect());
    put("needed", elf.needed.clone());
    put("soname", elf.soname.iter().cloned().collect());
    put("rpath", elf.rpath.iter().cloned().collect());
    put("runpath", elf.runpath.iter().cloned().collect());
    let entries = elf.dynamic.iter();
    put("dynamic", entries.map(|entry| numbers!(entry.tag & 0xffff_ffff, entry.value)).collect());
    put("dynamic tags", elf.dynamic.iter().map(|entry| numbers!(entry.tag & 0xffff_ffff)).collect());
    let needs = elf.versions_needed.iter();
    let needs = needs.flat_map(|need| need.versions.iter().map(move |version| (&need.library, version)));
    put(
        "versions needed",
        needs
            .clone()
            .map(|(library, version)| {
                let numbers = numbers!(version.hash, version.flags, version.index);
                format!("{library} {} {numbers}", version.name)
            })
            .collect(),
    );
    // What readelf prints of them has no hash.
    put(
        "versions needed, without hashes",
        needs
            .map(|(library, version)| {
                format!("{library} {} {}", version.name, numbers!(version.flags, version.index))
            })
            .collect(),
    );
    let defined = elf.versions_defined.iter();
    let defined =
        defined.map(|version| format!("{} {}", version.name, numbers!(version.flags, version.index)));
    put("versions defined", defined.collect());
    put("imports", sorted(elf.imports.iter().map(import)));
    put("imports of the linkage", sorted(linkage.imports.iter().map(import)));
    put("exports", sorted(elf.exports.iter().flat_map(Names::iter).map(str::to_owned)));
    let exports = linkage.exports.iter().map(|export| {
        let sign = if export.hidden || export.library.is_some() { "@" } else { "@@" };
        let version = export.version.as_ref().map(|version| format!("{sign}{version}"));
        format!("{}{}", export.name, version.unwrap_or_default())
    });
    put("exports with versions", sorted(exports));
    put("symbols", vec![numbers!(elf.symbol_count)]);
    put("relocations", vec![numbers!(elf.relocations.entries)]);
    let notes = elf.notes.iter();
    let mut notes: Vec<_> =
        notes.map(|note| format!("{} {}", note.owner, numbers!(note.kind, note.description.len()))).collect();
    notes.sort();
    notes.dedup();
    put("notes", notes);
    // readelf writes types, and all of what annobin tells, in words.
    let sizes = elf.notes.iter().filter(|note| !note.owner.starts_with("GA"));
    let sizes = sizes.map(|note| format!("{} {}", note.owner, numbers!(note.description.len())));
    let mut sizes = sorted(sizes);
    sizes.dedup();
    put("notes, without types", sizes);
    let properties = elf.marks.properties.iter();
    let properties: Vec<_> =
        properties.map(|property| format!("{}: {}", property.name, property.meaning.join(", "))).collect();
    put("GNU properties", vec![properties.join(", ")]);
    let tag = elf.marks.abi_tag.iter().filter(|tag| tag.system == 0);
    put(
        "ABI tag",
        tag.map(|AbiTag { kernel: [major, minor, patch], .. }| format!("{major}.{minor}.{patch}")).collect(),
    );
    put("package", elf.marks.package.iter().cloned().collect());
    put("build ID", elf.build_id.iter().map(|id| hexadecimal(id)).collect());
    put("comments", elf.comments.clone());
    put("debug link", elf.debug_link.iter().cloned().collect());
    put("text relocations", vec![numbers!(elf.marks.text_relocations.count)]);
    let floor = elf.versions_needed.iter().flat_map(|need| &need.versions);
    let floor = floor.filter_map(|version| crate::wheel::glibc(&version.name)).max();
    put("glibc floor", floor.iter().map(|(major, minor)| format!("{major}.{minor}")).collect());
    table
}

fn elf_header(elf: &Elf) -> Table {
    let mut table = single([
        ("class", elf.class.to_string()),
        ("byte order", if elf.big_endian { "big" } else { "little" }.to_owned()),
        ("OS ABI", numbers!(elf.os_abi)),
        ("ABI version", numbers!(elf.abi_version)),
        ("type", numbers!(elf.file_type)),
        ("machine", numbers!(elf.machine)),
        ("flags", numbers!(elf.flags)),
        ("entry", numbers!(elf.entry)),
        ("program header offset", numbers!(elf.program_header_offset)),
        ("section header offset", numbers!(elf.section_header_offset)),
        (
            "header sizes",
            numbers!(elf.header_size, elf.program_header_entry_size, elf.section_header_entry_size),
        ),
        ("section name index", numbers!(elf.section_name_index)),
    ]);
    let sections = elf.sections.iter().map(|section| {
        let head = numbers!(section.kind, section.flags, section.address, section.offset, section.size);
        let tail = numbers!(section.link, section.info, section.alignment, section.entry_size);
        format!("{} {head} {tail}", section.name)
    });
    table.insert("sections".to_owned(), sections.collect());
    let rows = elf.sections.iter().map(|section| {
        let kind = crate::readelf::section_type(section.kind, elf.machine);
        let flags = crate::readelf::section_flags(section.flags, elf.machine, elf.os_abi);
        let numbers = numbers!(section.address, section.offset, section.size, section.entry_size);
        let tail = numbers!(section.link, section.info, section.alignment);
        format!("{} {kind} {numbers} {flags} {tail}", section.name)
    });
    table.insert("section table".to_owned(), rows.collect());
    let segments = elf.segments.iter().map(|segment| {
        let addresses = numbers!(segment.offset, segment.virtual_address, segment.physical_address);
        let sizes = numbers!(segment.file_size, segment.memory_size, segment.alignment);
        format!("{} {addresses} {sizes}", numbers!(segment.kind, segment.flags & 7))
    });
    table.insert("segments".to_owned(), segments.collect());
    table
}

fn import(import: &ElfImport) -> String {
    let binding = if import.weak { "weak" } else { "strong" };
    format!("{} {} {binding}", import.name, import.version.as_deref().unwrap_or("-"))
}

pub(crate) fn pe(pe: &Pe, linkage: &PeLinkage, bytes: &[u8]) -> Table {
    let mut table = pe_header(pe, bytes);
    table.extend(resources(pe));
    table.extend(signature(pe, bytes));
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    for (name, delayed) in [("", false), ("delayed ", true)] {
        let libraries = pe.imports.iter().filter(|import| import.delayed == delayed);
        put(&format!("{name}libraries"), libraries.clone().map(|import| import.library.clone()).collect());
        put(&format!("{name}imports"), libraries.flat_map(functions).collect());
    }
    let names: Vec<_> = pe.export_name.iter().cloned().collect();
    put("export name", names);
    put("exports", sorted(pe.exports.iter().map(str::to_owned)));
    let exports = linkage.exports.iter().map(|PeExport { name, ordinal, forwarder }| {
        let (name, forwarder) = (name.as_deref().unwrap_or("-"), forwarder.as_deref().unwrap_or("-"));
        format!("{} {name} {forwarder}", numbers!(ordinal))
    });
    put("exports with ordinals", sorted(exports));
    put("base relocations", vec![numbers!(pe.base_relocations.blocks, pe.base_relocations.entries)]);
    let debug = pe.debug.iter().map(|entry| {
        let numbers = numbers!(entry.kind, entry.timestamp, entry.offset, entry.size);
        format!("{numbers} {}", entry.pdb_path.as_deref().unwrap_or("-"))
    });
    put("debug", debug.collect());
    let debug = || pe.debug.iter();
    let pdb = debug()
        .filter_map(|entry| Some(format!("{} {}", hexadecimal(&entry.signature), numbers!(entry.age?))));
    put("PDB", pdb.collect());
    let hashes = debug().filter(|entry| !entry.hash.is_empty()).map(|entry| hexadecimal(&entry.hash));
    put("reproducible build's hash", hashes.collect());
    let extended = debug().filter_map(|entry| entry.extended_dll_characteristics);
    put("extended DLL characteristics", extended.map(|flags| numbers!(flags)).collect());
    let tls = pe.tls.iter();
    put(
        "TLS",
        tls.clone().map(|tls| numbers!(tls.data.0, tls.data.1, tls.index, tls.callbacks_address)).collect(),
    );
    put("TLS callbacks", tls.flat_map(|tls| &tls.callbacks).map(|callback| numbers!(callback)).collect());
    put("load configuration", pe.load_config.iter().map(load_configuration).collect());
    let rich = pe.rich_header.iter();
    put("rich header key", rich.clone().map(|rich| numbers!(rich.key)).collect());
    let tools = rich.flat_map(|rich| &rich.tools);
    put("rich header", tools.map(|(product, build, count)| numbers!(product, build, count)).collect());
    let bound = pe.bound_imports.iter();
    put(
        "bound imports",
        bound.map(|bound| format!("{} {}", bound.library, numbers!(bound.timestamp))).collect(),
    );
    put("overlay", vec![numbers!(pe.overlay_size)]);
    table
}

fn load_configuration(config: &LoadConfig) -> String {
    numbers!(
        config.size,
        config.dependent_load_flags,
        config.security_cookie,
        config.se_handler_table,
        config.se_handler_count,
        config.guard_check,
        config.guard_dispatch,
        config.guard_functions,
        config.guard_function_count,
        config.guard_flags,
        config.code_integrity.0,
        config.code_integrity.1,
        config.long_jump_count,
        config.hybrid_metadata,
        config.enclave,
        config.volatile_metadata,
        config.eh_continuations,
        config.eh_continuation_count,
        config.extended_guard_check,
    )
}

/// Resources, and what stands in the version resource and the manifests.
fn resources(pe: &Pe) -> Table {
    let mut table = Table::new();
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    let leaves = pe.resources.iter().flat_map(|resources| &resources.leaves);
    let leaves = leaves.map(|leaf| {
        let names = leaf.path.iter().map(|name| match name {
            ResourceName::Number(number) => numbers!(number),
            ResourceName::Text(text) => format!("'{text}'"),
        });
        let path = names.collect::<Vec<_>>().join("/");
        format!("{path} {}", numbers!(pe.file_offset(leaf.address).unwrap_or(0), leaf.size))
    });
    put("resources", leaves.collect());
    let version = pe.resources.iter().filter_map(|resources| resources.version.as_ref());
    let fixed = version.clone().map(|version| {
        let ([a, b, c, d], [e, f, g, h]) = (version.file_version, version.product_version);
        numbers!(a, b, c, d, e, f, g, h, version.flags, version.file_type)
    });
    put("version", fixed.collect());
    let strings = version.flat_map(|version| &version.strings);
    put(
        "version strings",
        strings.map(|string| format!("{} {}={}", string.language, string.key, string.value)).collect(),
    );
    let manifests = pe.resources.iter().flat_map(|resources| &resources.manifests);
    put("manifests", manifests.map(|manifest| manifest.text.clone()).collect());
    table
}

/// The first signature: what it says, the digest computed anew, and whether the keys in it made it.
fn signature(pe: &Pe, bytes: &[u8]) -> Table {
    let mut table = Table::new();
    let mut put = |name: &str, texts: Vec<String>| table.insert(name.to_owned(), texts);
    let signature = pe.certificates.iter().find_map(|certificate| certificate.signature.as_ref());
    let says = |signature: &Signature| {
        let digest = hexadecimal(&signature.digest);
        format!("{} {digest} {}", signature.algorithm, numbers!(signature.certificates.len()))
    };
    put("signature", signature.map(says).into_iter().collect());
    let certificates = signature.iter().flat_map(|signature| &signature.certificates);
    let certificates = certificates.map(|certificate| {
        let (from, to) = certificate.validity;
        format!("{} {}", hexadecimal(&certificate.serial), numbers!(from, to))
    });
    put("certificates", certificates.collect());
    let digest = signature.and_then(|_| inspect::pe_authenticode_digest(bytes, pe));
    put("Authenticode digest", digest.iter().map(|digest| hexadecimal(digest)).collect());
    let holds = signature.map(|signature| {
        let check = inspect::pe_signature_check(bytes, pe);
        let signed = check.and_then(|check| check.signed_by_signer) == Some(true);
        match (digest.as_ref() == Some(&signature.digest), signature.content_signed == Some(true) && signed) {
            (true, true) => "OK",
            (false, _) => "BAD_DIGEST",
            (true, false) => "BAD_SIGNATURE",
        }
    });
    put("signature holds", holds.map(str::to_owned).into_iter().collect());
    table
}

fn pe_header(pe: &Pe, bytes: &[u8]) -> Table {
    let [stack, stack_commit, heap, heap_commit] = pe.stack_and_heap;
    let (os, image, subsystem) = (pe.os_version, pe.image_version, pe.subsystem_version);
    let mut table = single([
        ("header offset", numbers!(pe.header_offset)),
        ("machine", numbers!(pe.machine)),
        ("timestamp", numbers!(pe.timestamp)),
        ("characteristics", numbers!(pe.characteristics)),
        ("COFF symbols", numbers!(pe.symbol_table_offset, pe.symbol_count)),
        ("magic", numbers!(pe.magic)),
        ("linker version", numbers!(pe.linker_version.0, pe.linker_version.1)),
        ("entry", numbers!(pe.entry)),
        ("image base", numbers!(pe.image_base)),
        ("alignments", numbers!(pe.section_alignment, pe.file_alignment)),
        ("versions", numbers!(os.0, os.1, image.0, image.1, subsystem.0, subsystem.1)),
        ("sizes", numbers!(pe.size_of_image, pe.size_of_headers)),
        ("checksum", numbers!(pe.checksum)),
        ("computed checksum", numbers!(inspect::pe_checksum(bytes, pe))),
        ("subsystem", numbers!(pe.subsystem)),
        ("DLL characteristics", numbers!(pe.dll_characteristics)),
        ("stack and heap", numbers!(stack, stack_commit, heap, heap_commit)),
    ]);
    let directories = pe.data_directories.iter();
    let directories = directories.map(|directory| numbers!(directory.address, directory.size));
    table.insert("directories".to_owned(), directories.collect());
    let sections = pe.sections.iter().map(|section| {
        let sizes = numbers!(section.virtual_size, section.virtual_address, section.raw_size);
        format!("{} {sizes} {}", section.name, numbers!(section.raw_offset, section.characteristics))
    });
    table.insert("sections".to_owned(), sections.collect());
    table
}

fn functions(import: &PeImport) -> Vec<String> {
    let name = |function: &PeFunction| match function {
        PeFunction::Name(name) => format!("{} {name}", import.library),
        PeFunction::Ordinal(ordinal) => format!("{} #{ordinal}", import.library),
    };
    import.functions.iter().map(name).collect()
}

/// Lowercase digits, as readelf prints a build ID.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}
