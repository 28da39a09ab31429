//! Two programs, piece by piece: which differences are causes, which follow from one, and which are neither.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::code::{self, Machine};
use crate::fields::{self, Blanked};
use crate::texts::{Counterparts, Texts};
use crate::view::{CERTIFICATES, Piece, Role, View};
use crate::{Cause, CauseKind, Compared, Span, dates, functions, order, toolmarks};

/// Of constants that must have moved with everything else, this part must be found again: tables of distances in them
/// change, texts and numbers do not.
const MOSTLY: f64 = 0.8;
/// What linkers fill gaps with: zeros, and on x86 `nop` and `int3`.
const PADDING: [u8; 3] = [0, 0x90, 0xcc];
/// Where a part of so few bytes differs, being found again says nothing.
const FEW: usize = 256;

/// Compares two programs that are not the same bytes.
pub(crate) fn compare(name: &str, published: &View<'_>, rebuilt: &View<'_>) -> Compared {
    let Blanked { published: ours, rebuilt: theirs, causes, build_id } = fields::blank(published, rebuilt);
    let same_format = published.elf().is_some() == rebuilt.elf().is_some();
    if !same_format || Machine::of(published) != Machine::of(rebuilt) {
        let span = Span::of("whole file", 0..published.bytes.len(), 0..rebuilt.bytes.len());
        return Compared::by_causes(name, Vec::new(), vec![span]);
    }
    let mut comparison = Comparison {
        published: Side { view: published, bytes: &ours },
        rebuilt: Side { view: rebuilt, bytes: &theirs },
        causes,
        follows: Vec::new(),
        unexplained: Vec::new(),
    };
    comparison.run();
    let Comparison { mut causes, unexplained, .. } = comparison;
    if causes.is_empty() && unexplained.is_empty() {
        causes.extend(build_id.map(|cause| of_its_program(cause, published)));
    }
    // What is computed over the rest says least.
    causes.sort_by_key(|cause| cause.kind.is_normal());
    Compared::by_causes(name, causes, unexplained)
}

/// A symbols file has no code: its build-id is that of the program it belongs to.
fn of_its_program(mut cause: Cause, view: &View<'_>) -> Cause {
    if view.code().next().is_none() {
        cause.cure = "none needed here: see why the program that these symbols belong to differs".to_owned();
    }
    cause
}

/// A program, and its bytes without the fields that say nothing of what it does.
#[derive(Clone, Copy)]
struct Side<'a> {
    view: &'a View<'a>,
    bytes: &'a [u8],
}

impl<'a> Side<'a> {
    fn content(&self, piece: &Piece) -> &'a [u8] {
        &self.bytes[piece.range.clone()]
    }
}

/// A piece that both programs have, and that differs.
#[derive(Clone)]
struct Pair {
    ours: Piece,
    theirs: Piece,
}

impl Pair {
    fn span(&self) -> Span {
        Span::of(&self.ours.name, self.ours.range.clone(), self.theirs.range.clone())
    }
}

struct Comparison<'a> {
    published: Side<'a>,
    rebuilt: Side<'a>,
    causes: Vec<Cause>,
    /// Differences that follow, if there is a cause that moves things.
    follows: Vec<Span>,
    unexplained: Vec<Span>,
}

impl<'a> Comparison<'a> {
    fn run(&mut self) {
        let (pairs, lone) = self.pairs();
        self.gaps();
        self.causes.extend(toolmarks::causes(self.published.view, self.rebuilt.view));
        let other_tools = [CauseKind::LinkerIdentity, CauseKind::CompilerIdentity, CauseKind::SysrootFloor];
        let has_other_tools = other_tools.iter().any(|kind| self.has(*kind));
        let texts = self.texts(&pairs);
        self.causes.extend(texts.causes());
        self.lone(lone, has_other_tools);
        let code_moved = self.code(&pairs, has_other_tools);
        let is_other_code = has_other_tools || self.has(CauseKind::Codegen);
        for pair in &pairs {
            if matches!(pair.ours.role, Role::Constants | Role::Other) {
                let moves = code_moved || self.has_cause();
                self.constants(pair, &texts, moves, is_other_code);
            }
        }
        self.numbers(&pairs);
        let moves = code_moved || self.has_cause();
        for pair in &pairs {
            match pair.ours.role {
                Role::Code | Role::Constants | Role::Other => {}
                Role::Symbols | Role::Debug => self.for_debuggers(pair, &texts, moves),
                Role::Layout | Role::Comment => self.follows.push(pair.span()),
            }
        }
        // What only follows needs something to follow from.
        if !self.has_cause() {
            self.unexplained.append(&mut self.follows);
        }
    }

    fn has(&self, kind: CauseKind) -> bool {
        self.causes.iter().any(|cause| cause.kind == kind)
    }

    /// Whether there is a cause from which other differences may follow.
    fn has_cause(&self) -> bool {
        self.causes.iter().any(|cause| !is_field(cause.kind))
    }

    /// Pieces that both have and that differ, and those that only one has (true: the published one).
    fn pairs(&self) -> (Vec<Pair>, Vec<(bool, Piece)>) {
        let (mut ours, mut theirs) = (by_name(self.published.view), by_name(self.rebuilt.view));
        let (mut pairs, mut lone) = (Vec::new(), Vec::new());
        for (key, piece) in std::mem::take(&mut ours) {
            match theirs.remove(&key) {
                Some(other) if self.published.content(&piece) == self.rebuilt.content(&other) => {}
                Some(other) => pairs.push(Pair { ours: piece, theirs: other }),
                None => lone.push((true, piece)),
            }
        }
        lone.extend(theirs.into_values().map(|piece| (false, piece)));
        let is_signature = |piece: &Piece| piece.name == CERTIFICATES; // a cause of its own already
        pairs.retain(|pair| !is_signature(&pair.ours));
        lone.retain(|(_, piece)| !is_signature(piece) && !is_padding(piece, self));
        pairs.sort_by_key(|pair| pair.ours.range.start);
        (pairs, lone)
    }

    /// What lies between the pieces: padding, or something that has no place there.
    fn gaps(&mut self) {
        let (ours, theirs) = (between(&self.published), between(&self.rebuilt));
        // Where everything lies alike, padding is the same too.
        let is_laid_out_alike = ours == theirs;
        let bytes = |side: &Side<'_>, gaps: &[Range<usize>]| {
            let bytes = gaps.iter().flat_map(|gap| &side.bytes[gap.clone()]).copied();
            bytes.filter(|byte| is_laid_out_alike || !PADDING.contains(byte)).collect::<Vec<_>>()
        };
        if bytes(&self.published, &ours) != bytes(&self.rebuilt, &theirs) {
            let told = |side: &Side<'_>, gaps: Vec<Range<usize>>| {
                let is_told =
                    |gap: &Range<usize>| side.bytes[gap.clone()].iter().any(|byte| !PADDING.contains(byte));
                gaps.into_iter().find(is_told).unwrap_or(0..0)
            };
            let span = Span::of("between sections", told(&self.published, ours), told(&self.rebuilt, theirs));
            self.unexplained.push(span);
        }
    }

    /// What may hold texts of those that differ.
    fn texts(&self, pairs: &[Pair]) -> Texts<'a> {
        let has_texts = |pair: &&Pair| !matches!(pair.ours.role, Role::Code | Role::Comment | Role::Layout);
        let content = |pair: &Pair| Counterparts {
            section: pair.ours.name.clone(),
            published: self.published.content(&pair.ours),
            published_offset: pair.ours.range.start,
            rebuilt: self.rebuilt.content(&pair.theirs),
            rebuilt_offset: pair.theirs.range.start,
        };
        Texts::of(pairs.iter().filter(has_texts).map(content).collect())
    }

    fn lone(&mut self, lone: Vec<(bool, Piece)>, has_other_tools: bool) {
        let span = |(is_ours, piece): &(bool, Piece)| match is_ours {
            true => Span::of(&piece.name, piece.range.clone(), 0..0),
            false => Span::of(&piece.name, 0..0, piece.range.clone()),
        };
        let is_stripped = |(_, piece): &(bool, Piece)| matches!(piece.role, Role::Symbols | Role::Debug);
        let (stripped, other): (Vec<_>, Vec<_>) = lone.into_iter().partition(is_stripped);
        if let Some((is_ours, _)) = stripped.first() {
            let names: BTreeSet<_> = stripped.iter().map(|(_, piece)| piece.name.as_str()).collect();
            let names = names.into_iter().take(8).collect::<Vec<_>>().join(", ");
            let who = if *is_ours { "the published file" } else { "the file built again" };
            let detail = format!("only {who} has {names}");
            self.causes.push(Cause::new(CauseKind::Stripped, detail).at(stripped.iter().map(span)));
        }
        let spans = other.iter().map(span);
        // Other tools make other sections.
        if has_other_tools { self.follows.extend(spans) } else { self.unexplained.extend(spans) }
    }

    /// Code, function by function. Gives whether some of it moved.
    fn code(&mut self, pairs: &[Pair], has_other_tools: bool) -> bool {
        let code: Vec<&Pair> = pairs.iter().filter(|pair| pair.ours.role == Role::Code).collect();
        if code.is_empty() {
            return false;
        }
        let machine = Machine::of(self.published.view);
        let (ours, theirs) = (functions::of(self.published.view), functions::of(self.rebuilt.view));
        let prints = |side: &Side<'_>, functions: &[Range<usize>]| {
            let print = |range: &Range<usize>| code::fingerprint(machine, &side.bytes[range.clone()]);
            functions.iter().map(print).collect::<Vec<_>>()
        };
        let (our_prints, their_prints) = (prints(&self.published, &ours), prints(&self.rebuilt, &theirs));
        let spans = code.iter().map(|pair| pair.span());
        if our_prints == their_prints {
            self.causes.extend(self.times_in_code(machine, &ours, &theirs));
            self.follows.extend(spans);
            let moved = ours.iter().zip(&theirs).any(|(a, b)| a.len() != b.len() || a.start != b.start);
            return moved;
        }
        let only_ours = without(&our_prints, &their_prints);
        let only_theirs = without(&their_prints, &our_prints);
        let select = |functions: &[Range<usize>], only: &[usize]| {
            only.iter().map(|index| functions[*index].clone()).collect::<Vec<_>>()
        };
        let (only_ours, only_theirs) = (select(&ours, &only_ours), select(&theirs, &only_theirs));
        if has_other_tools {
            self.follows.extend(spans);
            return true;
        }
        let is_arranged = only_ours.is_empty() && only_theirs.is_empty()
            || code::kinds(machine, self.published.bytes, &only_ours)
                == code::kinds(machine, self.rebuilt.bytes, &only_theirs);
        let leaks = self.has_cause();
        if is_arranged && leaks {
            self.follows.extend(spans); // names that changed sort otherwise
        } else if is_arranged {
            let detail = if only_ours.is_empty() {
                format!("all {} functions are there, in another order", ours.len())
            } else {
                format!(
                    "{} of {} functions have the same instructions in another order",
                    only_ours.len(),
                    ours.len()
                )
            };
            self.causes.push(Cause::new(CauseKind::OrderOnly, detail).at(spans));
        } else {
            let detail = format!(
                "{} of {} functions have no equal, built again {} of {}",
                only_ours.len(),
                ours.len(),
                only_theirs.len(),
                theirs.len()
            );
            let span = |range: &Range<usize>| Span::of(self.section(range), range.clone(), 0..0);
            self.causes.push(Cause::new(CauseKind::Codegen, detail).at(only_ours.iter().map(span)));
        }
        true
    }

    /// The section of a published function.
    fn section(&self, function: &Range<usize>) -> &str {
        let mut code = self.published.view.code();
        code.find(|piece| piece.range.contains(&function.start)).map_or("code", |piece| &piece.name)
    }

    /// Where code differs by numbers alone and nothing else gives a reason, the numbers are it.
    fn numbers(&mut self, pairs: &[Pair]) {
        let code = pairs.iter().filter(|pair| pair.ours.role == Role::Code);
        let spans: Vec<_> = code.map(Pair::span).collect();
        if spans.is_empty() || self.has_cause() || !self.unexplained.is_empty() {
            return;
        }
        let machine = Machine::of(self.published.view);
        let numbers = |side: &Side<'_>| {
            let functions = functions::of(side.view);
            functions
                .iter()
                .flat_map(|range| code::numbers(machine, &side.bytes[range.clone()]))
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (numbers(&self.published), numbers(&self.rebuilt));
        if let Some((one, other)) = ours.iter().zip(&theirs).find(|(one, other)| one != other) {
            let detail =
                format!("the functions are the same but for numbers in them: {one}, built again {other}");
            self.causes.push(Cause::new(CauseKind::Codegen, detail).at(spans));
        }
    }

    /// Numbers in otherwise equal code that are times.
    fn times_in_code(
        &self,
        machine: Machine,
        ours: &[Range<usize>],
        theirs: &[Range<usize>],
    ) -> Option<Cause> {
        let (mut details, mut spans) = (BTreeSet::new(), Vec::new());
        for (one, other) in ours.iter().zip(theirs) {
            let (a, b) = (&self.published.bytes[one.clone()], &self.rebuilt.bytes[other.clone()]);
            if a == b {
                continue;
            }
            for (one_number, other_number) in
                code::numbers(machine, a).into_iter().zip(code::numbers(machine, b))
            {
                if one_number != other_number
                    && dates::is_plausible(one_number)
                    && dates::is_plausible(other_number)
                {
                    details.insert(format!("the number {one_number}, built again {other_number}"));
                    spans.push(Span::of(self.section(one), one.clone(), other.clone()));
                }
            }
        }
        let detail = details.into_iter().take(4).collect::<Vec<_>>().join("; ");
        (!spans.is_empty()).then(|| Cause::new(CauseKind::DateString, format!("in code: {detail}")).at(spans))
    }

    fn constants(&mut self, pair: &Pair, texts: &Texts<'_>, moves: bool, is_other_code: bool) {
        let ours = texts.undone(self.published.content(&pair.ours), true);
        let theirs = texts.undone(self.rebuilt.content(&pair.theirs), false);
        let (ours, theirs) = (self.without_addresses(ours, true), self.without_addresses(theirs, false));
        if ours == theirs || is_other_code {
            return self.follows.push(pair.span());
        }
        if let Some(cause) = self.times_in_constants(pair, &ours, &theirs) {
            return self.causes.push(cause);
        }
        let same = order::same_bytes(&ours, &theirs);
        let small = ours.len().max(theirs.len()) < FEW;
        if moves && (same || small || order::found_again(&ours, &theirs) >= MOSTLY) {
            return self.follows.push(pair.span());
        }
        if same && order::found_again(&ours, &theirs) > 0.5 {
            let detail = format!("{} has the same bytes in another order", pair.ours.name);
            return self.causes.push(Cause::new(CauseKind::OrderOnly, detail).at([pair.span()]));
        }
        self.unexplained.push(pair.span());
    }

    /// Words of 4 or 8 bytes that are times, where nothing else differs.
    fn times_in_constants(&self, pair: &Pair, ours: &[u8], theirs: &[u8]) -> Option<Cause> {
        if ours.len() != theirs.len() || ours.len() != pair.ours.range.len() {
            return None;
        }
        let number = |word: &[u8]| word.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let (mut details, mut spans) = (BTreeSet::new(), Vec::new());
        for at in (0..ours.len()).step_by(8) {
            let end = (at + 8).min(ours.len());
            if ours[at..end] == theirs[at..end] {
                continue;
            }
            let is_text = |range: Range<usize>| ours[range].iter().all(|byte| matches!(byte, b' '..=b'~'));
            let are_times = |range: Range<usize>| {
                if is_text(range.clone()) {
                    return ours[range.clone()] == theirs[range];
                }
                let (one, other) = (number(&ours[range.clone()]), number(&theirs[range]));
                one == other || dates::is_plausible(one) && dates::is_plausible(other)
            };
            let middle = (at + 4).min(end);
            if !(are_times(at..end) || are_times(at..middle) && are_times(middle..end)) {
                return None;
            }
            details.insert(format!(
                "the number {}, built again {}",
                number(&ours[at..end]),
                number(&theirs[at..end])
            ));
            let start = pair.ours.range.start + at;
            let other = pair.theirs.range.start + at;
            spans.push(Span::of(&pair.ours.name, start..start + (end - at), other..other + (end - at)));
        }
        let detail = details.into_iter().take(4).collect::<Vec<_>>().join("; ");
        (!spans.is_empty()).then(|| Cause::new(CauseKind::DateString, detail).at(spans))
    }

    /// A PE's addresses stand in its data as they are; an ELF's are in its relocations.
    fn without_addresses(&self, mut bytes: Vec<u8>, is_ours: bool) -> Vec<u8> {
        let side = if is_ours { &self.published } else { &self.rebuilt };
        let Some(pe) = side.view.pe() else { return bytes };
        let image = pe.image_base..pe.image_base.saturating_add(pe.size_of_image.into());
        for word in bytes.chunks_exact_mut(8) {
            let address = word.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            if image.contains(&address) {
                word.fill(0);
            }
        }
        bytes
    }

    /// Symbols and debug sections: nothing that runs.
    fn for_debuggers(&mut self, pair: &Pair, texts: &Texts<'_>, moves: bool) {
        let ours = texts.undone(self.published.content(&pair.ours), true);
        let theirs = texts.undone(self.rebuilt.content(&pair.theirs), false);
        if moves || ours == theirs {
            return self.follows.push(pair.span());
        }
        let kind = CauseKind::DebugInfo;
        match self.causes.iter_mut().find(|cause| cause.kind == kind) {
            Some(cause) => *cause = cause.clone().at([pair.span()]),
            None => {
                let detail = format!("what runs is the same, {} is not", pair.ours.name);
                self.causes.push(Cause::new(kind, detail).at([pair.span()]));
            }
        }
    }
}

/// The parts of a file that no piece covers.
fn between(side: &Side<'_>) -> Vec<Range<usize>> {
    let (mut gaps, mut covered) = (Vec::new(), 0);
    for piece in &side.view.pieces {
        if piece.range.start > covered {
            gaps.push(covered..piece.range.start);
        }
        covered = covered.max(piece.range.end);
    }
    gaps.push(covered..side.bytes.len());
    gaps
}

/// Pieces by name and how many of that name came before.
fn by_name(view: &View<'_>) -> BTreeMap<(String, usize), Piece> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pieces = BTreeMap::new();
    for piece in &view.pieces {
        let count = counts.entry(&piece.name).or_default();
        pieces.insert((piece.name.clone(), *count), piece.clone());
        *count += 1;
    }
    pieces
}

/// Whether a piece is a few zeros behind the end, as signing puts there.
fn is_padding(piece: &Piece, comparison: &Comparison<'_>) -> bool {
    let content = |side: &Side<'_>| {
        side.bytes.get(piece.range.clone()).is_some_and(|bytes| bytes.iter().all(|b| *b == 0))
    };
    piece.range.len() < 16 && (content(&comparison.published) || content(&comparison.rebuilt))
}

fn is_field(kind: CauseKind) -> bool {
    kind.is_normal() || matches!(kind, CauseKind::PeTimestamp | CauseKind::BuildIdOnly)
}

/// Indexes of what `ones` have more often than `others`.
fn without(ones: &[u64], others: &[u64]) -> Vec<usize> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for other in others {
        *counts.entry(*other).or_default() += 1;
    }
    let mut only = Vec::new();
    for (index, one) in ones.iter().enumerate() {
        match counts.get_mut(one).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => only.push(index),
        }
    }
    only
}
