//! Owns the picture of a test participant: a speaking figure before a background of its own colour, with the
//! number of the frame across the top in black and white. Pure: drawn, not encoded.
//!
//! Contract: after the clip's last frame the motion starts over smoothly. The number can be read from any
//! copy of the picture: scaled, cropped by a few pixels or badly compressed.

use std::f64::consts::TAU;

use crate::media::Size;

/// The strip has one block for each bit of a frame's number, the highest first; white is 1.
const NUMBER_BITS: u32 = 16;
/// The strip's height is this fraction of the picture's: still five pixels in a tile of 128 rows.
const STRIP_PART: u32 = 24;
/// Limited range (ITU-R BT.601).
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const GREY: u8 = 128;
/// Neighbouring participants differ by the golden angle, so that any number of them are easy to tell apart.
const HUE_STEP: f64 = 0.381_966;
/// Width of the soft edge of a shape, in pixels of its plane.
const EDGE: f64 = 1.5;

/// Draws one participant's pictures, planar 4:2:0 without padding.
pub struct Figure {
    size: Size,
    /// Counted from 0. Decides the colours; the shirt shows it, counted from 1.
    participant: u32,
    /// The number of frames after which the motion starts over.
    period: u32,
}

/// Red, green and blue, 0 to 1.
pub(super) type Rgb = (f64, f64, f64);

const SKINS: [Rgb; 4] = [(0.93, 0.76, 0.62), (0.55, 0.38, 0.27), (0.98, 0.85, 0.74), (0.76, 0.57, 0.42)];
const HAIRS: [Rgb; 5] =
    [(0.16, 0.13, 0.14), (0.10, 0.08, 0.08), (0.72, 0.47, 0.20), (0.35, 0.22, 0.14), (0.62, 0.62, 0.64)];

#[derive(Clone, Copy)]
pub(super) struct Colour {
    y: u8,
    u: u8,
    v: u8,
}

#[derive(Clone, Copy)]
struct Ellipse {
    x: f64,
    y: f64,
    rx: f64,
    ry: f64,
}

pub(super) struct Planes {
    size: Size,
    planes: [Vec<u8>; 3],
}

impl Figure {
    /// Width and height of `size` must be even.
    pub fn new(size: Size, participant: u32, period: u32) -> Self {
        Self { size, participant, period }
    }

    /// `mouth` says how far the mouth is open, 0 to 1.
    pub fn draw(&self, frame: u32, mouth: f64) -> Vec<u8> {
        let mut canvas = Planes::new(self.size);
        // No figure moves in step with its neighbour.
        let phase = f64::from(frame) / f64::from(self.period) + f64::from(self.participant) * HUE_STEP;
        self.background(&mut canvas, phase);
        self.person(&mut canvas, phase, mouth.clamp(0.0, 1.0));
        canvas.number(frame);
        canvas.concat()
    }

    fn background(&self, canvas: &mut Planes, phase: f64) {
        let (width, height) = (f64::from(self.size.width), f64::from(self.size.height));
        canvas.fill(self.colour(0.62, 0.55));
        // Two lights move over the wall, so that the whole picture moves.
        let light = self.colour(0.55, 0.72);
        for (turns, offset) in [(1.0, 0.0), (-2.0, 0.4)] {
            let angle = TAU * (turns * phase + offset);
            canvas.ellipse(
                Ellipse {
                    x: width * (0.5 + 0.38 * angle.cos()),
                    y: height * (0.45 + 0.3 * angle.sin()),
                    rx: height * 0.22,
                    ry: height * 0.22,
                },
                light,
            );
        }
    }

    fn person(&self, canvas: &mut Planes, phase: f64, mouth: f64) {
        let unit = f64::from(self.size.height);
        let x = f64::from(self.size.width) * (0.5 + 0.06 * (TAU * phase).sin());
        let y = unit * (0.42 + 0.012 * (TAU * 3.0 * phase).sin());
        let at = |dx: f64, dy: f64, rx: f64, ry: f64| Ellipse {
            x: x + dx * unit,
            y: y + dy * unit,
            rx: rx * unit,
            ry: ry * unit,
        };
        let dark = Colour::rgb((0.16, 0.13, 0.14));
        let skin = Colour::rgb(SKINS[self.participant as usize % SKINS.len()]);
        let hair = Colour::rgb(HAIRS[self.participant as usize % HAIRS.len()]);
        canvas.ellipse(at(0.0, 0.62, 0.40, 0.38), self.colour(0.85, 0.36));
        canvas.ellipse(at(0.0, 0.20, 0.07, 0.11), skin);
        canvas.ellipse(at(0.0, -0.03, 0.19, 0.23), hair);
        canvas.ellipse(at(0.0, 0.02, 0.17, 0.21), skin);
        // The figure blinks twice a round.
        let lids = if (phase * 2.0).fract() < 0.03 { 0.004 } else { 0.022 };
        canvas.ellipse(at(-0.065, -0.03, 0.018, lids), dark);
        canvas.ellipse(at(0.065, -0.03, 0.018, lids), dark);
        canvas.ellipse(at(0.0, 0.12, 0.055 - 0.015 * mouth, 0.007 + 0.045 * mouth), dark);
        canvas.digit((self.participant + 1) % 10, [x, y + 0.40 * unit], 0.13 * unit);
    }

    fn colour(&self, saturation: f64, value: f64) -> Colour {
        Colour::hsv(f64::from(self.participant) * HUE_STEP + 0.58, saturation, value)
    }
}

impl Colour {
    fn hsv(hue: f64, saturation: f64, value: f64) -> Self {
        let channel = |n: f64| {
            let k = (n + hue.fract() * 6.0) % 6.0;
            value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        Self::rgb((channel(5.0), channel(3.0), channel(1.0)))
    }

    /// ITU-R BT.601, limited range.
    pub(super) fn rgb((r, g, b): Rgb) -> Self {
        Self {
            y: (16.0 + 65.481 * r + 128.553 * g + 24.966 * b).round() as u8,
            u: (128.0 - 37.797 * r - 74.203 * g + 112.0 * b).round() as u8,
            v: (128.0 + 112.0 * r - 93.786 * g - 18.214 * b).round() as u8,
        }
    }

    fn planes(self) -> [u8; 3] {
        [self.y, self.u, self.v]
    }
}

impl Planes {
    pub(super) fn new(size: Size) -> Self {
        let luma = (size.width * size.height) as usize;
        Self { size, planes: [vec![BLACK; luma], vec![GREY; luma / 4], vec![GREY; luma / 4]] }
    }

    pub(super) fn concat(&self) -> Vec<u8> {
        self.planes.concat()
    }

    pub(super) fn fill(&mut self, colour: Colour) {
        for (plane, value) in self.planes.iter_mut().zip(colour.planes()) {
            plane.fill(value);
        }
    }

    fn ellipse(&mut self, shape: Ellipse, colour: Colour) {
        let [width, height] = [self.size.width as usize, self.size.height as usize];
        for (index, value) in colour.planes().into_iter().enumerate() {
            let scale = if index == 0 { 1 } else { 2 };
            let shape = shape.scaled_down(scale as f64);
            blend(&mut self.planes[index], [width / scale, height / scale], shape, value);
        }
    }

    /// Draws a white digit of seven segments, `height` high around `centre`.
    fn digit(&mut self, digit: u32, centre: [f64; 2], height: f64) {
        // Bits from the lowest: top, upper right, lower right, bottom, lower left, upper left, middle.
        const SEGMENTS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];
        // The middle of each segment, in halves of the digit's height, and whether it is horizontal.
        const PLACES: [(f64, f64, bool); 7] = [
            (0.0, -1.0, true),
            (0.5, -0.5, false),
            (0.5, 0.5, false),
            (0.0, 1.0, true),
            (-0.5, 0.5, false),
            (-0.5, -0.5, false),
            (0.0, 0.0, true),
        ];
        let half = height / 2.0;
        for (bit, (dx, dy, flat)) in PLACES.into_iter().enumerate() {
            if SEGMENTS[digit as usize % 10] >> bit & 1 == 0 {
                continue;
            }
            let (rx, ry) = if flat { (0.42, 0.14) } else { (0.14, 0.42) };
            let shape =
                Ellipse { x: centre[0] + dx * half, y: centre[1] + dy * half, rx: rx * half, ry: ry * half };
            self.ellipse(shape, Colour::rgb((1.0, 1.0, 1.0)));
        }
    }

    /// Draws a white block. A part of it between even pixels changes the luma plane only.
    pub(super) fn bar(&mut self, (left, top): (u32, u32), size: Size) {
        for (index, plane) in self.planes.iter_mut().enumerate() {
            let (scale, value) = if index == 0 { (1, WHITE) } else { (2, GREY) };
            let [left, top, width, height] =
                [left, top, size.width, size.height].map(|length| (length / scale) as usize);
            let rows = plane.chunks_exact_mut((self.size.width / scale) as usize).skip(top).take(height);
            rows.for_each(|row| row[left..left + width].fill(value));
        }
    }

    fn number(&mut self, number: u32) {
        let (width, rows) = (self.size.width as usize, (self.size.height / STRIP_PART).max(2) & !1);
        let bit_at = |x: usize| NUMBER_BITS - 1 - x as u32 * NUMBER_BITS / self.size.width;
        let line: Vec<u8> =
            (0..width).map(|x| if number >> bit_at(x) & 1 == 1 { WHITE } else { BLACK }).collect();
        let [luma, u, v] = &mut self.planes;
        luma.chunks_exact_mut(width).take(rows as usize).for_each(|row| row.copy_from_slice(&line));
        let chroma = width / 2 * (rows / 2) as usize;
        u[..chroma].fill(GREY);
        v[..chroma].fill(GREY);
    }
}

impl Ellipse {
    fn scaled_down(self, by: f64) -> Self {
        Self { x: self.x / by, y: self.y / by, rx: self.rx / by, ry: self.ry / by }
    }
}

/// Paints within the shape's bounding box only.
fn blend(plane: &mut [u8], [width, height]: [usize; 2], shape: Ellipse, value: u8) {
    let rows = span(shape.y, shape.ry, height);
    let columns = span(shape.x, shape.rx, width);
    for y in rows {
        let dy = (y as f64 + 0.5 - shape.y) / shape.ry;
        for x in columns.clone() {
            let dx = (x as f64 + 0.5 - shape.x) / shape.rx;
            // Roughly the distance to the edge in pixels, positive inside.
            let inside = (1.0 - (dx * dx + dy * dy).sqrt()) * shape.rx.min(shape.ry);
            let cover = (inside / EDGE + 0.5).clamp(0.0, 1.0);
            let pixel = &mut plane[y * width + x];
            *pixel = (f64::from(*pixel) * (1.0 - cover) + f64::from(value) * cover).round() as u8;
        }
    }
}

fn span(centre: f64, radius: f64, limit: usize) -> std::ops::Range<usize> {
    let clip = |at: f64| at.clamp(0.0, limit as f64) as usize;
    clip((centre - radius - EDGE).floor())..clip((centre + radius + EDGE).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 320, height: 180 };

    /// Reads the number as a reader of the recording does: from the luma plane, in the middle of each block.
    fn read_number(luma: &[u8], size: Size) -> u32 {
        let row = (size.height / STRIP_PART / 2) as usize * size.width as usize;
        (0..NUMBER_BITS).fold(0, |number, bit| {
            let middle = (2 * bit + 1) * size.width / (2 * NUMBER_BITS);
            let white = luma[row + middle as usize] > GREY;
            number << 1 | u32::from(white)
        })
    }

    #[test]
    fn the_number_of_a_frame_can_be_read_from_its_picture() {
        let figure = Figure::new(SIZE, 0, 180);
        for number in [0, 1, 2, 90, 179, 0x5555, 0xffff] {
            let picture = figure.draw(number, 0.5);
            assert_eq!(read_number(&picture, SIZE), number);
        }
    }

    #[test]
    fn a_picture_is_tightly_packed_420() {
        let picture = Figure::new(SIZE, 3, 180).draw(17, 1.0);
        assert_eq!(picture.len(), 320 * 180 * 3 / 2);
    }

    #[test]
    fn every_picture_differs_from_the_one_before_it() {
        let figure = Figure::new(SIZE, 0, 180);
        let below_strip = |n: u32| figure.draw(n, 0.0)[320 * 20..].to_vec();
        assert!((0..180).all(|n| below_strip(n) != below_strip(n + 1)));
    }

    #[test]
    fn the_motion_starts_over_where_it_began() {
        let figure = Figure::new(SIZE, 0, 180);
        let (first, again) = (figure.draw(0, 0.2), figure.draw(180, 0.2));
        let below_strip = 320 * 20..320 * 180;
        let pairs = first[below_strip.clone()].iter().zip(&again[below_strip]);
        // The soft edges may differ by one step of rounding.
        assert!(pairs.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
    }

    #[test]
    fn the_mouth_opens_with_the_voice() {
        let figure = Figure::new(SIZE, 0, 180);
        let dark = |mouth| figure.draw(0, mouth)[..320 * 180].iter().filter(|y| **y < 50).count();
        assert!(dark(1.0) > dark(0.0) + 50);
    }

    #[test]
    fn nine_participants_have_nine_backgrounds() {
        let corner = |participant| {
            let picture = Figure::new(SIZE, participant, 180).draw(0, 0.0);
            let chroma = 320 * 180 + 160 * 88;
            (picture[320 * 178], picture[chroma], picture[chroma + 160 * 90])
        };
        let far = |a: (u8, u8, u8), b: (u8, u8, u8)| {
            a.0.abs_diff(b.0).max(a.1.abs_diff(b.1)).max(a.2.abs_diff(b.2)) > 8
        };
        for a in 0..9 {
            assert!((0..a).all(|b| far(corner(a), corner(b))), "{a}");
        }
    }
}
