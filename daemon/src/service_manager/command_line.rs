//! The command line that a service manager starts.

use super::Error;

/// Quotes `program` always, and each argument that needs it, so that the whole reads back as it was
/// (`CommandLineToArgvW`). Unquoted, `C:\Prog Dir\x.exe` may start `C:\Prog.exe` (CWE-428).
pub(crate) fn command_line(program: &str, arguments: &[String]) -> Result<String, Error> {
    let all = std::iter::once(program).chain(arguments.iter().map(String::as_str));
    for word in all {
        if word.contains('\0') {
            return Err(Error::Invalid(format!("{word:?} has a NUL character in it")));
        }
        // The service manager replaces %NAME% by what the environment says.
        if word.contains('%') {
            return Err(Error::Invalid(format!("{word:?} has a '%' in it, which Windows would replace")));
        }
    }
    if program.contains('"') {
        return Err(Error::Invalid(format!("{program:?} is not a path")));
    }
    let mut line = format!("\"{program}\"");
    for argument in arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    Ok(line)
}

/// One word of a command line. Backslashes are themselves unless a quote follows; then each is doubled.
pub(crate) fn quoted(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains([' ', '\t', '\n', '\u{b}', '"']) {
        return argument.to_owned();
    }
    let mut out = String::from("\"");
    let mut backslashes = 0;
    for character in argument.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                out.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        out.push(character);
    }
    out.extend(std::iter::repeat_n('\\', backslashes));
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &str, arguments: &[&str]) -> Result<String, Error> {
        let arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
        command_line(program, &arguments)
    }

    /// Cases of Microsoft's "Parsing C command-line arguments", read backwards.
    #[test]
    fn every_word_reads_back() {
        assert_eq!(line(r"C:\a\b.exe", &["run"]).unwrap(), r#""C:\a\b.exe" run"#);
        assert_eq!(line(r"C:\a b\c.exe", &["x y", ""]).unwrap(), r#""C:\a b\c.exe" "x y" """#);
        assert_eq!(line("p", &[r#"a"b"#, r"c\", r"d e\"]).unwrap(), r#""p" "a\"b" c\ "d e\\""#);
        assert_eq!(line("p", &[r#"a\\"b c"#]).unwrap(), r#""p" "a\\\\\"b c""#);
    }

    #[test]
    fn what_windows_would_change_is_refused() {
        for (program, arguments) in [("a%b%", &[][..]), ("a", &["%x%"]), ("a\"b", &[]), ("a", &["b\0"])] {
            assert!(matches!(line(program, arguments), Err(Error::Invalid(_))), "{program} {arguments:?}");
        }
    }
}
