//! The parts of a PE file that its data directories lead to, as text.

use std::fmt::Write;

use super::super::{hexadecimal, line};
use crate::facts::{LoadConfig, Pe, PeDebug, ResourceName, Resources, Signature};
use crate::names::{PE_DEBUG_TYPES, PE_GUARD_FLAGS, PE_RESOURCE_TYPES, flags_of, name_of};

pub(super) fn dump(text: &mut String, pe: &Pe) {
    for forwarder in &pe.forwarders {
        line(text, format_args!("  ordinal {} is {}", forwarder.ordinal, forwarder.target));
    }
    for bound in &pe.bound_imports {
        line(text, format_args!("Bound to {}, time stamp {:#x}", bound.library, bound.timestamp));
    }
    let relocations = &pe.base_relocations;
    line(
        text,
        format_args!("Base relocations: {} entries in {} blocks", relocations.entries, relocations.blocks),
    );
    if !relocations.unrelocated.is_empty() {
        let places: Vec<_> = relocations.unrelocated.iter().map(|place| format!("{place:#x}")).collect();
        line(text, format_args!("Pointers without a relocation: {}", places.join(" ")));
    }
    pe.debug.iter().for_each(|entry| debug(text, entry));
    if let Some(config) = &pe.load_config {
        load_config(text, config);
    }
    if let Some(tls) = &pe.tls {
        let callbacks: Vec<_> = tls.callbacks.iter().map(|callback| format!("{callback:#x}")).collect();
        line(
            text,
            format_args!(
                "Thread-local storage: data {:#x} to {:#x}, callbacks {}",
                tls.data.0,
                tls.data.1,
                callbacks.join(" ")
            ),
        );
    }
    if let Some(clr) = pe.clr {
        let (major, minor) = clr.runtime_version;
        line(text, format_args!(".NET code: runtime {major}.{minor}, flags {:#x}", clr.flags));
    }
    if let Some(rich) = &pe.rich_header {
        line(text, format_args!("Rich header: {} tools, key {:#x}", rich.tools.len(), rich.key));
    }
    if let Some(found) = &pe.resources {
        resources(text, found);
    }
    if !pe.protector_symbols.is_empty() {
        line(text, format_args!("Stack protector symbols: {}", pe.protector_symbols.join(" ")));
    }
    if pe.certificate_size > 0 {
        line(text, format_args!("Certificate table: {} bytes", pe.certificate_size));
    }
    for entry in &pe.certificates {
        line(text, format_args!("  entry at {:#x}: {} bytes, type {}", entry.offset, entry.size, entry.kind));
        if let Some(found) = &entry.signature {
            signature(text, found);
        }
    }
    if pe.overlay_size > 0 {
        line(text, format_args!("Overlay: {} bytes at {:#x}", pe.overlay_size, pe.overlay_offset));
    }
}

fn debug(text: &mut String, entry: &PeDebug) {
    let mut shown =
        format!("Debug entry {}, time stamp {:#x}", name_of(PE_DEBUG_TYPES, entry.kind), entry.timestamp);
    if !entry.signature.is_empty() {
        let _ = write!(shown, ", signature {}", hexadecimal(&entry.signature));
    }
    if let Some(age) = entry.age {
        let _ = write!(shown, ", age {age}");
    }
    if let Some(path) = &entry.pdb_path {
        let _ = write!(shown, ", file {path}");
    }
    if !entry.hash.is_empty() {
        let _ = write!(shown, ", hash {}", hexadecimal(&entry.hash));
    }
    if let Some(flags) = entry.extended_dll_characteristics {
        let _ = write!(shown, ", flags {flags:#x}{}", if flags & 1 == 1 { " (CET_COMPAT)" } else { "" });
    }
    line(text, format_args!("{shown}"));
}

fn load_config(text: &mut String, config: &LoadConfig) {
    line(
        text,
        format_args!(
            "Load configuration: {:#x} bytes, security cookie {:#x}, guard flags {}",
            config.size,
            config.security_cookie,
            flags_of(PE_GUARD_FLAGS, config.guard_flags.into())
        ),
    );
    let fields = [
        ("SE handlers", config.se_handler_table, Some(config.se_handler_count)),
        ("guard check pointer", config.guard_check, None),
        ("guard dispatch pointer", config.guard_dispatch, None),
        ("guard functions", config.guard_functions, Some(config.guard_function_count)),
        ("EH continuations", config.eh_continuations, Some(config.eh_continuation_count)),
        ("volatile metadata", config.volatile_metadata, None),
        ("hybrid metadata", config.hybrid_metadata, None),
        ("enclave configuration", config.enclave, None),
        ("extended guard check pointer", config.extended_guard_check, None),
    ];
    for (name, address, count) in fields.into_iter().filter(|(_, address, _)| *address != 0) {
        let count = count.map(|count| format!(", {count} entries")).unwrap_or_default();
        line(text, format_args!("  {name} {address:#x}{count}"));
    }
}

fn resources(text: &mut String, resources: &Resources) {
    line(text, format_args!("Resources: {}", resources.leaves.len()));
    for leaf in &resources.leaves {
        let mut names = leaf.path.iter();
        let kind = names.next().map_or_else(String::new, |kind| match kind {
            ResourceName::Number(number) => name_of(PE_RESOURCE_TYPES, *number),
            ResourceName::Text(text) => text.to_string(),
        });
        let rest = names.fold(String::new(), |mut rest, name| {
            let _ = write!(rest, " {name}");
            rest
        });
        line(text, format_args!("  {kind}{rest}: {} bytes at address {:#x}", leaf.size, leaf.address));
    }
    let named =
        |name: &Option<ResourceName>| name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    if let Some(version) = &resources.version {
        let name = named(&version.name);
        let dotted = |parts: [u16; 4]| parts.map(|part| part.to_string()).join(".");
        line(
            text,
            format_args!(
                "Version{name}: file {}, product {}, flags {:#x}",
                dotted(version.file_version),
                dotted(version.product_version),
                version.flags
            ),
        );
        for string in &version.strings {
            line(text, format_args!("  {} {}: {}", string.language, string.key, string.value));
        }
    }
    for manifest in &resources.manifests {
        let name = named(&manifest.name);
        line(text, format_args!("Manifest{name}: {} bytes", manifest.text.len()));
        for setting in &manifest.settings {
            let unread = if setting.is_read { "" } else { " (Windows does not read it there)" };
            line(text, format_args!("  {} {}{unread}", setting.name, setting.value));
        }
    }
}

fn signature(text: &mut String, signature: &Signature) {
    let told = |answer: Option<bool>| match answer {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "cannot be told",
    };
    line(text, format_args!("  {} digest {}", signature.algorithm, hexadecimal(&signature.digest)));
    line(
        text,
        format_args!(
            "  digest signed: {}; nested signatures: {}",
            told(signature.content_signed),
            signature.nested
        ),
    );
    for (index, certificate) in signature.certificates.iter().enumerate() {
        let role = if signature.signer == Some(index) { "signer" } else { "chain" };
        line(text, format_args!("  certificate ({role}) {}", certificate.subject));
        line(text, format_args!("    issued by {}", certificate.issuer));
        line(text, format_args!("    sha256 {}", hexadecimal(&certificate.sha256)));
    }
    match &signature.timestamp {
        None => line(text, format_args!("  no timestamp")),
        Some(timestamp) => line(
            text,
            format_args!(
                "  timestamp ({}) {} s since 1970 by {}; about this signature: {}",
                timestamp.form,
                timestamp.time.map_or_else(|| "?".to_owned(), |time| time.to_string()),
                timestamp.authority.as_deref().unwrap_or("?"),
                told(timestamp.about_this_signature)
            ),
        ),
    }
}
