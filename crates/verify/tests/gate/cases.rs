//! The cases that other checkers were measured to answer wrong, and the test that has the right answer of each.

use std::fs;
use std::path::Path;

const ELF: &str = "crates/verify/tests/gate/cases_elf.rs";
const PE: &str = "crates/verify/tests/gate/cases_pe.rs";
const CLOSURE: &str = "crates/closure/tests/cases.rs";
const SYSROOT: &str = "crates/verify/tests/gate/closure.rs";
const DAMAGED: &str = "tests/damaged.rs";

/// A case's number, what it is about, and its tests: file and name.
type Case = (u8, &'static str, &'static [(&'static str, &'static str)]);

/// All of them, by the numbers of the page that measured them; it has no others.
const CASES: [Case; 20] = [
    (1, "BIND_NOW without RELRO", &[(ELF, "case_1_bind_now_without_relro_is_no_relro")]),
    (
        3,
        "static PIE, stripped and not",
        &[
            (ELF, "case_3_a_static_pie_is_a_program_stripped_or_not"),
            (ELF, "case_3_glibcs_start_files_of_a_fixed_address_do_not_move_it"),
        ],
    ),
    (4, "libraries that look executable", &[(ELF, "case_4_a_library_that_looks_executable_is_a_library")]),
    (6, "no PT_GNU_STACK", &[(ELF, "case_6_a_missing_stack_header_fails_and_names_the_stacks")]),
    (7, "no section headers", &[(ELF, "case_7_without_section_headers_the_answers_stay")]),
    (10, "weak needs", &[(ELF, "case_10_a_weak_need_of_a_weak_symbol_is_no_floor_and_is_told")]),
    (12, "CET, BTI and PAC", &[(ELF, "case_12_every_property_of_every_note_is_read")]),
    (
        13,
        "a name like the protector's",
        &[(ELF, "case_13_a_function_named_after_the_protector_is_no_canary")],
    ),
    (15, "Rust without a canary", &[(ELF, "case_15_rust_is_asked_for_no_canary_and_c_in_it_by_evidence")]),
    (
        16,
        "static aarch64 by rust-lld",
        &[(ELF, "case_16_rusts_static_aarch64_program_is_at_a_fixed_address")],
    ),
    (18, "C++ against a sysroot", &[(CLOSURE, "case_18_a_cpp_program_finds_all_of_libstdcpp")]),
    (
        19,
        "weak symbols, plug-ins, $ORIGIN",
        &[
            (CLOSURE, "case_19_weak_symbols_may_stay_open"),
            (CLOSURE, "case_19_private_libraries_are_found_from_where_the_program_stands"),
            (SYSROOT, "case_19_a_plug_in_may_lack_what_its_host_supplies_where_the_policy_says_so"),
        ],
    ),
    (20, "DYNAMIC_BASE without relocations", &[(PE, "case_20_stripped_or_empty_relocations_are_no_aslr")]),
    (23, "Authenticode, four facts", &[(PE, "case_23_present_digest_chain_and_timestamp_are_four_answers")]),
    (25, "mingw without a protector", &[(PE, "case_25_mingw_has_no_canary_unless_it_was_asked_for")]),
    (
        26,
        "subsystem against policy",
        &[(PE, "case_26_the_subsystem_is_what_the_header_says_not_what_the_code_looks_like")],
    ),
    (27, "three kinds of time stamps", &[(PE, "case_27_no_stamp_a_clock_and_a_marked_hash_are_told_apart")]),
    (
        29,
        "W^X, alignment, shared",
        &[(PE, "case_29_writable_code_small_sections_and_shared_memory_fail_each")],
    ),
    (
        30,
        "cut, past the end, millions of imports",
        &[
            (DAMAGED, "case_30_a_file_cut_in_half_ends_with_exit_code_2"),
            (DAMAGED, "case_30_a_section_past_the_end_ends_with_exit_code_2"),
            (DAMAGED, "case_30_millions_of_imports_end_with_exit_code_2_and_cost_little"),
        ],
    ),
    (
        31,
        "packers and resource DLLs",
        &[(PE, "case_31_a_packer_or_a_file_without_code_is_not_asked_about_code")],
    ),
];

#[test]
fn every_case_has_its_tests_and_every_such_test_is_listed() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in [ELF, PE, CLOSURE, SYSROOT, DAMAGED] {
        let text =
            fs::read_to_string(repository.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let written: Vec<_> = text
            .split("#[test]\nfn ")
            .skip(1)
            .filter_map(|test| test.split_once('(').map(|(name, _)| name))
            .filter(|name| name.starts_with("case_"))
            .collect();
        let all = CASES.iter().flat_map(|(_, _, tests)| *tests);
        let mut listed: Vec<_> = all.filter(|(place, _)| *place == file).map(|(_, name)| *name).collect();
        let mut sorted = written;
        sorted.sort_unstable();
        listed.sort_unstable();
        assert_eq!(sorted, listed, "{file}");
    }
    for (number, what, tests) in CASES {
        let named = |(_, test): &&(&str, &str)| test.starts_with(&format!("case_{number}_"));
        assert!(!tests.is_empty() && tests.iter().all(|test| named(&test)), "{number}: {what}");
    }
}
