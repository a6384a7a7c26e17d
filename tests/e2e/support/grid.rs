//! The grid of the contract's part 3, written a second time: where each tile must be.

pub const WIDTH: u32 = 1280;
pub const HEIGHT: u32 = 720;
const GAP: u32 = 8;

/// The cell of tile `index` of `count`: left, top, width and height.
pub fn cell(index: u32, count: u32) -> (u32, u32, u32, u32) {
    let columns = match count {
        0..=1 => 1,
        2..=4 => 2,
        5..=9 => 3,
        10..=16 => 4,
        17.. => 5,
    };
    let rows = count.div_ceil(columns);
    let width = (WIDTH - (columns - 1) * GAP) / columns;
    let height = (HEIGHT - (rows - 1) * GAP) / rows;
    let (column, row) = (index % columns, index / columns);
    (column * (width + GAP), row * (height + GAP), width, height)
}

/// The centre of tile `index` of `count`, in pixels.
pub fn centre(index: u32, count: u32) -> (u32, u32) {
    let (x, y, width, height) = cell(index, count);
    (x + width / 2, y + height / 2)
}
