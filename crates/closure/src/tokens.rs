//! Tokens in search paths: `$ORIGIN`, `$LIB` and `$PLATFORM`, in braces or not (ld.so(8), Dynamic string tokens).

use crate::limits;

/// `text` with its tokens replaced; `None` where it needs an origin that is not known, or is longer than any path.
pub(crate) fn expanded(text: &str, origin: Option<&str>, lib: &str, platform: &str) -> Option<String> {
    let tokens = [("ORIGIN", origin), ("LIB", Some(lib)), ("PLATFORM", Some(platform))];
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded += &rest[..at];
        rest = &rest[at + 1..];
        let known = tokens.iter().find_map(|(name, value)| Some((*value, after_token(rest, name)?)));
        match known {
            Some((value, after)) => {
                expanded += value?;
                rest = after;
            }
            None => expanded.push('$'),
        }
        // Longer, it is the path of nothing.
        if expanded.len() > limits::PATH {
            return None;
        }
    }
    Some(expanded + rest)
}

/// What follows a token's name, in braces or not; a longer name is another token (`is_dst`).
fn after_token<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    match text.strip_prefix('{') {
        Some(inside) => inside.strip_prefix(name)?.strip_prefix('}'),
        None => {
            let after = text.strip_prefix(name)?;
            let longer = after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
            (!longer).then_some(after)
        }
    }
}

/// Whether a path has a token that musl does not know, which then leaves out all of the path (ldso/dynlink.c, `fixup_rpath`).
pub(crate) fn has_other_than_origin(list: &str) -> bool {
    list.split('$').skip(1).any(|rest| !rest.starts_with("ORIGIN") && !rest.starts_with("{ORIGIN}"))
}
