//! Decides which bytes of the finished file go into which part. Pure.
//!
//! Contract: the parts, joined by number, are the head and then all media. Parts that were cut while the
//! media grew stay the same, unless the head does not fit in front of them. Then all parts are cut anew.

use std::ops::Range;

use bytes::Bytes;

use crate::storage::parts::{FinalParts, PartPlanner, PlannedPart};
use crate::storage::{Cutting, MAX_PARTS};

/// A range of the media, with other bytes in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub front: Bytes,
    pub media: Range<u64>,
}

/// How a file is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// In one request.
    Single(Piece),
    /// In parts, by number.
    Parts(Vec<(u32, Piece)>),
}

impl Piece {
    pub fn len(&self) -> u64 {
        self.front.len() as u64 + (self.media.end - self.media.start)
    }
}

impl From<PlannedPart> for Piece {
    fn from(part: PlannedPart) -> Self {
        Self { front: Bytes::new(), media: part.media }
    }
}

impl Plan {
    /// `head` returns the head. If it is given a length, it returns a head of this length, or `None` if that
    /// is too short.
    pub fn new(cutting: Cutting, media: u64, head: impl Fn(Option<u64>) -> Option<Bytes>) -> Self {
        let mut planner = PartPlanner::new(cutting);
        let cut = planner.add(media);
        match planner.finish() {
            FinalParts::SinglePut { media } => {
                Self::Single(Piece { front: head(None).unwrap_or_default(), media })
            }
            FinalParts::Multipart { last, first_media } => match (head(cutting.head_len()), cutting) {
                (None, Cutting::Equal { part, .. }) => {
                    Self::Parts(cut_anew(head(None).unwrap_or_default(), media, part))
                }
                (front, _) => {
                    let first = Piece { front: front.unwrap_or_default(), media: first_media };
                    let others = cut.into_iter().chain(last).map(|part| (part.number, part.into()));
                    Self::Parts(std::iter::once((1, first)).chain(others).collect())
                }
            },
        }
    }

    /// Returns the pieces in the order of the file.
    pub fn pieces(&self) -> Vec<&Piece> {
        match self {
            Self::Single(piece) => vec![piece],
            Self::Parts(parts) => parts.iter().map(|(_, piece)| piece).collect(),
        }
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Single(piece) => piece.len(),
            Self::Parts(parts) => parts.iter().map(|(_, piece)| piece.len()).sum(),
        }
    }
}

/// Cuts a file whose head is longer than expected into equal parts.
fn cut_anew(head: Bytes, media: u64, part: u64) -> Vec<(u32, Piece)> {
    let head_len = head.len() as u64;
    let total = head_len + media;
    (1..=MAX_PARTS)
        .map(|number| (number, u64::from(number - 1) * part))
        .take_while(|(_, start)| *start < total)
        .map(|(number, start)| {
            // The part with the last number gets all the rest. The store refuses it if that is too much.
            let end = if number == MAX_PARTS { total } else { total.min(start + part) };
            let in_head = |at: u64| usize::try_from(at.min(head_len)).unwrap_or(usize::MAX);
            let front = head.slice(in_head(start)..in_head(end));
            (number, Piece { front, media: start.saturating_sub(head_len)..end.saturating_sub(head_len) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Returns a head of this length, padded to the requested length.
    fn head_of(len: u64) -> impl Fn(Option<u64>) -> Option<Bytes> {
        move |wanted| match wanted {
            None => Some(vec![1; len as usize].into()),
            Some(wanted) if wanted >= len => Some(vec![1; wanted as usize].into()),
            Some(_) => None,
        }
    }

    fn lengths(plan: &Plan) -> Vec<u64> {
        match plan {
            Plan::Single(piece) => vec![piece.len()],
            Plan::Parts(parts) => parts.iter().map(|(_, piece)| piece.len()).collect(),
        }
    }

    #[test]
    fn a_short_recording_goes_in_one_step_without_filling() {
        let cutting = Cutting::Equal { part: 16 * MIB, head: 4 * MIB };
        assert_eq!(lengths(&Plan::new(cutting, 20 * MIB, head_of(MIB))), [21 * MIB]);
    }

    #[test]
    fn a_head_that_is_shorter_than_its_room_is_filled_up() {
        let cutting = Cutting::Equal { part: 16 * MIB, head: 4 * MIB };
        let plan = Plan::new(cutting, 50 * MIB, head_of(MIB));
        assert_eq!(lengths(&plan), [16 * MIB, 16 * MIB, 16 * MIB, 6 * MIB]);
    }

    #[test]
    fn a_head_without_room_makes_the_file_be_cut_anew() {
        let cutting = Cutting::Equal { part: 16 * MIB, head: 4 * MIB };
        let plan = Plan::new(cutting, 50 * MIB, head_of(20 * MIB));
        assert_eq!(lengths(&plan), [16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB, 6 * MIB]);
    }

    proptest! {
        #[test]
        fn the_parts_joined_by_number_are_the_head_and_all_media(
            media in 0..200 * MIB,
            head in 1..30 * MIB,
            part in 5..40_u64,
            room in 0..45_u64,
            equal: bool,
        ) {
            let cutting = match equal {
                true => Cutting::Equal { part: part * MIB, head: room.min(part) * MIB },
                false => Cutting::Growing,
            };
            let plan = Plan::new(cutting, media, head_of(head));
            let parts = match plan.clone() {
                Plan::Single(piece) => vec![(1, piece)],
                Plan::Parts(parts) => parts,
            };
            let (mut front, mut end) = (0, 0);
            for ((number, piece), expected) in parts.iter().zip(1..) {
                prop_assert_eq!(*number, expected);
                prop_assert!(piece.front.is_empty() || end == 0, "the head stands in front of all media");
                prop_assert_eq!(piece.media.start, end);
                (front, end) = (front + piece.front.len() as u64, piece.media.end);
            }
            prop_assert!(front >= head);
            prop_assert_eq!(end, media);
            prop_assert_eq!(plan.len(), front + media);
            if let (Plan::Parts(parts), Cutting::Equal { part, .. }) = (&plan, cutting) {
                prop_assert!(parts[..parts.len() - 1].iter().all(|(_, piece)| piece.len() == part));
            }
        }
    }
}
