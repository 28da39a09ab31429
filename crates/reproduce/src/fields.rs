//! Fields that say when, from what or by whom a program was made, and nothing of what it does.

use std::ops::Range;

use crate::view::View;
use crate::{Cause, CauseKind, Span};

/// Offset of `TimeDateStamp` from the PE signature (PE/COFF, "COFF File Header").
const TIMESTAMP: usize = 8;
/// Offset of `CheckSum` from the PE signature: 24 bytes of headers and 64 of the optional header.
const CHECKSUM: usize = 88;
const EXPORT_DIRECTORY: usize = 0;
const CERTIFICATE_DIRECTORY: usize = 4;
const DEBUG_DIRECTORY: usize = 6;
/// Size of one entry of the debug directory, in bytes.
const DEBUG_ENTRY: usize = 28;
const CODEVIEW: u32 = 2;
/// `Magic` of an optional header with 64-bit sizes.
const PE32_PLUS: u16 = 0x20b;

/// One field's kind, place and name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    kind: CauseKind,
    name: &'static str,
    range: Range<usize>,
}

/// Two programs with those fields zeroed that differ, and the causes that this takes away.
pub(crate) struct Blanked {
    pub(crate) published: Vec<u8>,
    pub(crate) rebuilt: Vec<u8>,
    pub(crate) causes: Vec<Cause>,
    /// A build-id is computed over everything: where something else differs, it only follows.
    pub(crate) build_id: Option<Cause>,
}

/// Takes the fields out on both sides.
pub(crate) fn blank(published: &View<'_>, rebuilt: &View<'_>) -> Blanked {
    let (ours, theirs) = (fields(published), fields(rebuilt));
    let mut blanked = Blanked {
        published: zeroed(published.bytes, &ours),
        rebuilt: zeroed(rebuilt.bytes, &theirs),
        causes: Vec::new(),
        build_id: None,
    };
    let kinds = [
        CauseKind::Provenance,
        CauseKind::Signature,
        CauseKind::PeTimestamp,
        CauseKind::PeChecksum,
        CauseKind::BuildIdOnly,
    ];
    for kind in kinds {
        let of_kind =
            |fields: &[Field]| fields.iter().filter(|field| field.kind == kind).cloned().collect::<Vec<_>>();
        let cause = differing(kind, (published, &of_kind(&ours)), (rebuilt, &of_kind(&theirs)));
        match cause {
            Some(cause) if kind == CauseKind::BuildIdOnly => blanked.build_id = Some(cause),
            Some(cause) => blanked.causes.push(cause),
            None => {}
        }
    }
    blanked
}

fn differing(kind: CauseKind, ours: (&View<'_>, &[Field]), theirs: (&View<'_>, &[Field])) -> Option<Cause> {
    let value = |(view, fields): (&View<'_>, &[Field]), index: usize| {
        fields.get(index).map(|field| view.bytes[field.range.clone()].to_vec())
    };
    let (mut details, mut spans) = (Vec::new(), Vec::new());
    for index in 0..ours.1.len().max(theirs.1.len()) {
        let (one, other) = (value(ours, index), value(theirs, index));
        if one == other {
            continue;
        }
        let name = ours.1.get(index).or(theirs.1.get(index)).map_or("", |field| field.name);
        if details.len() < 4 {
            let (one, other) = (told(kind, one.as_deref()), told(kind, other.as_deref()));
            details.push(format!("{name} is {one}, built again {other}"));
        }
        let range = |(view, fields): (&View<'_>, &[Field])| {
            fields.get(index).map_or(view.bytes.len()..view.bytes.len(), |field| field.range.clone())
        };
        spans.push(Span::of(name, range(ours), range(theirs)));
    }
    (!spans.is_empty()).then(|| Cause::new(kind, details.join("; ")).at(spans))
}

/// A field's value for people.
fn told(kind: CauseKind, value: Option<&[u8]>) -> String {
    let Some(value) = value else { return "not there".to_owned() };
    if kind == CauseKind::Provenance {
        return match provenance::decode(value) {
            Ok(Some(said)) => format!("commit {:.12}, build key {}", said.commit, said.build),
            Ok(None) => "empty".to_owned(),
            Err(error) => error.to_string(),
        };
    }
    match <[u8; 4]>::try_from(value) {
        Ok(word) if kind == CauseKind::PeTimestamp => u32::from_le_bytes(word).to_string(),
        Ok(word) => format!("{:#010x}", u32::from_le_bytes(word)),
        Err(_) if value.len() <= 40 => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => format!("{} bytes", value.len()),
    }
}

fn fields(view: &View<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut add = |kind, name, start: usize, size: usize| {
        let range = start..start.saturating_add(size);
        if range.end <= view.bytes.len() {
            fields.push(Field { kind, name, range });
        }
    };
    for piece in &view.pieces {
        if piece.name == provenance::ELF_SECTION || piece.name == provenance::PE_SECTION {
            for offset in provenance::offsets(view.content(piece)) {
                add(
                    CauseKind::Provenance,
                    "the provenance slot",
                    piece.range.start + offset,
                    provenance::SLOT_SIZE,
                );
            }
        }
        // Behind the note's header and its owner, `GNU` (gABI, "Note Section").
        if piece.name == ".note.gnu.build-id" && piece.range.len() > 16 {
            add(CauseKind::BuildIdOnly, "the build-id", piece.range.start + 16, piece.range.len() - 16);
        }
    }
    let Some(pe) = view.pe() else { return fields };
    let header = pe.header_offset as usize;
    add(CauseKind::PeTimestamp, "TimeDateStamp of the file header", header + TIMESTAMP, 4);
    add(CauseKind::PeChecksum, "CheckSum", header + CHECKSUM, 4);
    let directory = |index: usize| {
        let directory = pe.directory(index)?;
        usize::try_from(pe.file_offset(directory.address)?).ok()
    };
    if let Some(start) = directory(EXPORT_DIRECTORY) {
        add(CauseKind::PeTimestamp, "TimeDateStamp of the export directory", start + 4, 4);
    }
    if let Some(start) = directory(DEBUG_DIRECTORY) {
        for (index, entry) in pe.debug.iter().enumerate() {
            let at = start + index * DEBUG_ENTRY;
            add(CauseKind::PeTimestamp, "TimeDateStamp of a debug directory entry", at + 4, 4);
            if entry.kind == CODEVIEW {
                // `RSDS`, then a GUID (16 bytes) and an age (4).
                add(CauseKind::BuildIdOnly, "the CodeView signature", entry.offset as usize + 4, 20);
            }
        }
    }
    // The one directory whose address is a file offset.
    let entries = header + 24 + if pe.magic == PE32_PLUS { 112 } else { 96 };
    add(CauseKind::Signature, "the certificate table's place", entries + CERTIFICATE_DIRECTORY * 8, 8);
    if let Some(table) = pe.directory(CERTIFICATE_DIRECTORY) {
        add(CauseKind::Signature, "the certificate table", table.address as usize, table.size as usize);
    }
    fields
}

fn zeroed(bytes: &[u8], fields: &[Field]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for field in fields {
        bytes[field.range.clone()].fill(0);
    }
    bytes
}
