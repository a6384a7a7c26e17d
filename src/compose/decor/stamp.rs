//! A small picture with transparency that is prepared for blending onto one place of the canvas, as often as
//! needed.
//!
//! It begins at even pixels and has even sides. So each of its chroma samples belongs to four of its own luma
//! pixels and to no others.

use crate::media::Size;

use super::super::canvas::{Canvas, CanvasPlane};
use super::super::layout::Rect;

/// Red, green, blue, and opacity; the colours are already multiplied by the opacity.
pub(super) type Rgba = [u8; 4];

/// Pixels with transparency, in rows without padding.
pub(super) struct Pixmap {
    pub size: Size,
    pub pixels: Vec<Rgba>,
}

pub(in super::super) struct Stamp {
    area: Rect,
    /// For Y, U and V: what is added to the canvas, and how much of the canvas remains (0 to 255).
    planes: [Vec<BlendSample>; 3],
}

#[derive(Clone, Copy)]
struct BlendSample {
    add: u8,
    keep: u8,
}

impl Pixmap {
    pub(super) fn filled(size: Size, colour: Rgba) -> Self {
        Self { size, pixels: vec![colour; size.width as usize * size.height as usize] }
    }

    /// Blends a colour over one pixel. Pixels beyond the edges are ignored.
    pub(super) fn put(&mut self, x: i64, y: i64, colour: Rgba) {
        let Size { width, height } = self.size;
        if (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y) {
            let pixel = &mut self.pixels[y as usize * width as usize + x as usize];
            *pixel = over(colour, *pixel);
        }
    }

    /// Blends another picture over this one.
    pub(super) fn lay(&mut self, other: &Self, x: i64, y: i64) {
        let width = other.size.width as usize;
        for (row, pixels) in other.pixels.chunks_exact(width.max(1)).enumerate() {
            for (column, colour) in pixels.iter().enumerate() {
                self.put(x + column as i64, y + row as i64, *colour);
            }
        }
    }

    fn at(&self, x: u32, y: u32) -> Rgba {
        let Size { width, height } = self.size;
        if x < width && y < height { self.pixels[(y * width + x) as usize] } else { [0; 4] }
    }
}

impl Stamp {
    /// Prepares a picture for the place at `x` and `y`, rounded down to even pixels.
    pub(super) fn new(pixmap: &Pixmap, x: u32, y: u32) -> Self {
        let (width, height) = (pixmap.size.width.div_ceil(2) * 2, pixmap.size.height.div_ceil(2) * 2);
        let area = Rect { x: x / 2 * 2, y: y / 2 * 2, width, height };
        let luma = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let chroma = (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (x, y)));
        let mean = |(x, y): (u32, u32)| {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| pixmap.at(2 * x + i, 2 * y + j));
            std::array::from_fn(|part| (four.iter().map(|p| u32::from(p[part])).sum::<u32>() / 4) as u8)
        };
        Self {
            area,
            planes: [
                luma.map(|(x, y)| BlendSample::new(pixmap.at(x, y), 0)).collect(),
                chroma.clone().map(|place| BlendSample::new(mean(place), 1)).collect(),
                chroma.map(|place| BlendSample::new(mean(place), 2)).collect(),
            ],
        }
    }

    pub(in super::super) fn blend(&self, canvas: &mut Canvas) {
        for ((plane, part), samples) in canvas.planes().into_iter().zip(self.parts()).zip(&self.planes) {
            let width = part.width as usize;
            for (row, samples) in plane.rows(part).zip(samples.chunks_exact(width.max(1))) {
                for (byte, sample) in row.iter_mut().zip(samples) {
                    *byte = sample.on(*byte);
                }
            }
        }
    }

    /// Returns the canvas under the stamp, so that it can be restored.
    pub(in super::super) fn beneath(&self, canvas: &mut Canvas) -> Vec<u8> {
        let planes = canvas.planes().into_iter().zip(self.parts());
        planes.flat_map(|(plane, part)| plane.rows(part)).flat_map(|row| row.iter().copied()).collect()
    }

    pub(in super::super) fn put_back(&self, mut beneath: &[u8], canvas: &mut Canvas) {
        let rows = |(plane, part): (CanvasPlane<'_>, Rect)| {
            plane.rows(part).for_each(|row| {
                let (from, rest) = beneath.split_at(row.len());
                row.copy_from_slice(from);
                beneath = rest;
            })
        };
        canvas.planes().into_iter().zip(self.parts()).for_each(rows);
    }

    fn parts(&self) -> [Rect; 3] {
        [self.area, self.area.chroma(), self.area.chroma()]
    }
}

impl BlendSample {
    fn new(colour: Rgba, component: usize) -> Self {
        Self { add: premultiplied(colour)[component], keep: 255 - colour[3] }
    }

    fn on(self, byte: u8) -> u8 {
        let kept = (u32::from(byte) * u32::from(self.keep) + 127) / 255;
        (kept + u32::from(self.add)).min(255) as u8
    }
}

/// Blends one colour over another.
fn over(top: Rgba, bottom: Rgba) -> Rgba {
    let rest = 255 - u32::from(top[3]);
    std::array::from_fn(|part| {
        (u32::from(top[part]) + (u32::from(bottom[part]) * rest + 127) / 255).min(255) as u8
    })
}

/// Returns an opaque colour as Y, U and V.
pub(super) fn ycbcr([red, green, blue]: [u8; 3]) -> [u8; 3] {
    premultiplied([red, green, blue, 255])
}

/// Returns Y, U and V (limited range, ITU-R BT.601, as the encoder declares for its pictures), multiplied by
/// the opacity.
fn premultiplied([red, green, blue, alpha]: Rgba) -> [u8; 3] {
    let [red, green, blue, alpha] = [red, green, blue, alpha].map(i32::from);
    let black = 16 * alpha / 255;
    let grey = (128 * alpha + 127) / 255;
    let y = black + (66 * red + 129 * green + 25 * blue + 128) / 256;
    let u = grey + (-38 * red - 74 * green + 112 * blue + 128) / 256;
    let v = grey + (112 * red - 94 * green - 18 * blue + 128) / 256;
    [y, u, v].map(|value| value.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Theme;

    const SIZE: Size = Size { width: 16, height: 8 };

    fn canvas(colour: [u8; 3]) -> Canvas {
        let mut canvas = Canvas::new(SIZE, Theme::Dark);
        canvas.planes().into_iter().zip(colour).for_each(|(plane, value)| plane.data.fill(value));
        canvas
    }

    fn pixmap(width: u32, height: u32, colour: Rgba) -> Pixmap {
        Pixmap::filled(Size { width, height }, colour)
    }

    #[test]
    fn an_opaque_stamp_replaces_exactly_its_area() {
        let mut canvas = canvas([50, 60, 70]);
        Stamp::new(&pixmap(4, 2, [255, 255, 255, 255]), 5, 3).blend(&mut canvas);
        let [y, u, v] = canvas.planes();
        for (i, luma) in y.data.iter().enumerate() {
            let inside = (4..8).contains(&(i % 16)) && (2..4).contains(&(i / 16));
            assert_eq!(*luma, if inside { 235 } else { 50 }, "{i}");
        }
        for (plane, other) in [(u, 60), (v, 70)] {
            for (i, chroma) in plane.data.iter().enumerate() {
                let inside = (2..4).contains(&(i % 8)) && i / 8 == 1;
                assert_eq!(*chroma, if inside { 128 } else { other }, "{i}");
            }
        }
    }

    #[test]
    fn a_transparent_stamp_changes_nothing_and_a_half_transparent_one_half() {
        let mut canvas = canvas([50, 60, 70]);
        let before = canvas.bytes().to_vec();
        Stamp::new(&pixmap(16, 8, [0; 4]), 0, 0).blend(&mut canvas);
        assert_eq!(canvas.bytes(), before);
        Stamp::new(&pixmap(16, 8, [0, 0, 0, 128]), 0, 0).blend(&mut canvas);
        let [y, u, v] = canvas.planes().map(|plane| plane.data[0]);
        assert!(y.abs_diff(33) <= 1 && u.abs_diff(94) <= 1 && v.abs_diff(99) <= 1, "{y}, {u}, {v}");
    }

    #[test]
    fn a_stamp_of_odd_sides_is_transparent_beyond_them() {
        let mut canvas = canvas([50, 128, 128]);
        Stamp::new(&pixmap(3, 1, [255, 255, 255, 255]), 0, 0).blend(&mut canvas);
        let [y, ..] = canvas.planes();
        assert_eq!(y.data[..5], [235, 235, 235, 50, 50]);
        assert_eq!(y.data[16], 50);
    }

    #[test]
    fn what_lay_beneath_can_be_put_back() {
        let mut canvas = canvas([50, 60, 70]);
        let before = canvas.bytes().to_vec();
        let stamp = Stamp::new(&pixmap(6, 4, [200, 10, 0, 200]), 2, 2);
        let beneath = stamp.beneath(&mut canvas);
        stamp.blend(&mut canvas);
        assert_ne!(canvas.bytes(), before);
        stamp.put_back(&beneath, &mut canvas);
        assert_eq!(canvas.bytes(), before);
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        assert_eq!(ycbcr([0, 0, 0]), [16, 128, 128]);
        assert_eq!(ycbcr([255, 255, 255]), [235, 128, 128]);
        let [y, u, v] = ycbcr([255, 0, 0]);
        assert!(y.abs_diff(81) <= 1 && u.abs_diff(90) <= 1 && v.abs_diff(240) <= 1);
    }
}
