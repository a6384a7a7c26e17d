//! Where the tiles are: rectangles of the frame, to the pixel. Pure arithmetic; knows nothing of a tile's
//! content.

use crate::media::Size;

/// Pixels between two cells of the grid; there is none around it.
pub(super) const GAP: u32 = 8;

/// Pixels between the column and the stage.
const COLUMN_GAP: u32 = 8;

/// A rectangle of luma pixels (or of chroma samples, where a name says so).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// Returns the cells of `tiles` equal tiles, row by row from the left.
pub(super) fn grid(frame: Size, tiles: usize) -> impl Iterator<Item = Rect> {
    // A room has far fewer tracks than u32 can count.
    let tiles = u32::try_from(tiles).unwrap_or(u32::MAX);
    let columns = grid_columns(tiles);
    let rows = tiles.div_ceil(columns).max(1);
    let (width, height) = (share(frame.width, columns), share(frame.height, rows));
    (0..tiles).map(move |tile| Rect {
        x: tile % columns * (width + GAP),
        y: tile / columns * (height + GAP),
        width,
        height,
    })
}

/// Returns the stage, for the participant who speaks or the shared screen: at the right, over the whole
/// height.
pub(super) const fn stage(frame: Size) -> Rect {
    let x = column_width(frame) + COLUMN_GAP;
    Rect { x, y: 0, width: frame.width.saturating_sub(x), height: frame.height }
}

/// Returns the cells of the `others`, from the top, at the left of the stage.
pub(super) fn column(frame: Size, others: usize) -> impl Iterator<Item = Rect> {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let width = column_width(frame);
    let height = (width * 10 / 16).min(frame.height / others.max(1));
    (0..others).map(move |place| Rect { x: 0, y: place * height, width, height })
}

pub(super) const fn whole(frame: Size) -> Rect {
    Rect { x: 0, y: 0, width: frame.width, height: frame.height }
}

impl Rect {
    pub(super) const fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Returns the chroma samples (of 4:2:0) whose four luma pixels are all inside.
    ///
    /// Cells may begin and end at odd pixels: three columns of 1280 are 421 wide. A chroma sample there
    /// belongs half to the tile and half to the gap. It stays with the gap, so that the gap keeps its pure
    /// background. The outermost pixel row of the tile then has its brightness without its colour. Nobody
    /// sees that beside a black line, but a tinted line would be seen.
    pub(super) const fn chroma(self) -> Self {
        let (x, y) = (self.x.div_ceil(2), self.y.div_ceil(2));
        Self {
            x,
            y,
            width: ((self.x + self.width) / 2).saturating_sub(x),
            height: ((self.y + self.height) / 2).saturating_sub(y),
        }
    }
}

const fn column_width(frame: Size) -> u32 {
    frame.width.saturating_sub(COLUMN_GAP) / 6
}

const fn grid_columns(tiles: u32) -> u32 {
    match tiles {
        0..=1 => 1,
        2..=4 => 2,
        5..=9 => 3,
        10..=16 => 4,
        17.. => 5,
    }
}

/// Returns the share of each of `parts` in `length` with gaps between them; zero if nothing is left.
const fn share(length: u32, parts: u32) -> u32 {
    length.saturating_sub((parts - 1).saturating_mul(GAP)) / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Size = Size { width: 1280, height: 720 };

    fn cells(tiles: usize) -> Vec<Rect> {
        grid(HD, tiles).collect()
    }

    const fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// Worked out by hand from the contract: tiles, columns, rows, width and height of a cell.
    const GRIDS: [(usize, u32, u32, u32, u32); 25] = [
        (1, 1, 1, 1280, 720),
        (2, 2, 1, 636, 720),
        (3, 2, 2, 636, 356),
        (4, 2, 2, 636, 356),
        (5, 3, 2, 421, 356),
        (6, 3, 2, 421, 356),
        (7, 3, 3, 421, 234),
        (8, 3, 3, 421, 234),
        (9, 3, 3, 421, 234),
        (10, 4, 3, 314, 234),
        (11, 4, 3, 314, 234),
        (12, 4, 3, 314, 234),
        (13, 4, 4, 314, 174),
        (14, 4, 4, 314, 174),
        (15, 4, 4, 314, 174),
        (16, 4, 4, 314, 174),
        (17, 5, 4, 249, 174),
        (18, 5, 4, 249, 174),
        (19, 5, 4, 249, 174),
        (20, 5, 4, 249, 174),
        (21, 5, 5, 249, 137),
        (22, 5, 5, 249, 137),
        (23, 5, 5, 249, 137),
        (24, 5, 5, 249, 137),
        (25, 5, 5, 249, 137),
    ];

    #[test]
    fn the_grid_of_1_to_25_tiles_is_the_contracts_to_the_pixel() {
        for (tiles, columns, rows, width, height) in GRIDS {
            let mut expected = Vec::new();
            let mut y = 0;
            for _ in 0..rows {
                let mut x = 0;
                for _ in 0..columns {
                    expected.push(rect(x, y, width, height));
                    x += width + 8;
                }
                y += height + 8;
            }
            expected.truncate(tiles);
            assert_eq!(cells(tiles), expected, "{tiles} tiles");
        }
    }

    #[test]
    fn the_nine_cells_of_three_columns_are_these() {
        let expected = [
            rect(0, 0, 421, 234),
            rect(429, 0, 421, 234),
            rect(858, 0, 421, 234),
            rect(0, 242, 421, 234),
            rect(429, 242, 421, 234),
            rect(858, 242, 421, 234),
            rect(0, 484, 421, 234),
            rect(429, 484, 421, 234),
            rect(858, 484, 421, 234),
        ];
        assert_eq!(cells(9), expected);
    }

    #[test]
    fn no_tile_needs_no_cell() {
        assert_eq!(cells(0), []);
        assert_eq!(column(HD, 0).count(), 0);
    }

    #[test]
    fn the_stage_lies_beside_a_column_of_a_sixth() {
        assert_eq!(stage(HD), rect(220, 0, 1060, 720));
        assert_eq!(stage(Size { width: 1920, height: 1080 }), rect(326, 0, 1594, 1080));
    }

    /// Worked out by hand from the contract: others, height of a cell.
    const COLUMNS: [(usize, u32); 9] =
        [(1, 132), (2, 132), (5, 132), (6, 120), (7, 102), (10, 72), (16, 45), (24, 30), (25, 28)];

    #[test]
    fn the_column_of_1_to_25_tiles_is_the_contracts_to_the_pixel() {
        for (others, height) in COLUMNS {
            let expected: Vec<_> =
                (0..others as u32).map(|place| rect(0, place * height, 212, height)).collect();
            assert_eq!(column(HD, others).collect::<Vec<_>>(), expected, "{others} others");
        }
    }

    #[test]
    fn no_frame_is_too_small_for_the_arithmetic() {
        for side in 1..40 {
            let frame = Size { width: side, height: side };
            let cells = column(frame, 3).chain([stage(frame)]).chain(grid(frame, 5));
            for cell in cells.filter(|cell| !cell.is_empty()) {
                assert!(cell.x + cell.width <= side && cell.y + cell.height <= side, "{side}: {cell:?}");
            }
        }
    }

    #[test]
    fn cells_never_reach_beyond_the_frame_however_many_there_are() {
        for tiles in (26..1000).step_by(37) {
            for cell in cells(tiles) {
                assert!(cell.is_empty() || cell.x + cell.width <= HD.width);
                assert!(cell.is_empty() || cell.y + cell.height <= HD.height);
            }
        }
    }

    #[test]
    fn chroma_samples_that_reach_into_the_gap_are_not_the_cells() {
        assert_eq!(rect(0, 0, 421, 234).chroma(), rect(0, 0, 210, 117));
        assert_eq!(rect(429, 242, 421, 234).chroma(), rect(215, 121, 210, 117));
        assert_eq!(rect(858, 484, 421, 234).chroma(), rect(429, 242, 210, 117));
        assert_eq!(rect(3, 3, 1, 1).chroma(), rect(2, 2, 0, 0));
    }
}
