"""What LIEF and pefile say of files, in the words of the differential test.

Reads one path a line from standard input and writes one JSON object a line: path, reader, and either the facts,
each a list of texts, or the reason why there are none. main.rs says what each fact is.
"""

import calendar
import json
import sys
import warnings

import lief
import pefile

lief.logging.disable()
# It warns of numbers that have no name, which are no less numbers.
warnings.simplefilter("ignore", RuntimeWarning)
MASK = 0xFFFFFFFF
# Above what it calls sane, pefile stops without a word.
pefile.MAX_IMPORT_SYMBOLS = pefile.MAX_IMPORT_NAME_LENGTH = 1 << 20


def main():
    for line in sys.stdin:
        path = line.rstrip("\n")
        with open(path, "rb") as file:
            magic = file.read(4)
        if magic == b"\x7fELF":
            answer(path, "LIEF", lief_elf)
        else:
            answer(path, "LIEF", lief_pe)
            answer(path, "pefile", pefile_pe)


def answer(path, reader, read):
    try:
        reply = {"facts": {name: [text(value) for value in values] for name, values in read(path).items()}}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"path": path, "reader": reader} | reply), flush=True)


def text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def number(value):
    """A number that LIEF may have wrapped; what it adds above 32 bits tells processors apart."""
    return int(getattr(value, "value", value))


def words(*values):
    return " ".join(value if isinstance(value, str) else f"{value:#x}" for value in values)


def lief_elf(path):
    config = lief.ELF.ParserConfig()
    config.parse_overlay = False
    binary = lief.ELF.parse(path, config)
    if binary is None:
        raise ValueError("no binary")
    header = binary.header
    wide = number(header.identity_class) == 2
    facts = {
        "class": [64 if wide else 32],
        "byte order": ["big" if number(header.identity_data) == 2 else "little"],
        "OS ABI": [words(number(header.identity_os_abi) & MASK)],
        "ABI version": [words(header.identity_abi_version)],
        "type": [words(number(header.file_type))],
        "machine": [words(number(header.machine_type))],
        "flags": [words(header.processor_flag)],
        "entry": [words(header.entrypoint)],
        "program header offset": [words(header.program_header_offset)],
        "section header offset": [words(header.section_header_offset)],
        "header sizes": [words(header.header_size, header.program_header_size, header.section_header_size)],
        "section name index": [words(header.section_name_table_idx)],
        "sections": [
            words(text(s.name), number(s.type) & MASK, number(s.flags), s.virtual_address, s.file_offset,
                  s.original_size, s.link, s.information, s.alignment, s.entry_size)
            for s in binary.sections
        ],
        "segments": [
            words(number(s.type) & MASK, s.raw_flags & MASK, s.file_offset, s.virtual_address, s.physical_address,
                  s.physical_size, s.virtual_size, s.alignment)
            for s in binary.segments
        ],
        "interpreter": [binary.interpreter] if binary.has_interpreter else [],
    }
    entries = list(binary.dynamic_entries)
    while entries and number(entries[-1].tag) == 0:
        entries.pop()
    facts["dynamic"] = [words(number(entry.tag) & MASK, entry.value) for entry in entries]
    named = {"needed": "NEEDED", "soname": "SONAME", "rpath": "RPATH", "runpath": "RUNPATH"}
    for fact, tag in named.items():
        tag = getattr(lief.ELF.DynamicEntry.TAG, tag)
        facts[fact] = [getattr(entry, fact if fact.startswith("r") else "name")
                       for entry in entries if entry.tag == tag]
    facts["versions needed"] = [
        words(text(need.name), text(version.name), version.hash, version.flags, version.other)
        for need in binary.symbols_version_requirement for version in need.get_auxiliary_symbols()
    ]
    facts["versions defined"] = [
        words(text(list(version.auxiliary_symbols)[0].name), version.flags, version.ndx)
        for version in binary.symbols_version_definition
    ]
    # The first dynamic symbol is the reserved one.
    symbols = [symbol for symbol in list(binary.dynamic_symbols)[1:]]
    imports, exports = [], []
    for symbol in symbols:
        if symbol.shndx != 0:
            if number(symbol.binding) != 0:
                exports.append(text(symbol.name))
            continue
        version = symbol.symbol_version if symbol.has_version else None
        version = version.symbol_version_auxiliary if version and version.has_auxiliary_version else None
        weak = "weak" if number(symbol.binding) == 2 else "strong"
        imports.append(words(text(symbol.name), text(version.name) if version else "-", weak))
    facts["imports"], facts["exports"] = sorted(imports), sorted(exports)
    facts["symbols"] = [words(len(binary.symtab_symbols))]
    packed = sum(1 for r in binary.dynamic_relocations if r.encoding == lief.ELF.Relocation.ENCODING.RELR)
    facts["text relocations"] = [words(lief_text_relocations(binary))]
    facts["relocations"] = [words(len(binary.dynamic_relocations) - packed + len(binary.pltgot_relocations))]
    facts["notes"] = sorted({words(lief_owner(note), note.original_type, len(note.description)) for note in binary.notes})
    build_ids = [note for note in binary.notes if note.type == lief.ELF.Note.TYPE.GNU_BUILD_ID]
    facts["build ID"] = [bytes(build_ids[0].description).hex()] if build_ids else []
    return facts


def lief_text_relocations(binary):
    """How many relocations write into memory that is not writable."""
    loads = [s for s in binary.segments if s.type == lief.ELF.Segment.TYPE.LOAD]
    fixed = [(s.virtual_address, s.virtual_address + s.virtual_size) for s in loads if not s.raw_flags & 2]
    inside = lambda address: any(start <= address < end for start, end in fixed)
    packed = lambda r: r.encoding == lief.ELF.Relocation.ENCODING.RELR
    every = list(binary.dynamic_relocations) + list(binary.pltgot_relocations)
    return sum(1 for r in every if inside(r.address) and (packed(r) or number(r.type) & 0xFFFF != 0))


def lief_owner(note):
    """The owner without its padding and without what annobin puts behind the NUL, which need not be text."""
    try:
        return note.name.split("\0")[0]
    except UnicodeDecodeError as error:
        return text(error.object.split(b"\0")[0])


def lief_pe(path):
    config = lief.PE.ParserConfig()
    config.parse_exceptions = config.parse_arm64x_binary = False
    binary = lief.PE.parse(path, config)
    if binary is None:
        raise ValueError("no binary")
    coff, optional = binary.header, binary.optional_header
    facts = {
        "header offset": [words(binary.dos_header.addressof_new_exeheader)],
        "machine": [words(number(coff.machine))],
        "timestamp": [words(coff.time_date_stamps)],
        "characteristics": [words(number(coff.characteristics))],
        "COFF symbols": [words(coff.pointerto_symbol_table, coff.numberof_symbols)],
        "magic": [words(number(optional.magic))],
        "linker version": [words(optional.major_linker_version, optional.minor_linker_version)],
        "entry": [words(optional.addressof_entrypoint)],
        "image base": [words(optional.imagebase)],
        "alignments": [words(optional.section_alignment, optional.file_alignment)],
        "versions": [words(optional.major_operating_system_version, optional.minor_operating_system_version,
                           optional.major_image_version, optional.minor_image_version,
                           optional.major_subsystem_version, optional.minor_subsystem_version)],
        "sizes": [words(optional.sizeof_image, optional.sizeof_headers)],
        "checksum": [words(optional.checksum)],
        "computed checksum": [words(binary.compute_checksum())],
        "subsystem": [words(number(optional.subsystem))],
        "DLL characteristics": [words(number(optional.dll_characteristics))],
        "stack and heap": [words(optional.sizeof_stack_reserve, optional.sizeof_stack_commit,
                                 optional.sizeof_heap_reserve, optional.sizeof_heap_commit)],
        "directories": [words(directory.rva, directory.size) for directory in binary.data_directories],
        "sections": [
            words(text(s.coff_string.string if s.coff_string else s.name), s.virtual_size, s.virtual_address,
                  s.sizeof_raw_data, s.pointerto_raw_data, number(s.characteristics))
            for s in binary.sections
        ],
        "imports": [words(text(library.name), lief_function(entry))
                    for library in binary.imports for entry in library.entries],
        "libraries": [library.name for library in binary.imports],
        "delayed imports": [words(text(library.name), lief_function(entry))
                            for library in binary.delay_imports for entry in library.entries],
        "delayed libraries": [library.name for library in binary.delay_imports],
        "base relocations": [words(len(binary.relocations),
                                   sum(1 for block in binary.relocations for entry in block.entries
                                       if number(entry.type) & 0xF != 0))],
        "debug": [lief_debug(entry) for entry in binary.debug],
        "PDB": [words(bytes(entry.signature).hex(), entry.age) for entry in binary.debug if isinstance(entry, lief.PE.CodeViewPDB)],
        "reproducible build's hash": [bytes(entry.hash).hex() for entry in binary.debug
                                      if isinstance(entry, lief.PE.Repro) and len(entry.hash)],
        "extended DLL characteristics": [words(number(entry.ex_characteristics)) for entry in binary.debug
                                         if isinstance(entry, lief.PE.ExDllCharacteristics)],
        "overlay": [words(len(binary.overlay))],
        "resources": lief_resources(binary.resources, []) if binary.has_resources else [],
    }
    tls = binary.tls
    facts["TLS"] = [words(*tls.addressof_raw_data, tls.addressof_index, tls.addressof_callbacks)] if tls else []
    facts["TLS callbacks"] = [words(callback) for callback in tls.callbacks] if tls else []
    # It reads them from the end.
    rich = binary.rich_header
    facts["rich header"] = [words(e.id, e.build_id, e.count) for e in reversed(rich.entries)] if rich else []
    facts["rich header key"] = [words(rich.key)] if rich else []
    facts |= lief_signatures(binary)
    export = binary.get_export()
    facts["exports with ordinals"] = sorted(
        words(entry.ordinal, text(entry.name) or "-", lief_forwarder(entry)) for entry in export.entries
    ) if export is not None else []
    facts["export name"] = [export.name] if export is not None else []
    facts["exports"] = sorted(text(entry.name) for entry in export.entries if entry.name) if export is not None else []
    config = binary.load_configuration
    facts["load configuration"] = []
    if config is not None:
        integrity = config.code_integrity
        values = [
            config.size, config.dependent_load_flags, config.security_cookie, config.se_handler_table,
            config.se_handler_count, config.guard_cf_check_function_pointer, config.guard_cf_dispatch_function_pointer,
            config.guard_cf_function_table, config.guard_cf_function_count, config.guard_flags,
            integrity and integrity.flags, integrity and integrity.catalog, config.guard_long_jump_target_count,
            config.chpe_metadata_pointer, config.enclave_configuration_ptr, config.volatile_metadata_pointer,
            config.guard_eh_continuation_table, config.guard_eh_continuation_count,
            config.guard_xfg_check_function_pointer,
        ]
        facts["load configuration"] = [words(*(value or 0 for value in values))]
    return facts


def lief_resources(node, above):
    """Each resource's path, its place in the file, and its size."""
    if node.is_data:
        return [words("/".join(above), node.offset, len(node.content))]
    children = ((child, f"'{text(child.name)}'" if child.has_name else f"{child.id:#x}") for child in node.childs)
    return [leaf for child, name in children for leaf in lief_resources(child, above + [name])]


def lief_signatures(binary):
    """What the first signature says, the digest computed anew, and whether it holds whatever the day is."""
    if not binary.has_signatures:
        return {"signature": [], "certificates": [], "Authenticode digest": [], "signature holds": []}
    first = binary.signatures[0]
    content = first.content_info
    algorithm = str(content.digest_algorithm).split(".")[-1].lower().replace("_", "")
    checks = lief.PE.Signature.VERIFICATION_CHECKS
    return {
        "signature": [words(algorithm, content.digest.hex(), len(first.certificates))],
        "certificates": [
            words(bytes(c.serial_number).hex(), calendar.timegm(tuple(c.valid_from)), calendar.timegm(tuple(c.valid_to)))
            for c in first.certificates
        ],
        "Authenticode digest": [binary.authentihash(content.digest_algorithm).hex()],
        "signature holds": [str(binary.verify_signature(checks.SKIP_CERT_TIME)).split(".")[-1]],
    }


def lief_forwarder(entry):
    if not entry.is_forwarded:
        return "-"
    information = entry.forward_information
    return f"{information.library}.{information.function}"


def lief_function(entry):
    return f"#{entry.ordinal}" if entry.is_ordinal else text(entry.name)


def lief_debug(entry):
    pdb = text(entry.filename) if isinstance(entry, lief.PE.CodeViewPDB) else ""
    return words(number(entry.type) & MASK, entry.timestamp, entry.pointerto_rawdata, entry.sizeof_data, pdb or "-")


def pefile_pe(path):
    pe = pefile.PE(path, fast_load=True, max_symbol_exports=1 << 20)
    names = ["EXPORT", "IMPORT", "BOUND_IMPORT", "DELAY_IMPORT", "DEBUG", "TLS", "LOAD_CONFIG", "RESOURCE"]
    pe.parse_data_directories([pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{name}"] for name in names])
    coff, optional = pe.FILE_HEADER, pe.OPTIONAL_HEADER
    facts = {
        "header offset": [words(pe.DOS_HEADER.e_lfanew)],
        "machine": [words(coff.Machine)],
        "timestamp": [words(coff.TimeDateStamp)],
        "characteristics": [words(coff.Characteristics)],
        "COFF symbols": [words(coff.PointerToSymbolTable, coff.NumberOfSymbols)],
        "magic": [words(optional.Magic)],
        "linker version": [words(optional.MajorLinkerVersion, optional.MinorLinkerVersion)],
        "entry": [words(optional.AddressOfEntryPoint)],
        "image base": [words(optional.ImageBase)],
        "alignments": [words(optional.SectionAlignment, optional.FileAlignment)],
        "versions": [words(optional.MajorOperatingSystemVersion, optional.MinorOperatingSystemVersion,
                           optional.MajorImageVersion, optional.MinorImageVersion,
                           optional.MajorSubsystemVersion, optional.MinorSubsystemVersion)],
        "sizes": [words(optional.SizeOfImage, optional.SizeOfHeaders)],
        "checksum": [words(optional.CheckSum)],
        "subsystem": [words(optional.Subsystem)],
        "DLL characteristics": [words(optional.DllCharacteristics)],
        "stack and heap": [words(optional.SizeOfStackReserve, optional.SizeOfStackCommit,
                                 optional.SizeOfHeapReserve, optional.SizeOfHeapCommit)],
        "directories": [words(d.VirtualAddress, d.Size) for d in optional.DATA_DIRECTORY],
        "export name": [],
        "exports": [],
        "exports with ordinals": [],
        "TLS": [],
        "load configuration": [],
        "bound imports": [words(text(bound.name), bound.struct.TimeDateStamp)
                          for bound in getattr(pe, "DIRECTORY_ENTRY_BOUND_IMPORT", [])],
        "debug": [pefile_debug(entry) for entry in getattr(pe, "DIRECTORY_ENTRY_DEBUG", [])],
    }
    for kind, attribute in (("", "DIRECTORY_ENTRY_IMPORT"), ("delayed ", "DIRECTORY_ENTRY_DELAY_IMPORT")):
        libraries = getattr(pe, attribute, [])
        facts[f"{kind}libraries"] = [library.dll for library in libraries]
        facts[f"{kind}imports"] = [
            words(text(library.dll), f"#{entry.ordinal}" if entry.import_by_ordinal else text(entry.name))
            for library in libraries for entry in library.imports
        ]
    export = getattr(pe, "DIRECTORY_ENTRY_EXPORT", None)
    if export is not None:
        facts["export name"] = [export.name] if export.name else []
        facts["exports"] = sorted(text(symbol.name) for symbol in export.symbols if symbol.name)
        facts["exports with ordinals"] = sorted(
            words(symbol.ordinal, text(symbol.name or b"-"), text(symbol.forwarder or b"-")) for symbol in export.symbols
        )
    tls = getattr(pe, "DIRECTORY_ENTRY_TLS", None)
    if tls is not None:
        tls = tls.struct
        facts["TLS"] = [words(tls.StartAddressOfRawData, tls.EndAddressOfRawData, tls.AddressOfIndex, tls.AddressOfCallBacks)]
    rich = pe.parse_rich_header()
    facts["rich header key"] = [words(int.from_bytes(rich["key"], "little"))] if rich else []
    tools = zip(rich["values"][::2], rich["values"][1::2]) if rich else []
    facts["rich header"] = [words(tool >> 16, tool & 0xFFFF, count) for tool, count in tools]
    config = getattr(pe, "DIRECTORY_ENTRY_LOAD_CONFIG", None)
    if config is not None:
        names = ["Size", "DependentLoadFlags", "SecurityCookie", "SEHandlerTable", "SEHandlerCount",
                 "GuardCFCheckFunctionPointer", "GuardCFDispatchFunctionPointer", "GuardCFFunctionTable",
                 "GuardCFFunctionCount", "GuardFlags", "CodeIntegrityFlags", "CodeIntegrityCatalog",
                 "GuardLongJumpTargetCount", "CHPEMetadataPointer", "EnclaveConfigurationPointer",
                 "VolatileMetadataPointer", "GuardEHContinuationTable", "GuardEHContinuationCount",
                 "GuardXFGCheckFunctionPointer"]
        facts["load configuration"] = [words(*(getattr(config.struct, name, None) or 0 for name in names))]
    root = getattr(pe, "DIRECTORY_ENTRY_RESOURCE", None)
    leaves = list(pefile_resources(root, [])) if root is not None else []
    facts["resources"] = [words("/".join(path), pe.get_offset_from_rva(data.OffsetToData), data.Size) for path, data in leaves]
    manifests = [pe.get_data(data.OffsetToData, data.Size) for path, data in leaves if path[0] == "0x18"]
    facts["manifests"] = [manifest.decode("utf-8-sig", "replace").rstrip("\0") for manifest in manifests]
    return facts | pefile_version(pe)


def pefile_resources(directory, above):
    for entry in directory.entries:
        path = above + [f"'{entry.name}'" if entry.name is not None else f"{entry.id:#x}"]
        if hasattr(entry, "directory"):
            yield from pefile_resources(entry.directory, path)
        else:
            yield path, entry.data.struct


def pefile_version(pe):
    facts = {"version": [], "version strings": []}
    fixed = getattr(pe, "VS_FIXEDFILEINFO", None)
    if fixed:
        fixed = fixed[0]
        parts = [fixed.FileVersionMS, fixed.FileVersionLS, fixed.ProductVersionMS, fixed.ProductVersionLS]
        parts = [half for part in parts for half in (part >> 16, part & 0xFFFF)]
        facts["version"] = [words(*parts, fixed.FileFlags & fixed.FileFlagsMask, fixed.FileType)]
    for info in (getattr(pe, "FileInfo", None) or [[]])[0]:
        for table in getattr(info, "StringTable", []):
            facts["version strings"] += [f"{text(table.LangID)} {text(key)}={text(value)}" for key, value in table.entries.items()]
    return facts


def pefile_debug(entry):
    pdb = getattr(entry.entry, "PdbFileName", b"") if entry.entry else b""
    place = entry.struct.PointerToRawData, entry.struct.SizeOfData
    return words(entry.struct.Type, entry.struct.TimeDateStamp, *place, text(pdb.split(b"\0")[0]) or "-")


if __name__ == "__main__":
    main()
