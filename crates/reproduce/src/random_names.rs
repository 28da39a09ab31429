//! Names with a random part: rustc's folder for import libraries, whose path dlltool makes symbols of, and temporary folders.

use std::ops::Range;

use memchr::memmem;

/// What stands before the random characters, and how many of them there are (the `tempfile` crate takes six).
const MARKS: [(&[u8], usize); 2] = [(b"rustc", 6), (b".tmp", 6)];

/// `bytes` with every random name replaced by one word, and where they were. A name that dlltool made of a path
/// (`_head_home_me_rustcAbCdEf_user32_dll_imports_lib`) goes from its first character on, since the path is part of it.
pub(crate) fn undo(bytes: &[u8]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (mark, length) in MARKS {
        for at in memmem::find_iter(bytes, mark) {
            let end = at + mark.len() + length;
            let Some(random) = bytes.get(at + mark.len()..end) else { continue };
            let stands_alone = bytes.get(end).is_none_or(|next| !next.is_ascii_alphanumeric());
            if random.iter().all(u8::is_ascii_alphanumeric) && looks_random(random) && stands_alone {
                found.push(start_of_word(bytes, at)..end);
            }
        }
    }
    found.sort_by_key(|range| range.start);
    let (mut out, mut done) = (Vec::with_capacity(bytes.len()), 0);
    found.retain(|range| {
        let is_new = range.start >= done;
        if is_new {
            out.extend(&bytes[done..range.start]);
            out.extend(b"<random>");
            done = range.end;
        }
        is_new
    });
    out.extend(&bytes[done..]);
    (out, found)
}

/// Six characters that are a word ("rustc_driver" has none, "rustc-hash" neither) are not random: those have a capital
/// letter or a digit among them, but for one in 500.
fn looks_random(random: &[u8]) -> bool {
    random.iter().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn start_of_word(bytes: &[u8], at: usize) -> usize {
    let before = bytes[..at].iter().rev().take(4096);
    at - before.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_part_goes_with_the_path_before_it() {
        let name = |folder: &str, random: &str| {
            undo(format!("x\0_head_{folder}_rustc{random}_user32_dll_imports_lib\0y").as_bytes()).0
        };
        assert_eq!(name("tmp", "AbC9eF"), b"x\0<random>_user32_dll_imports_lib\0y");
        assert_eq!(name("home_me_tmp", "Q1w2e3"), name("tmp", "AbC9eF"));
    }

    #[test]
    fn words_stay() {
        for text in
            ["rustc_driver", "rustc version 1.95.0", "librustcabcdef", "rustc", "/tmp/.tmp", "rustcABCDEFG"]
        {
            assert_eq!(undo(text.as_bytes()), (text.as_bytes().to_vec(), Vec::new()), "{text}");
        }
    }
}
