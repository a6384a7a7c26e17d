//! Turns a picture upright: a copy of its planes, turned by a quarter, a half or three quarters. Only phones
//! that are turned while filming need this, so it is a step of its own, and scaling does not deal with it.

use crate::media::{I420, Plane, Rotation, Size};

/// Pixels are moved in squares of this side: eight of a row are one 64-bit word, on any processor.
const BLOCK: usize = 8;

#[derive(Clone, Copy)]
enum QuarterTurn {
    Clockwise,
    Anticlockwise,
}

/// A picture turned upright. Its memory is reused for the next one.
#[derive(Default)]
pub(super) struct Upright {
    size: Option<Size>,
    /// Tightly packed.
    planes: [Vec<u8>; 3],
}

/// Returns the size of a picture when it is upright.
pub(super) const fn upright(size: Size, rotation: Rotation) -> Size {
    match rotation {
        Rotation::Upright | Rotation::By180 => size,
        Rotation::By90 | Rotation::By270 => Size { width: size.height, height: size.width },
    }
}

impl Upright {
    /// Turns a picture that passed [`super::scale::check`].
    pub(super) fn rotate(&mut self, picture: &dyn I420, rotation: Rotation) -> &dyn I420 {
        let size = picture.size();
        self.size = Some(upright(size, rotation));
        let chroma = Size { width: size.width.div_ceil(2), height: size.height.div_ceil(2) };
        let sources = picture.planes().into_iter().zip([size, chroma, chroma]);
        for ((source, size), target) in sources.zip(&mut self.planes) {
            target.resize(size.width as usize * size.height as usize, 0);
            rotate_plane(source, size, rotation, target);
        }
        self
    }
}

impl I420 for Upright {
    fn size(&self) -> Size {
        self.size.unwrap_or(Size { width: 0, height: 0 })
    }

    fn planes(&self) -> [Plane<'_>; 3] {
        let width = self.size().width as usize;
        let [y, u, v] = &self.planes;
        [(y, width), (u, width.div_ceil(2)), (v, width.div_ceil(2))]
            .map(|(data, stride)| Plane { data, stride })
    }
}

fn rotate_plane(source: Plane<'_>, size: Size, rotation: Rotation, target: &mut [u8]) {
    let (width, height) = (size.width as usize, size.height as usize);
    match rotation {
        Rotation::Upright => {
            for (row, target) in rows(source, width, height).zip(target.chunks_exact_mut(width)) {
                target.copy_from_slice(row);
            }
        }
        Rotation::By180 => {
            for (row, target) in rows(source, width, height).zip(target.chunks_exact_mut(width).rev()) {
                reverse(row, target);
            }
        }
        Rotation::By90 => turn_quarter(source, size, QuarterTurn::Clockwise, target),
        Rotation::By270 => turn_quarter(source, size, QuarterTurn::Anticlockwise, target),
    }
}

fn rows(source: Plane<'_>, width: usize, height: usize) -> impl Iterator<Item = &[u8]> {
    (0..height).map(move |y| &source.data[y * source.stride..y * source.stride + width])
}

fn reverse(row: &[u8], target: &mut [u8]) {
    let (first, words) = row.as_rchunks::<BLOCK>();
    let (reversed, last) = target.as_chunks_mut::<BLOCK>();
    for (target, word) in reversed.iter_mut().zip(words.iter().rev()) {
        *target = u64::from_le_bytes(*word).swap_bytes().to_le_bytes();
    }
    last.iter_mut().zip(first.iter().rev()).for_each(|(target, pixel)| *target = *pixel);
}

fn turn_quarter(source: Plane<'_>, size: Size, quarter: QuarterTurn, target: &mut [u8]) {
    let (width, height) = (size.width as usize, size.height as usize);
    for left in (0..width).step_by(BLOCK) {
        for top in (0..height).step_by(BLOCK) {
            if left + BLOCK <= width && top + BLOCK <= height {
                turn_block(source, (left, top), size, quarter, target);
                continue;
            }
            for y in top..height.min(top + BLOCK) {
                for x in left..width.min(left + BLOCK) {
                    target[quarter.place(x, y, size)] = source.data[y * source.stride + x];
                }
            }
        }
    }
}

/// Turns a whole block: its rows are transposed, beginning with the lowest for a clockwise turn.
fn turn_block(
    source: Plane<'_>,
    (left, top): (usize, usize),
    size: Size,
    quarter: QuarterTurn,
    target: &mut [u8],
) {
    let first = match quarter {
        QuarterTurn::Clockwise => top + BLOCK - 1,
        QuarterTurn::Anticlockwise => top,
    };
    let rows = std::array::from_fn(|index| {
        let y = match quarter {
            QuarterTurn::Clockwise => first - index,
            QuarterTurn::Anticlockwise => first + index,
        };
        let mut word = [0; BLOCK];
        let from = y * source.stride + left;
        word.copy_from_slice(&source.data[from..from + BLOCK]);
        u64::from_le_bytes(word)
    });
    for (x, column) in (left..).zip(transposed(rows)) {
        let to = quarter.place(x, first, size);
        target[to..to + BLOCK].copy_from_slice(&column.to_le_bytes());
    }
}

/// Byte `j` of word `i` becomes byte `i` of word `j`: in pairs, then in fours, then in halves.
fn transposed(mut words: [u64; BLOCK]) -> [u64; BLOCK] {
    swap::<1>(&mut words, 0x00ff_00ff_00ff_00ff);
    swap::<2>(&mut words, 0x0000_ffff_0000_ffff);
    swap::<4>(&mut words, 0x0000_0000_ffff_ffff);
    words
}

/// Swaps the bytes of each word that are not in `mask` with those that are, in the word `DISTANCE` after it.
fn swap<const DISTANCE: usize>(words: &mut [u64; BLOCK], mask: u64) {
    for upper in (0..BLOCK).filter(|index| index & DISTANCE == 0) {
        let (a, b) = (words[upper], words[upper + DISTANCE]);
        let swapped = ((a >> (8 * DISTANCE)) ^ b) & mask;
        words[upper + DISTANCE] = b ^ swapped;
        words[upper] = a ^ (swapped << (8 * DISTANCE));
    }
}

impl QuarterTurn {
    /// Returns the index to which a pixel moves.
    const fn place(self, x: usize, y: usize, size: Size) -> usize {
        let (width, height) = (size.width as usize, size.height as usize);
        match self {
            Self::Clockwise => x * height + (height - 1 - y),
            Self::Anticlockwise => (width - 1 - x) * height + y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{Image, size};
    use super::*;

    /// Returns a picture whose pixels contain their own position.
    fn picture(width: u32, height: u32) -> Image {
        Image::painted(size(width, height), move |x, y| [(y * width + x) as u8, (x / 2) as u8, (y / 2) as u8])
    }

    fn luma(picture: &dyn I420) -> Vec<Vec<u8>> {
        let (Size { width, height }, [y, ..]) = (picture.size(), picture.planes());
        rows(y, width as usize, height as usize).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_quarter_turn_clockwise_brings_the_left_column_to_the_top() {
        let mut turned = Upright::default();
        // 0 1 2
        // 3 4 5
        let picture = picture(3, 2);
        assert_eq!(luma(turned.rotate(&picture, Rotation::By90)), [[3, 0], [4, 1], [5, 2]]);
        assert_eq!(luma(turned.rotate(&picture, Rotation::By180)), [[5, 4, 3], [2, 1, 0]]);
        assert_eq!(luma(turned.rotate(&picture, Rotation::By270)), [[2, 5], [1, 4], [0, 3]]);
        assert_eq!(luma(turned.rotate(&picture, Rotation::Upright)), [[0, 1, 2], [3, 4, 5]]);
    }

    #[test]
    fn two_turns_that_undo_each_other_leave_the_picture_as_it_was_also_of_odd_sizes() {
        for (width, height) in [(1, 1), (64, 36), (33, 17), (16, 47)] {
            let original = picture(width, height);
            for (there, back) in [
                (Rotation::By90, Rotation::By270),
                (Rotation::By180, Rotation::By180),
                (Rotation::By270, Rotation::By90),
            ] {
                let (mut once, mut twice) = (Upright::default(), Upright::default());
                once.rotate(&original, there);
                twice.rotate(&once, back);
                assert_eq!(twice.size(), original.size());
                for (before, after) in original.planes().into_iter().zip(twice.planes()) {
                    let width = after.stride;
                    for (y, row) in after.data.chunks_exact(width).enumerate() {
                        assert_eq!(row, &before.data[y * before.stride..][..width]);
                    }
                }
            }
        }
    }

    #[test]
    fn memory_of_a_larger_picture_does_not_reach_into_a_smaller_one() {
        let mut turned = Upright::default();
        turned.rotate(&picture(64, 36), Rotation::By90);
        assert_eq!(luma(turned.rotate(&picture(3, 2), Rotation::By90)), [[3, 0], [4, 1], [5, 2]]);
    }
}
