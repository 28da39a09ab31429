//! The programs in an image that make programs: which files they are, which versions they say, and which linker links.

use std::collections::BTreeMap;

use crate::lock::ToolLock;
use crate::recipe::Tools;

/// PATH in the images.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Prints a line for each tool: what it is for, its file, the file's SHA-256 and the first line of `--version`, apart by tabs.
/// The linker is the file that the compiler starts, which no option of a build names.
pub(crate) fn script(tools: &Tools) -> String {
    let compiler = &tools.compiler;
    let dlltool = tools.dlltool.iter().map(|dlltool| format!("tool dlltool {dlltool}\n")).collect::<String>();
    format!(
        "set -eu\n\
         tool() {{\n\
         \x20 path=$(readlink -f \"$(command -v \"$2\")\")\n\
         \x20 digest=$(sha256sum <\"$path\" | cut -d ' ' -f 1)\n\
         \x20 printf '%s\\t%s\\t%s\\t%s\\n' \"$1\" \"$path\" \"$digest\" \"$(\"$path\" --version 2>&1 | head -n 1)\"\n\
         }}\n\
         tool compiler {compiler}\n\
         tool linker \"$({compiler} -print-prog-name=ld)\"\n\
         {dlltool}\
         tool build-compiler gcc\n\
         tool build-linker \"$(gcc -print-prog-name=ld)\"\n"
    )
}

/// Links a program and prints what the linker that did it calls itself.
pub(crate) fn link_script(tools: &Tools) -> String {
    format!(
        "set -eu\n\
         folder=$(mktemp -d)\n\
         printf 'int main(void) {{ return 0; }}\\n' >\"$folder/program.c\"\n\
         {} \"$folder/program.c\" -o \"$folder/program.exe\" -Wl,-v >\"$folder/told\" 2>&1\n\
         test -s \"$folder/program.exe\"\n\
         grep -m 1 -E '^(GNU ld|GNU gold|mold|([A-Za-z]+ )?LLD) ' \"$folder/told\"\n",
        tools.compiler
    )
}

/// Name and version of a linker's first line: `GNU ld (GNU Binutils for Debian) 2.35.2`, `LLD 22.1.2 (…)`.
pub(crate) fn mark(version: &str) -> Option<String> {
    let (name, rest) = ["mold", "LLD", "GNU gold", "GNU ld"]
        .iter()
        .find_map(|name| Some((name, version[version.find(name)? + name.len()..].split(' '))))?;
    let mut numbers = rest.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let number = numbers.next();
    Some(number.map_or((*name).to_string(), |number| format!("{name} {number}")))
}

/// Reads what [`script`] printed.
pub(crate) fn parse(printed: &str) -> Result<BTreeMap<String, ToolLock>, String> {
    let mut tools = BTreeMap::new();
    for line in printed.lines() {
        let [role, path, digest, version] =
            line.split('\t').collect::<Vec<_>>().try_into().map_err(|_| format!("`{line}` is no tool"))?;
        let sha256 = digest.parse().map_err(|_| format!("`{line}` has no digest"))?;
        let tool = ToolLock { path: path.to_owned(), version: version.to_owned(), sha256 };
        tools.insert(role.to_owned(), tool);
    }
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use artifact::Digest;

    use super::*;
    use crate::ErrorKind;
    use crate::command::Program;

    fn here() -> Tools {
        Tools { compiler: "gcc".to_owned(), dlltool: None }
    }

    #[test]
    fn this_machines_tools_are_what_sha256sum_and_they_say() {
        let printed = Program::new("sh").args(["-c", &script(&here())]).read(ErrorKind::Io).unwrap();
        let tools = parse(&printed).unwrap();
        assert_eq!(
            tools.keys().collect::<Vec<_>>(),
            ["build-compiler", "build-linker", "compiler", "linker"]
        );
        for (role, tool) in &tools {
            let (digest, _) = Digest::of_file(tool.path.as_ref()).unwrap();
            assert_eq!(tool.sha256, digest, "{role}");
        }
        let linked = Program::new("sh").args(["-c", &link_script(&here())]).read(ErrorKind::Io).unwrap();
        assert_eq!(linked, tools["linker"].version);
    }

    #[test]
    fn another_linker_is_told_by_the_link() {
        let lld = Tools { compiler: "gcc -fuse-ld=lld".to_owned(), dlltool: None };
        let linked = Program::new("sh").args(["-c", &link_script(&lld)]).read(ErrorKind::Io);
        assert!(linked.expect("apt-get install lld").contains("LLD "));
    }

    #[test]
    fn a_linkers_line_has_its_name_and_version() {
        for (line, expected) in [
            ("GNU ld (GNU Binutils for Debian) 2.35.2", "GNU ld 2.35.2"),
            ("GNU ld (GNU Binutils) 2.44", "GNU ld 2.44"),
            ("Debian LLD 14.0.6 (compatible with GNU linkers)", "LLD 14.0.6"),
            ("mold 2.30.0 (compatible with GNU ld)", "mold 2.30.0"),
        ] {
            assert_eq!(mark(line).as_deref(), Some(expected));
        }
        assert_eq!(mark("gcc 12"), None);
    }

    #[test]
    fn what_is_no_tool_is_refused() {
        for other in ["compiler", "a\tb\tc\td", "a\tb\tc\td\te"] {
            assert!(parse(other).is_err(), "{other}");
        }
    }
}
