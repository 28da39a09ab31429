//! How new a library a file asks for by the versions of its symbols, and which symbols ask.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use inspect::facts::{Elf, ElfImport};

use crate::rule::{Judgement, listed, listed_or_none};
use crate::version::Version;
use artifact::matching::matches;

/// `VER_FLG_WEAK`: the loader does not mind when the library lacks the version.
const WEAK: u16 = 2;

/// The versions that one library defines, by how their names begin.
pub(crate) struct Family {
    /// `GLIBC_`, `GLIBCXX_` …
    pub(crate) prefix: &'static str,
    /// For nodes without a number: what they mean; `None` where that is not known.
    pub(crate) without_number: fn(&str) -> Option<Meaning>,
}

/// What a version's name asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// In every release since this one.
    Since(Version),
    /// Private to one build of the library.
    Never,
}

/// One version that a file asks of a library, and who in the file asks.
pub(crate) struct Demand<'a> {
    pub(crate) version: &'a str,
    symbols: Vec<&'a ElfImport>,
    marked_weak: bool,
}

/// Every version needed whose name begins with `prefix`, each once, from whatever library.
pub(crate) fn demands<'a>(elf: &'a Elf, prefix: &str) -> Vec<Demand<'a>> {
    let needs = elf.versions_needed.iter().flat_map(|need| &need.versions);
    let of_family: Vec<_> = needs.filter(|need| need.name.starts_with(prefix)).collect();
    if of_family.is_empty() {
        return Vec::new();
    }
    let mut bound: HashMap<&str, Vec<&ElfImport>> = HashMap::new();
    // Neighbours often share a version, and then in memory, too.
    for imports in elf.imports.chunk_by(|one, next| one.version == next.version) {
        if let Some(version) = imports[0].version.as_deref().filter(|version| version.starts_with(prefix)) {
            bound.entry(version).or_default().extend(imports);
        }
    }
    // Several libraries may have versions of one name: symbols say which of the names they mean, and no more.
    let mut demands: Vec<Demand> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for need in of_family {
        let marked_weak = need.flags & WEAK != 0;
        match known.entry(&need.name) {
            Entry::Occupied(entry) => demands[*entry.get()].marked_weak &= marked_weak,
            Entry::Vacant(entry) => {
                entry.insert(demands.len());
                let symbols = bound.remove(need.name.as_str()).unwrap_or_default();
                demands.push(Demand { version: &need.name, symbols, marked_weak });
            }
        }
    }
    demands
}

impl Demand<'_> {
    /// The loader goes on without the version only where the need is marked weak, and then a symbol that is not weak
    /// itself still stops it.
    pub(crate) fn is_weak(&self) -> bool {
        self.marked_weak && self.symbols.iter().all(|symbol| symbol.weak)
    }

    /// Whether every symbol that asks stands in the policy's exceptions: `name`, or `name@VERSION`; `@VERSION` for a version
    /// that no symbol asks for.
    fn is_excepted(&self, exceptions: &[String]) -> bool {
        let excepted = |name: &str| {
            let whole = format!("{name}@{}", self.version);
            exceptions.iter().any(|pattern| {
                if pattern.contains('@') { matches(pattern, &whole) } else { matches(pattern, name) }
            })
        };
        match self.symbols.as_slice() {
            [] => exceptions.iter().any(|pattern| *pattern == format!("@{}", self.version)),
            symbols => symbols.iter().all(|symbol| excepted(&symbol.name)),
        }
    }
}

impl fmt::Display for Demand<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.version)?;
        if !self.symbols.is_empty() {
            let names: Vec<_> = self.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
            write!(formatter, " ({})", listed(&names))?;
        }
        // With an unmarked need the loader stops although each symbol could do without.
        if !self.marked_weak && !self.symbols.is_empty() && self.symbols.iter().all(|symbol| symbol.weak) {
            formatter
                .write_str(", hard although each symbol is weak: the need is not marked VER_FLG_WEAK")?;
        }
        Ok(())
    }
}

impl Family {
    fn meaning(&self, name: &str) -> Option<Meaning> {
        let number = name.strip_prefix(self.prefix).and_then(Version::parse);
        number.map(Meaning::Since).or_else(|| (self.without_number)(name))
    }

    /// Whether `elf` asks for nothing newer than `floor`; without a floor: for nothing at all.
    pub(crate) fn judge(&self, elf: &Elf, floor: Option<&str>, exceptions: &[String]) -> Judgement {
        let demands = demands(elf, self.prefix);
        let Some(floor) = floor else {
            let asked: Vec<_> = demands.iter().map(Demand::to_string).collect();
            let expected = format!("no {}* symbol", self.prefix);
            return Judgement::require(demands.is_empty(), listed_or_none(&asked), expected);
        };
        let expected = format!("nothing newer than {}{floor}", self.prefix);
        let Some(limit) = Version::parse(floor) else {
            let wanted = format!("a floor of digits and dots; the policy says `{floor}`");
            return Judgement::cannot_tell("not looked at", wanted);
        };
        let (mut highest, mut above, mut unclear, mut weak, mut excepted) =
            (None, Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for demand in &demands {
            let meaning = self.meaning(demand.version);
            let fine = matches!(&meaning, Some(Meaning::Since(version)) if *version <= limit);
            match meaning {
                _ if demand.is_weak() => weak.push(demand.version),
                _ if !fine && demand.is_excepted(exceptions) => excepted.push(demand.to_string()),
                Some(Meaning::Since(version)) => {
                    if !fine {
                        above.push((version.clone(), demand.to_string()));
                    }
                    highest = highest.max(Some(version));
                }
                Some(Meaning::Never) => above.push((limit.clone(), demand.to_string())),
                None => unclear.push(demand.to_string()),
            }
        }
        if !above.is_empty() {
            // What raises the floor most comes first.
            above.sort_by(|one, other| other.0.cmp(&one.0));
            let above: Vec<_> = above.into_iter().map(|(_, text)| text).collect();
            return Judgement::fail(listed(&above), expected);
        }
        if !unclear.is_empty() {
            return Judgement::cannot_tell(format!("unknown version {}", listed(&unclear)), expected);
        }
        let mut observed =
            highest.map_or("no version".to_owned(), |version| format!("{}{version}", self.prefix));
        if !weak.is_empty() {
            observed += &format!("; weakly also {}", listed(&weak));
        }
        if !excepted.is_empty() {
            observed += &format!("; by the policy's exception also {}", listed(&excepted));
        }
        Judgement::pass(observed, expected)
    }
}
