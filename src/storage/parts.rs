//! Decides which bytes of a growing recording form which part of its multipart upload. Pure.
//!
//! The object is `head ++ media`. The media grows while the recording runs. The head (everything in front of
//! the media in the file) is known only at the end, yet it belongs into part 1, and S3 accepts no part
//! smaller than [`MIN_PART_SIZE`] except the last. So the first `KEPT_BACK` media bytes wait for the head,
//! and parts 2, 3, 4 ... are cut from the media after them as soon as it is there.
//!
//! Contract: parts joined by number are `head ++ media`, with no byte twice and none missing. Every part but
//! the last has at least [`MIN_PART_SIZE`] bytes, or exactly as many as the store insists on. The cuts depend
//! only on how much media there is, never on how it arrived, so a second planner after a crash cuts the same
//! parts.

use std::ops::Range;

/// S3's least size of a part that is not the last (Amazon S3 User Guide, "multipart upload limits").
pub const MIN_PART_SIZE: u64 = 5 * MIB;
/// S3's greatest part number (same place).
pub const MAX_PARTS: u32 = 10_000;
/// Media bytes that wait for the head. With them part 1 is large enough whatever the head's size.
const KEPT_BACK: u64 = MIN_PART_SIZE;

const MIB: u64 = 1024 * 1024;
/// The first part that is cut from the media while it grows.
const FIRST_CUT: u32 = 2;
/// How fast growing parts grow: part `n` has 5 MiB and `17 n²` bytes, so that 10,000 parts hold S3's largest
/// object, 5 TiB. After an hour at 3 Mbit/s parts have 6 MB, after a day 50 MB: few enough to be held in
/// memory, and to leave little to upload after the end.
const GROWTH: u64 = 17;

/// How a store wants an object to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cutting {
    /// Parts begin small and grow with their number: most stores.
    #[default]
    Growing,
    /// Every part but the last has `part` bytes (Cloudflare R2). Part 1 has room for a head of `head` bytes.
    /// A shorter head is filled up.
    Equal { part: u64, head: u64 },
}

impl Cutting {
    /// Returns how many media bytes wait for the head. With them part 1 has its required size.
    pub fn kept_back(self) -> u64 {
        match self {
            Self::Growing => KEPT_BACK,
            Self::Equal { part, head } => part.saturating_sub(head),
        }
    }

    fn part_size(self, number: u32) -> u64 {
        match self {
            Self::Growing => part_size(number),
            Self::Equal { part, .. } => part,
        }
    }

    /// Returns the length that the head must have; `None` if any length will do.
    pub fn head_len(self) -> Option<u64> {
        match self {
            Self::Growing => None,
            Self::Equal { part, .. } => Some(part - self.kept_back()),
        }
    }
}

/// A range of the media (not of the spool, nor of the object), in bytes.
pub type SpoolRange = Range<u64>;

/// A part that consists of media alone and is ready to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPart {
    pub number: u32,
    pub media: SpoolRange,
}

/// The parts that are left to upload when the media is complete and the head is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinalParts {
    /// No part was cut: the whole object, with its head and this media, is small enough for a single PUT.
    SinglePut { media: SpoolRange },
    /// Part 1 is the head and this media. `last` is the media that is not cut yet, if there is any.
    Multipart { last: Option<PlannedPart>, first_media: SpoolRange },
}

/// Follows the growing media and cuts it into parts.
#[derive(Clone, Debug)]
pub struct PartPlanner {
    cutting: Cutting,
    /// Media bytes that are known to be final.
    available: u64,
    /// Media bytes before this one are kept back or belong to a part already.
    cut: u64,
    /// Number of the next part to be cut.
    next: u32,
}

impl PartPlanner {
    pub fn new(cutting: Cutting) -> Self {
        Self { cutting, available: 0, cut: cutting.kept_back(), next: FIRST_CUT }
    }

    /// Adds `len` final media bytes; returns the parts that are complete now, in order.
    pub fn add(&mut self, len: u64) -> Vec<PlannedPart> {
        self.available += len;
        std::iter::from_fn(|| self.cut_next()).collect()
    }

    /// Returns the parts that are left when the media is complete.
    pub fn finish(self) -> FinalParts {
        if self.next == FIRST_CUT {
            return FinalParts::SinglePut { media: 0..self.available };
        }
        let rest = PlannedPart { number: self.next, media: self.cut..self.available };
        let first_media = 0..self.cutting.kept_back();
        FinalParts::Multipart { last: (!rest.media.is_empty()).then_some(rest), first_media }
    }

    fn cut_next(&mut self) -> Option<PlannedPart> {
        let end = self.cut + self.cutting.part_size(self.next);
        // The last number stays free for the remaining media. It is reached beyond 5 TiB, which no object
        // exceeds.
        if end > self.available || self.next == MAX_PARTS {
            return None;
        }
        let part = PlannedPart { number: self.next, media: self.cut..end };
        self.cut = end;
        self.next += 1;
        Some(part)
    }
}

fn part_size(number: u32) -> u64 {
    MIN_PART_SIZE + GROWTH * u64::from(number) * u64::from(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIB: u64 = 1024 * 1024 * MIB;
    const GIB: u64 = 1024 * MIB;
    /// S3's greatest size of a part.
    const MAX_PART_SIZE: u64 = 5 * GIB;

    /// Returns the parts that are cut while the media arrives in these chunks, and the final parts.
    fn plan(chunks: &[u64]) -> (Vec<PlannedPart>, FinalParts) {
        let mut planner = PartPlanner::new(Cutting::Growing);
        let cut = chunks.iter().flat_map(|&len| planner.add(len)).collect();
        (cut, planner.finish())
    }

    fn one(number: u32, media: SpoolRange) -> PlannedPart {
        PlannedPart { number, media }
    }

    #[test]
    fn a_recording_without_media_is_a_single_put() {
        let (cut, rest) = plan(&[]);
        assert_eq!((cut, rest), (vec![], FinalParts::SinglePut { media: 0..0 }));
    }

    #[test]
    fn nothing_is_cut_before_the_kept_bytes_and_a_whole_part_are_there() {
        let whole = KEPT_BACK + part_size(2);
        let (cut, rest) = plan(&[whole - 1]);
        assert_eq!(cut, []);
        assert_eq!(rest, FinalParts::SinglePut { media: 0..whole - 1 });

        let (cut, rest) = plan(&[whole - 1, 1]);
        assert_eq!(cut, [one(2, KEPT_BACK..whole)]);
        let first_media = 0..KEPT_BACK;
        assert_eq!(rest, FinalParts::Multipart { last: None, first_media });
    }

    #[test]
    fn the_last_part_may_be_short() {
        let whole = KEPT_BACK + part_size(2);
        let (_, rest) = plan(&[whole + 1]);
        let last = Some(one(3, whole..whole + 1));
        assert_eq!(rest, FinalParts::Multipart { last, first_media: 0..KEPT_BACK });
    }

    #[test]
    fn ten_thousand_parts_hold_the_largest_object_of_s3() {
        let sum: u64 = KEPT_BACK + (FIRST_CUT..=MAX_PARTS).map(part_size).sum::<u64>();
        assert!(sum >= 5 * TIB, "{sum}");
        assert!(part_size(MAX_PARTS) < MAX_PART_SIZE);
    }

    #[test]
    fn no_part_number_is_beyond_what_s3_takes() {
        let (cut, rest) = plan(&[6 * TIB]);
        assert_eq!(cut.last().map(|p| p.number), Some(MAX_PARTS - 1));
        let FinalParts::Multipart { last: Some(last), .. } = rest else {
            panic!("{rest:?}");
        };
        assert_eq!((last.number, last.media.end), (MAX_PARTS, 6 * TIB));
    }

    #[test]
    fn a_day_of_recording_is_cut_into_parts_that_fit_in_memory() {
        let day_at_3_mbit_per_s = 86_400 * 3_000_000 / 8;
        let (cut, _) = plan(&[day_at_3_mbit_per_s]);
        let largest = cut.iter().map(|p| p.media.end - p.media.start).max();
        assert!(largest < Some(64 * MIB), "{largest:?}");
    }

    proptest! {
        #[test]
        fn the_parts_joined_by_number_are_the_object(
            chunks in prop::collection::vec(0..9 * MIB, 0..40),
            head in 0..3 * MIB,
        ) {
            let total: u64 = chunks.iter().sum();
            let (mut parts, rest) = plan(&chunks);
            match rest {
                FinalParts::SinglePut { media } => {
                    prop_assert!(parts.is_empty());
                    prop_assert_eq!(media, 0..total);
                }
                FinalParts::Multipart { last, first_media } => {
                    parts.insert(0, one(1, first_media));
                    parts.extend(last);
                    let mut end = 0;
                    for (part, number) in parts.iter().zip(1..) {
                        prop_assert_eq!(part.number, number);
                        prop_assert_eq!(part.media.start, end);
                        end = part.media.end;
                    }
                    prop_assert_eq!(end, total);
                    for part in &parts[..parts.len() - 1] {
                        let head = if part.number == 1 { head } else { 0 };
                        prop_assert!(head + part.media.end - part.media.start >= MIN_PART_SIZE);
                    }
                }
            }
        }

        #[test]
        fn the_cuts_do_not_depend_on_how_the_media_arrived(
            chunks in prop::collection::vec(0..9 * MIB, 0..40),
        ) {
            let total = chunks.iter().sum();
            prop_assert_eq!(plan(&chunks), plan(&[total]));
        }
    }
}
