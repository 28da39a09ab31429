//! Relocations into memory that is not writable.

use std::ops::Range;

use crate::constants::elf as constants;

use super::Image;
use super::dynamic::Tables;
use super::relocations::PART;
use crate::bytes::Survey;
use crate::facts::{Elf, ElfSegment, TextRelocation, TextRelocations};

/// How many are listed.
const LISTED: usize = 10;

/// What a loader writes for one relocation.
#[derive(Clone, Copy)]
pub(super) struct Write {
    pub(super) address: u64,
    /// Its index; 0 is none.
    pub(super) symbol: u64,
    /// `None` where it is packed.
    pub(super) kind: Option<u32>,
}

/// Looks for them among all relocations. Most are side by side in one writable segment, so the last one is remembered.
pub(super) struct Search<'a> {
    /// What is loaded, by address: where two overlap, the later one lies above.
    segments: Vec<&'a ElfSegment>,
    writable: Range<u64>,
    count: u64,
    first: Vec<(Write, &'a ElfSegment)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(segments: &'a [ElfSegment]) -> Search<'a> {
        let mut segments: Vec<_> =
            segments.iter().filter(|segment| segment.kind == constants::PT_LOAD).collect();
        segments.sort_by_key(|segment| segment.virtual_address);
        Search { segments, writable: 0..0, count: 0, first: Vec::new() }
    }

    pub(super) fn is_writable(&mut self, address: u64) -> bool {
        self.segment(address).is_some_and(|segment| segment.flags & constants::PF_W != 0)
    }

    pub(super) fn look(&mut self, write: Write) {
        // `R_…_NONE` writes nothing; it is 0 on every processor.
        if write.kind == Some(0) || self.writable.contains(&write.address) {
            return;
        }
        let Some(segment) = self.segment(write.address) else { return };
        if segment.flags & constants::PF_W != 0 {
            return;
        }
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push((write, segment));
        }
    }

    /// The segment that holds the address; remembers its range where it is writable.
    fn segment(&mut self, address: u64) -> Option<&'a ElfSegment> {
        let behind = self.segments.partition_point(|segment| segment.virtual_address <= address);
        let segment = self.segments[behind.checked_sub(1)?];
        let start = segment.virtual_address;
        let next = self.segments.get(behind).map_or(u64::MAX, |next| next.virtual_address);
        let range = start..start.saturating_add(segment.memory_size).min(next);
        if !range.contains(&address) {
            return None;
        }
        if segment.flags & constants::PF_W != 0 {
            self.writable = range;
        }
        Some(segment)
    }

    pub(super) fn told(
        self,
        image: Image<'_>,
        elf: &Elf,
        tables: &Tables<'_>,
        survey: &mut Survey,
    ) -> TextRelocations {
        let told = |(write, segment): (Write, &ElfSegment)| TextRelocation {
            address: write.address,
            file_offset: segment.offset.saturating_add(write.address - segment.virtual_address),
            kind: write.kind,
            symbol: (write.symbol != 0).then(|| name(image, elf, tables, write.symbol, survey)).flatten(),
        };
        TextRelocations { count: self.count, first: self.first.into_iter().map(told).collect() }
    }
}

fn name(image: Image<'_>, elf: &Elf, tables: &Tables<'_>, index: u64, survey: &mut Survey) -> Option<String> {
    let (start, _) = image.locate(elf, tables.symbols?)?;
    let size = if image.wide { 24 } else { 16 };
    let offset = start.checked_add(index.checked_mul(size)?)?;
    tables.text(image, survey, PART, image.bytes.u32(offset)?)
}
