//! Every rule, one file each. An ID stays what it is for ever: reports and waivers outside of this house name it.

mod build_id;
mod build_paths;
mod class;
mod elf_abi_flags;
mod elf_bind_now;
mod elf_branch_protection;
mod elf_cet;
mod elf_closure;
mod elf_cxx_floor;
mod elf_exports;
mod elf_fortify;
mod elf_glibc_floor;
mod elf_interpreter;
mod elf_kernel_minimum;
mod elf_libgcc_floor;
mod elf_needed;
mod elf_nx_stack;
mod elf_os_abi;
mod elf_packer;
mod elf_pie;
mod elf_relro;
mod elf_rpath;
mod elf_section_map;
mod elf_self_relocation;
mod elf_separate_code;
mod elf_soname;
mod elf_stack_protector;
mod elf_textrel;
mod elf_undefined;
mod elf_wx_segments;
mod format;
mod kind;
mod linker;
mod machine;
mod pe_alignment;
mod pe_cet;
mod pe_cfg;
mod pe_checksum;
mod pe_closure;
mod pe_delay_imports;
mod pe_dynamic_base;
mod pe_executable_imports;
mod pe_exports;
mod pe_high_entropy;
mod pe_image_base;
mod pe_imports;
mod pe_manifest;
mod pe_nx;
mod pe_packer;
mod pe_pdb_path;
mod pe_relocations;
mod pe_safe_seh;
mod pe_shared_sections;
mod pe_signature_chain;
mod pe_signature_digest;
mod pe_signature_present;
mod pe_signature_timestamp;
mod pe_stack_protector;
mod pe_subsystem;
mod pe_timestamps;
mod pe_tls_callbacks;
mod pe_version_resource;
mod readable;
mod second_opinion;
mod secrets;
mod sections;
mod size_budget;
mod stripped;
mod trailing_bytes;
mod wx_sections;

use crate::Rule;

pub(crate) use elf_needed::loaded_otherwise;

/// In the order of a report: can it be read, is it for this system, does it start there, is it hardened, is it clean.
pub(crate) const ALL: &[Rule] = &[
    readable::RULE,
    second_opinion::RULE,
    format::RULE,
    machine::RULE,
    class::RULE,
    kind::RULE,
    linker::RULE,
    elf_os_abi::RULE,
    elf_abi_flags::RULE,
    elf_interpreter::RULE,
    elf_glibc_floor::RULE,
    elf_libgcc_floor::RULE,
    elf_cxx_floor::RULE,
    elf_kernel_minimum::RULE,
    elf_needed::RULE,
    elf_undefined::RULE,
    elf_rpath::RULE,
    elf_closure::RULE,
    elf_soname::RULE,
    elf_exports::RULE,
    pe_imports::RULE,
    pe_closure::RULE,
    pe_delay_imports::RULE,
    pe_exports::RULE,
    pe_subsystem::RULE,
    elf_pie::RULE,
    elf_self_relocation::RULE,
    elf_nx_stack::RULE,
    elf_relro::RULE,
    elf_bind_now::RULE,
    elf_textrel::RULE,
    elf_wx_segments::RULE,
    elf_section_map::RULE,
    elf_separate_code::RULE,
    elf_cet::RULE,
    elf_branch_protection::RULE,
    elf_stack_protector::RULE,
    elf_fortify::RULE,
    pe_dynamic_base::RULE,
    pe_high_entropy::RULE,
    pe_image_base::RULE,
    pe_relocations::RULE,
    pe_nx::RULE,
    pe_cfg::RULE,
    pe_cet::RULE,
    pe_safe_seh::RULE,
    pe_stack_protector::RULE,
    pe_alignment::RULE,
    pe_executable_imports::RULE,
    pe_tls_callbacks::RULE,
    pe_shared_sections::RULE,
    wx_sections::RULE,
    sections::RULE,
    stripped::RULE,
    build_paths::RULE,
    secrets::RULE,
    build_id::RULE,
    pe_timestamps::RULE,
    pe_checksum::RULE,
    pe_pdb_path::RULE,
    pe_packer::RULE,
    pe_version_resource::RULE,
    pe_manifest::RULE,
    pe_signature_present::RULE,
    pe_signature_digest::RULE,
    pe_signature_chain::RULE,
    pe_signature_timestamp::RULE,
    trailing_bytes::RULE,
    size_budget::RULE,
    elf_packer::RULE,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_says_what_it_holds_and_where_that_is_written() {
        for rule in ALL {
            assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'), "{rule:?}: summary");
            assert!(!rule.references.is_empty(), "{rule:?} names no reference");
            assert!(rule.references.iter().all(|reference| reference.len() > 7), "{rule:?}");
        }
    }

    #[test]
    fn every_rule_has_an_id_of_its_own_and_says_why_and_what_to_do() {
        let ids: BTreeSet<_> = ALL.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for rule in ALL {
            assert!(
                rule.id.starts_with("SW-") && rule.why.ends_with('.') && !rule.fix.is_empty(),
                "{rule:?}"
            );
            let prefix = rule.format().map(|format| format!("SW-{format:?}-").to_uppercase());
            assert!(prefix.is_none_or(|prefix| rule.id.starts_with(&prefix)), "{rule:?}");
        }
    }
}
