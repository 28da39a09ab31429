//! Whether a policy can be meant: no list against another, no floor that is no version, no rule that nobody knows.

use artifact::READABLE;

use super::Policy;
use crate::page::known_rule;
use crate::version::Version;
use crate::{Error, ErrorKind};
use artifact::matching::{matches, matches_ignoring_case};

/// Whether `policy` can be meant.
///
/// # Errors
/// [`ErrorKind::BadPolicy`] or [`ErrorKind::UnknownRule`], naming the key.
pub fn sound(policy: &Policy) -> Result<(), Error> {
    for (key, floor) in [
        ("glibc-floor", &policy.glibc_floor),
        ("libgcc-floor", &policy.libgcc_floor),
        ("glibcxx-floor", &policy.glibcxx_floor),
        ("cxxabi-floor", &policy.cxxabi_floor),
        ("kernel-minimum", &policy.kernel_minimum),
    ] {
        if let Some(floor) = floor.as_deref().filter(|floor| Version::parse(floor).is_none()) {
            return Err(
                bad(format!("`{key}` is `{floor}`, which is no version")).with_hint("write it as 2.31")
            );
        }
    }
    for id in &policy.rules_off {
        known_rule(id)?;
        if id == READABLE {
            return Err(bad(format!("`rules-off` names {id}, which nobody can do without"))
                .with_hint("what cannot be read cannot be judged"));
        }
    }
    for (key, names) in name_lists(policy) {
        if let Some(name) = names.iter().find(|name| name.strip_suffix('*').unwrap_or(name).contains('*')) {
            return Err(bad(format!("`{key}` has `{name}`, with a star before its end"))
                .with_hint("a star ends a name, and stands for any end of it, as in libssl*"));
        }
    }
    if policy.allowed_paths.iter().any(String::is_empty) {
        return Err(bad("`allowed-paths` has ``, with which every path begins".to_owned())
            .with_hint("write how remapped paths begin, as in /src/"));
    }
    if let Some(pattern) =
        policy.path_patterns.iter().find(|pattern| pattern.is_empty() || pattern.starts_with('*'))
    {
        return Err(bad(format!(
            "`path-patterns` has `{pattern}`, with nothing before its star to look for"
        ))
        .with_hint("begin it with a folder, as in /home/*/"));
    }
    if let Some(pattern) = policy.path_patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
        return Err(bad(format!("`path-patterns` has `{pattern}`, with more than one star")).with_hint(
            "a star stands for one folder's name, and a pattern has at most one, as in /home/*/",
        ));
    }
    let lists = [("needed-libraries", &policy.needed_libraries), ("imported-dlls", &policy.imported_dlls)];
    for (key, allowed) in lists {
        overlap(key, allowed, &policy.denied_libraries)?;
    }
    Ok(())
}

/// The lists of names in which a star at the end of one stands for any end.
fn name_lists(policy: &Policy) -> [(&'static str, &[String]); 12] {
    fn list(names: &Option<Vec<String>>) -> &[String] {
        names.as_deref().unwrap_or_default()
    }
    [
        ("needed-libraries", &policy.needed_libraries),
        ("denied-libraries", &policy.denied_libraries),
        ("imported-dlls", &policy.imported_dlls),
        ("delay-loaded-dlls", list(&policy.delay_loaded_dlls)),
        ("floor-exceptions", &policy.floor_exceptions),
        ("rpath", &policy.rpath),
        ("soname", policy.soname.as_slice()),
        ("exported-symbols", list(&policy.exported_symbols)),
        ("undefined-symbols", &policy.undefined_symbols),
        ("unresolved-symbols", &policy.unresolved_symbols),
        ("exported-functions", &policy.exported_functions),
        ("sections", &policy.sections),
    ]
}

/// An allowed name may lie beside denied ones, but not within them: one of the two lists would say nothing.
fn overlap(key: &str, allowed: &[String], denied: &[String]) -> Result<(), Error> {
    for denied in denied {
        let covers = |allowed: &&String| match key {
            "imported-dlls" => matches_ignoring_case(denied, allowed),
            _ => matches(denied, allowed),
        };
        if let Some(allowed) = allowed.iter().find(covers) {
            let message =
                format!("`{key}` allows `{allowed}`, which `denied-libraries` refuses (`{denied}`)");
            return Err(bad(message).with_hint("take it out of one of the two"));
        }
    }
    Ok(())
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::BadPolicy, message)
}

#[cfg(test)]
mod tests {
    use artifact::Target;

    use super::*;

    #[track_caller]
    fn refused(target: Target, overrides: &str, kind: ErrorKind, text: &str) {
        let policy = Policy::for_target(target).with(&toml::from_str(overrides).unwrap());
        let error = sound(&policy).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(text), "{error:?}");
        assert!(error.hint().is_some(), "{error}");
    }

    #[test]
    fn every_default_is_sound() {
        assert!(Target::all().all(|target| sound(&Policy::for_target(target)).is_ok()));
    }

    #[test]
    fn a_contradiction_is_refused_by_name() {
        use ErrorKind::{BadPolicy, UnknownRule};
        let (linux, windows) = (Target::Aarch64Linux, Target::X86_64Windows);
        refused(linux, "glibc-floor = 'bullseye'", BadPolicy, "`glibc-floor` is `bullseye`");
        refused(linux, "libgcc-floor = '4.x'", BadPolicy, "`libgcc-floor` is `4.x`");
        refused(linux, "rules-off = ['SW-ELF-RERLO']", UnknownRule, "SW-ELF-RERLO");
        refused(linux, "rules-off = ['SW-READABLE']", BadPolicy, "SW-READABLE");
        refused(
            linux,
            "path-patterns = ['/home/*/', '*/secret']",
            BadPolicy,
            "`path-patterns` has `*/secret`",
        );
        refused(linux, "glibcxx-floor = 'new'", BadPolicy, "`glibcxx-floor` is `new`");
        refused(linux, "cxxabi-floor = 'new'", BadPolicy, "`cxxabi-floor` is `new`");
        refused(linux, "kernel-minimum = 'new'", BadPolicy, "`kernel-minimum` is `new`");
        for key in [
            "needed-libraries",
            "denied-libraries",
            "imported-dlls",
            "delay-loaded-dlls",
            "floor-exceptions",
            "rpath",
            "exported-symbols",
            "undefined-symbols",
            "unresolved-symbols",
            "exported-functions",
            "sections",
        ] {
            for name in ["*resolv", "lib*.so", "lib**"] {
                refused(linux, &format!("{key} = ['{name}']"), BadPolicy, &format!("`{key}` has `{name}`"));
            }
        }
        refused(linux, "soname = 'lib*.so'", BadPolicy, "`soname` has `lib*.so`");
        refused(linux, "allowed-paths = ['/src/', '']", BadPolicy, "`allowed-paths` has ``");
        refused(linux, "path-patterns = ['']", BadPolicy, "`path-patterns` has ``");
        refused(linux, "path-patterns = ['/home/*/*/x']", BadPolicy, "has `/home/*/*/x`, with more than one");
        refused(linux, "denied-libraries = ['libm.so.6']", BadPolicy, "allows `libm.so.6`");
        refused(linux, "denied-libraries = ['lib*']", BadPolicy, "(`lib*`)");
        refused(windows, "denied-libraries = ['Kernel32.DLL']", BadPolicy, "allows `KERNEL32.dll`");
    }

    #[test]
    fn a_denied_part_of_what_is_allowed_is_an_exception_and_no_contradiction() {
        let overrides = toml::from_str("denied-libraries = ['api-ms-win-core-debug-*']").unwrap();
        assert!(sound(&Policy::for_target(Target::X86_64Windows).with(&overrides)).is_ok());
    }
}
