//! What differs from a policy: the same keys, each optional, as the default's tables, presets and policy files say them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ControlFlow, KindPolicy, Policy, Preset, Requirement, Secret, SubsystemPolicy};
use crate::SysrootPolicy;

/// What differs from the default. A list replaces the default's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyOverrides {
    /// A named set of overrides; the keys beside it win over it.
    pub preset: Option<Preset>,
    /// See [`Policy::kind`].
    pub kind: Option<KindPolicy>,
    /// See [`Policy::rules_off`].
    pub rules_off: Option<Vec<String>>,
    /// See [`Policy::linker`].
    pub linker: Option<String>,
    /// See [`Policy::glibc_floor`].
    pub glibc_floor: Option<String>,
    /// See [`Policy::libgcc_floor`].
    pub libgcc_floor: Option<String>,
    /// See [`Policy::glibcxx_floor`].
    pub glibcxx_floor: Option<String>,
    /// See [`Policy::cxxabi_floor`].
    pub cxxabi_floor: Option<String>,
    /// See [`Policy::floor_exceptions`].
    pub floor_exceptions: Option<Vec<String>>,
    /// See [`Policy::kernel_minimum`].
    pub kernel_minimum: Option<String>,
    /// See [`Policy::os_abi`].
    pub os_abi: Option<Vec<u8>>,
    /// See [`Policy::needed_libraries`].
    pub needed_libraries: Option<Vec<String>>,
    /// See [`Policy::rpath`].
    pub rpath: Option<Vec<String>>,
    /// See [`Policy::soname`].
    pub soname: Option<String>,
    /// See [`Policy::exported_symbols`].
    pub exported_symbols: Option<Vec<String>>,
    /// See [`Policy::undefined_symbols`].
    pub undefined_symbols: Option<Vec<String>>,
    /// See [`Policy::imported_dlls`].
    pub imported_dlls: Option<Vec<String>>,
    /// See [`Policy::sysroot`].
    pub sysroot: Option<SysrootPolicy>,
    /// See [`Policy::unresolved_symbols`].
    pub unresolved_symbols: Option<Vec<String>>,
    /// See [`Policy::system_dlls`].
    pub system_dlls: Option<Vec<String>>,
    /// See [`Policy::delay_loaded_dlls`].
    pub delay_loaded_dlls: Option<Vec<String>>,
    /// See [`Policy::exported_functions`].
    pub exported_functions: Option<Vec<String>>,
    /// See [`Policy::control_flow`].
    pub control_flow: Option<Vec<ControlFlow>>,
    /// See [`Policy::stack_protector`].
    pub stack_protector: Option<bool>,
    /// See [`Policy::fortify`].
    pub fortify: Option<bool>,
    /// See [`Policy::separate_code`].
    pub separate_code: Option<bool>,
    /// See [`Policy::denied_libraries`].
    pub denied_libraries: Option<Vec<String>>,
    /// See [`Policy::bind_now`].
    pub bind_now: Option<bool>,
    /// See [`Policy::subsystem`].
    pub subsystem: Option<SubsystemPolicy>,
    /// See [`Policy::control_flow_guard`].
    pub control_flow_guard: Option<Requirement>,
    /// See [`Policy::cet_compat`].
    pub cet_compat: Option<bool>,
    /// See [`Policy::stack_cookies`].
    pub stack_cookies: Option<bool>,
    /// See [`Policy::high_image_base`].
    pub high_image_base: Option<bool>,
    /// See [`Policy::packed`].
    pub packed: Option<bool>,
    /// See [`Policy::version_resource`].
    pub version_resource: Option<Vec<String>>,
    /// See [`Policy::manifest`].
    pub manifest: Option<BTreeMap<String, String>>,
    /// See [`Policy::authenticode`].
    pub authenticode: Option<Requirement>,
    /// See [`Policy::trusted_certificates`].
    pub trusted_certificates: Option<Vec<String>>,
    /// See [`Policy::authenticode_timestamp`].
    pub authenticode_timestamp: Option<bool>,
    /// See [`Policy::stripped`].
    pub stripped: Option<bool>,
    /// See [`Policy::sections`].
    pub sections: Option<Vec<String>>,
    /// See [`Policy::build_id`].
    pub build_id: Option<bool>,
    /// See [`Policy::timestamps`].
    pub timestamps: Option<Vec<u32>>,
    /// See [`Policy::checksum`].
    pub checksum: Option<bool>,
    /// See [`Policy::trailing_bytes`].
    pub trailing_bytes: Option<u64>,
    /// See [`Policy::size_budget`].
    pub size_budget: Option<u64>,
    /// See [`Policy::secrets`].
    pub secrets: Option<Vec<Secret>>,
    /// See [`Policy::growth_percent`].
    pub growth_percent: Option<u32>,
    /// See [`Policy::path_patterns`].
    pub path_patterns: Option<Vec<String>>,
    /// See [`Policy::allowed_paths`].
    pub allowed_paths: Option<Vec<String>>,
}

impl Policy {
    /// This policy, with `overrides` put over it.
    #[must_use]
    pub fn with(mut self, overrides: &PolicyOverrides) -> Policy {
        // Taken apart without `..`, so that a new key cannot be forgotten here.
        let PolicyOverrides {
            preset,
            kind,
            rules_off,
            linker,
            glibc_floor,
            libgcc_floor,
            glibcxx_floor,
            cxxabi_floor,
            floor_exceptions,
            kernel_minimum,
            os_abi,
            needed_libraries,
            rpath,
            soname,
            exported_symbols,
            undefined_symbols,
            imported_dlls,
            sysroot,
            unresolved_symbols,
            system_dlls,
            delay_loaded_dlls,
            exported_functions,
            control_flow,
            stack_protector,
            fortify,
            separate_code,
            denied_libraries,
            bind_now,
            subsystem,
            control_flow_guard,
            cet_compat,
            stack_cookies,
            high_image_base,
            packed,
            version_resource,
            manifest,
            authenticode,
            trusted_certificates,
            authenticode_timestamp,
            stripped,
            sections,
            build_id,
            timestamps,
            checksum,
            trailing_bytes,
            size_budget,
            secrets,
            growth_percent,
            path_patterns,
            allowed_paths,
        } = overrides;
        if let Some(preset) = preset {
            self = self.with(preset.overrides());
        }
        replace(&mut self.kind, kind);
        replace(&mut self.rules_off, rules_off);
        self.linker = linker.clone().or(self.linker);
        self.glibc_floor = glibc_floor.clone().or(self.glibc_floor);
        self.libgcc_floor = libgcc_floor.clone().or(self.libgcc_floor);
        self.glibcxx_floor = glibcxx_floor.clone().or(self.glibcxx_floor);
        self.cxxabi_floor = cxxabi_floor.clone().or(self.cxxabi_floor);
        replace(&mut self.floor_exceptions, floor_exceptions);
        self.kernel_minimum = kernel_minimum.clone().or(self.kernel_minimum);
        replace(&mut self.os_abi, os_abi);
        replace(&mut self.needed_libraries, needed_libraries);
        replace(&mut self.rpath, rpath);
        self.soname = soname.clone().or(self.soname);
        self.exported_symbols = exported_symbols.clone().or(self.exported_symbols);
        replace(&mut self.undefined_symbols, undefined_symbols);
        replace(&mut self.imported_dlls, imported_dlls);
        self.sysroot = sysroot.clone().or(self.sysroot);
        replace(&mut self.unresolved_symbols, unresolved_symbols);
        replace(&mut self.system_dlls, system_dlls);
        self.delay_loaded_dlls = delay_loaded_dlls.clone().or(self.delay_loaded_dlls);
        replace(&mut self.exported_functions, exported_functions);
        replace(&mut self.control_flow, control_flow);
        replace(&mut self.stack_protector, stack_protector);
        replace(&mut self.fortify, fortify);
        replace(&mut self.separate_code, separate_code);
        replace(&mut self.denied_libraries, denied_libraries);
        replace(&mut self.bind_now, bind_now);
        replace(&mut self.subsystem, subsystem);
        replace(&mut self.control_flow_guard, control_flow_guard);
        replace(&mut self.cet_compat, cet_compat);
        replace(&mut self.stack_cookies, stack_cookies);
        replace(&mut self.high_image_base, high_image_base);
        replace(&mut self.packed, packed);
        replace(&mut self.version_resource, version_resource);
        replace(&mut self.manifest, manifest);
        replace(&mut self.authenticode, authenticode);
        replace(&mut self.trusted_certificates, trusted_certificates);
        replace(&mut self.authenticode_timestamp, authenticode_timestamp);
        replace(&mut self.stripped, stripped);
        replace(&mut self.sections, sections);
        replace(&mut self.build_id, build_id);
        replace(&mut self.timestamps, timestamps);
        replace(&mut self.checksum, checksum);
        replace(&mut self.trailing_bytes, trailing_bytes);
        self.size_budget = size_budget.or(self.size_budget);
        replace(&mut self.secrets, secrets);
        replace(&mut self.growth_percent, growth_percent);
        replace(&mut self.path_patterns, path_patterns);
        replace(&mut self.allowed_paths, allowed_paths);
        self
    }
}

fn replace<T: Clone>(value: &mut T, with: &Option<T>) {
    if let Some(with) = with {
        *value = with.clone();
    }
}
