//! The frame under construction: I420, tightly packed, as the encoder takes it. Owns its bytes and the
//! background. [`super::scale`] draws the pictures on it.

use crate::media::{Size, Theme};

use super::layout::Rect;

/// Y, U and V. Both colours have the same values in every limited-range YCbCr (ITU-R BT.601 and BT.709).
pub(super) const fn background(theme: Theme) -> [u8; 3] {
    match theme {
        Theme::Dark => [16, 128, 128],
        Theme::Light => [235, 128, 128],
    }
}

pub(super) struct Canvas {
    size: Size,
    bytes: Vec<u8>,
}

/// One component of the canvas: rows of `width` bytes without padding.
pub(super) struct CanvasPlane<'a> {
    pub width: u32,
    pub data: &'a mut [u8],
}

impl Canvas {
    /// The width and the height of `size` must be even.
    pub(super) fn new(size: Size, theme: Theme) -> Self {
        let luma = size.width as usize * size.height as usize;
        let mut canvas = Self { size, bytes: vec![0; luma / 2 * 3] };
        canvas.clear(theme);
        canvas
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self, theme: Theme) {
        for (plane, value) in self.planes().into_iter().zip(background(theme)) {
            plane.data.fill(value);
        }
    }

    /// Fills `cell` with the background, wherever a tile can have been drawn in it.
    pub(super) fn clear_cell(&mut self, cell: Rect, theme: Theme) {
        self.fill(cell, background(theme));
    }

    /// Fills a part of the frame with one colour, given as Y, U and V.
    pub(super) fn fill(&mut self, part: Rect, colour: [u8; 3]) {
        let parts = [part, part.chroma(), part.chroma()];
        for ((plane, part), value) in self.planes().into_iter().zip(parts).zip(colour) {
            plane.fill(part, value);
        }
    }

    /// Returns the planes Y, U and V.
    pub(super) fn planes(&mut self) -> [CanvasPlane<'_>; 3] {
        let Size { width, height } = self.size;
        let luma = width as usize * height as usize;
        let (y, chroma) = self.bytes.split_at_mut(luma);
        let (u, v) = chroma.split_at_mut(luma / 4);
        let half = |data| CanvasPlane { width: width / 2, data };
        let y = CanvasPlane { width, data: y };
        [y, half(u), half(v)]
    }
}

impl<'a> CanvasPlane<'a> {
    /// Returns the rows of a part of the plane.
    pub(super) fn rows(self, part: Rect) -> impl Iterator<Item = &'a mut [u8]> {
        let columns = part.x as usize..(part.x + part.width) as usize;
        let rows = self.data.chunks_exact_mut(self.width as usize);
        let rows = rows.skip(part.y as usize).take(part.height as usize);
        rows.map(move |row| &mut row[columns.clone()])
    }

    fn fill(self, part: Rect, value: u8) {
        self.rows(part).for_each(|row| row.fill(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 16, height: 8 };

    #[test]
    fn a_new_canvas_is_black_and_tightly_packed() {
        let canvas = Canvas::new(SIZE, Theme::Dark);
        let expected = [vec![16; 128], vec![128; 32], vec![128; 32]].concat();
        assert_eq!(canvas.bytes(), expected);
    }

    #[test]
    fn clearing_an_odd_cell_leaves_everything_outside_alone() {
        let mut canvas = Canvas::new(SIZE, Theme::Dark);
        for plane in canvas.planes() {
            plane.data.fill(77);
        }
        let cell = Rect { x: 3, y: 1, width: 5, height: 5 };
        canvas.clear_cell(cell, Theme::Dark);
        let [y, u, v] = canvas.planes();
        for (plane, x, y, value) in [(&y, 3..8, 1..6, 16), (&u, 2..4, 1..3, 128), (&v, 2..4, 1..3, 128)] {
            for (i, &byte) in plane.data.iter().enumerate() {
                let (column, row) = (i % plane.width as usize, i / plane.width as usize);
                let inside = x.contains(&column) && y.contains(&row);
                assert_eq!(byte, if inside { value } else { 77 }, "{column}, {row}");
            }
        }
    }
}
