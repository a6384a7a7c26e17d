//! Maps positions in the media to positions in the spool. Pure.
//!
//! Contract: media bytes are counted in the order in which their ranges were added, without gaps.

use std::ops::Range;

use crate::mp4::SpoolRange;

#[derive(Debug, Default)]
pub struct MediaMap {
    pieces: Vec<Piece>,
    len: u64,
}

/// Media that is contiguous in the spool.
#[derive(Debug, Clone, Copy)]
struct Piece {
    media_start: u64,
    spool: SpoolRange,
}

impl MediaMap {
    pub fn add(&mut self, spool: SpoolRange) {
        self.pieces.push(Piece { media_start: self.len, spool });
        self.len += spool.len;
    }

    /// Returns the bytes of media so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns the bytes of media in all pieces but the last `pieces`.
    pub fn len_without_last(&self, pieces: usize) -> u64 {
        let kept = self.pieces.len().saturating_sub(pieces);
        self.pieces.get(kept).map_or(self.len, |first| first.media_start)
    }

    /// Returns the ranges of the spool that hold these bytes of the media, in order. Bytes beyond the end of
    /// the media are left out.
    pub fn locate(&self, media: &Range<u64>) -> Vec<SpoolRange> {
        let first = self.pieces.partition_point(|piece| piece.media_start + piece.spool.len <= media.start);
        self.pieces[first..]
            .iter()
            .take_while(|piece| piece.media_start < media.end)
            .map(|piece| piece.cut(media))
            .filter(|place| place.len > 0)
            .collect()
    }
}

impl Piece {
    fn cut(&self, media: &Range<u64>) -> SpoolRange {
        let start = media.start.max(self.media_start);
        let end = media.end.min(self.media_start + self.spool.len);
        SpoolRange { offset: self.spool.offset + (start - self.media_start), len: end - start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(offset: u64, len: u64) -> SpoolRange {
        SpoolRange { offset, len }
    }

    fn map() -> MediaMap {
        let mut map = MediaMap::default();
        for spool in [range(100, 10), range(150, 5), range(200, 20)] {
            map.add(spool);
        }
        map
    }

    fn located(media: Range<u64>) -> Vec<(u64, u64)> {
        let found = map().locate(&media);
        found.iter().map(|range| (range.offset, range.len)).collect()
    }

    #[test]
    fn media_across_fragments_is_found_in_all_of_them() {
        assert_eq!(map().len(), 35);
        assert_eq!(located(0..35), [(100, 10), (150, 5), (200, 20)]);
        assert_eq!(located(8..17), [(108, 2), (150, 5), (200, 2)]);
    }

    #[test]
    fn the_borders_of_a_fragment_belong_to_one_side_only() {
        assert_eq!(located(0..10), [(100, 10)]);
        assert_eq!(located(10..15), [(150, 5)]);
        assert_eq!(located(15..16), [(200, 1)]);
    }

    #[test]
    fn the_last_pieces_can_be_left_out() {
        assert_eq!([0, 1, 2, 3, 9].map(|n| map().len_without_last(n)), [35, 15, 10, 0, 0]);
    }

    #[test]
    fn an_empty_range_and_one_beyond_the_end_have_no_place() {
        assert_eq!(located(3..3), []);
        assert_eq!(located(35..40), []);
    }
}
