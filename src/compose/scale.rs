//! Draws a decoded picture on the canvas: crops and scales its three planes straight from the decoder's
//! memory to their place. Owns how that is done fast. [`super::fit`] decides where to draw, [`super::filter`]
//! with which weights.
//!
//! This is code of our own because the composer spends most of its time here. `fast_image_resize` took 1.8
//! times as long for nine 640x360 pictures, with a plainer filter, and it builds its tables again for each
//! picture.

use crate::media::{I420, Plane, Size};

use super::canvas::{Canvas, CanvasPlane};
use super::filter::{Axis, Span, UNITY, UNITY_BITS};
use super::fit::{Crop, Placement};
use super::layout::Rect;

/// A picture cannot be drawn: one of its planes is shorter than its size requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a plane of {width}x{height} with {stride} bytes a row has only {len} bytes")]
pub(super) struct BadPlane {
    width: u32,
    height: u32,
    stride: usize,
    len: usize,
}

/// Everything that can be computed before the pixels are known; made once for pictures of the same size.
pub(super) struct Drawing {
    picture: Size,
    luma: PlaneDrawing,
    chroma: PlaneDrawing,
}

struct PlaneDrawing {
    target: Rect,
    how: How,
}

enum How {
    Copy { left: usize, top: usize },
    Scale(Scaling),
}

struct Scaling {
    rows: Axis,
    /// Counted from the first column of `used`.
    columns: Axis,
    used: std::ops::Range<usize>,
}

/// Buffers for intermediate lines, kept for reuse.
#[derive(Default)]
pub(super) struct Scratch {
    /// Weighted sums of source rows: one target row before it is scaled sideways.
    sums: Vec<u16>,
    /// [`LANES`] such rows side by side, one in each 16 bits. So one multiplication serves four target
    /// pixels, on any processor. Scaling sideways pixel by pixel would take the most time.
    lanes: Vec<u64>,
}

const LANES: usize = 4;
const LANE_BITS: usize = 16;
/// Half a unit in each lane, so that truncation rounds.
const ROUNDING: u64 = 0x0080_0080_0080_0080;

impl Drawing {
    pub(super) fn new(picture: Size, placement: Placement) -> Self {
        let [luma, chroma, _] = plane_sizes(picture);
        Self {
            picture,
            luma: PlaneDrawing::new(luma, &placement),
            chroma: PlaneDrawing::new(chroma, &chroma_of(&placement)),
        }
    }

    /// Returns the size of the pictures that it can draw.
    pub(super) fn picture(&self) -> Size {
        self.picture
    }

    /// Returns the pixels on which it draws.
    pub(super) fn target(&self) -> Rect {
        self.luma.target
    }

    /// Draws a picture that has the size of this drawing and passed [`check`].
    pub(super) fn draw(&self, picture: &dyn I420, canvas: &mut Canvas, scratch: &mut Scratch) {
        let planes = [&self.luma, &self.chroma, &self.chroma];
        let sources = picture.planes().into_iter();
        for ((plane, source), target) in planes.into_iter().zip(sources).zip(canvas.planes()) {
            plane.draw(source, target, scratch);
        }
    }
}

impl PlaneDrawing {
    fn new(source: Size, placement: &Placement) -> Self {
        let Placement { crop, target } = *placement;
        let how = match whole_pixels(crop, target) {
            Some((left, top)) => How::Copy { left, top },
            None => How::Scale(Scaling::new(source, crop, target)),
        };
        Self { target, how }
    }

    fn draw(&self, source: Plane<'_>, target: CanvasPlane<'_>, scratch: &mut Scratch) {
        let rows = target.rows(self.target);
        match &self.how {
            How::Copy { left, top } => {
                for (row, y) in rows.zip(*top..) {
                    let from = y * source.stride + left;
                    row.copy_from_slice(&source.data[from..from + row.len()]);
                }
            }
            How::Scale(scaling) => scaling.draw(source, rows, scratch),
        }
    }
}

impl Scaling {
    fn new(source: Size, crop: Crop, target: Rect) -> Self {
        let rows = Axis::new(Span {
            from: crop.top,
            length: crop.height,
            source: source.height,
            target: target.height,
        });
        let columns = Axis::new(Span {
            from: crop.left,
            length: crop.width,
            source: source.width,
            target: target.width,
        });
        let used = columns.used();
        let columns = columns.counted_from(used.start);
        Self { rows, columns, used }
    }

    fn draw<'a>(
        &self,
        source: Plane<'_>,
        mut targets: impl Iterator<Item = &'a mut [u8]>,
        scratch: &mut Scratch,
    ) {
        let mut blends = self.rows.iter();
        loop {
            // Rows after the last one are empty, and nothing is written to them.
            let rows: [&mut [u8]; LANES] = std::array::from_fn(|_| targets.next().unwrap_or_default());
            if rows[0].is_empty() {
                return;
            }
            scratch.lanes.clear();
            scratch.lanes.resize(self.used.len(), 0);
            for (lane, (first, weights)) in blends.by_ref().take(LANES).enumerate() {
                self.blend_rows(source, first, weights, &mut scratch.sums);
                for (lanes, sum) in scratch.lanes.iter_mut().zip(&scratch.sums) {
                    *lanes |= u64::from(sum >> UNITY_BITS) << (LANE_BITS * lane);
                }
            }
            self.blend_columns(&scratch.lanes, rows);
        }
    }

    /// Computes one row from the source's rows from `first` on.
    fn blend_rows(&self, source: Plane<'_>, first: usize, weights: &[u16], sums: &mut Vec<u16>) {
        let rows = |index: usize| {
            let start = (first + index) * source.stride;
            &source.data[start + self.used.start..start + self.used.end]
        };
        sums.clear();
        sums.resize(self.used.len(), UNITY / 2);
        // Often the last rows of the area have no weight.
        let counting = weights.iter().rposition(|&weight| weight != 0);
        let weights = &weights[..counting.map_or(0, |last| last + 1)];
        let (fours, rest) = weights.as_chunks::<4>();
        for (index, weights) in fours.iter().enumerate() {
            add_rows(sums, std::array::from_fn(|i| rows(4 * index + i)), weights);
        }
        let done = 4 * fours.len();
        match *rest {
            [a, b, c] => add_rows(sums, [rows(done), rows(done + 1), rows(done + 2)], &[a, b, c]),
            [a, b] => add_rows(sums, [rows(done), rows(done + 1)], &[a, b]),
            [a] => add_rows(sums, [rows(done)], &[a]),
            _ => {}
        }
    }

    fn blend_columns(&self, lanes: &[u64], rows: [&mut [u8]; LANES]) {
        // The numbers of taps that occur when the layer fits the tile get code without an inner loop.
        match self.columns.taps() {
            2 => self.blend_taps::<2>(lanes, rows),
            3 => self.blend_taps::<3>(lanes, rows),
            4 => self.blend_taps::<4>(lanes, rows),
            taps => spread(rows, |x| {
                let start = self.columns.starts()[x] as usize;
                let weights = &self.columns.weights()[x * taps..];
                weighted(&lanes[start..start + taps], weights)
            }),
        }
    }

    fn blend_taps<const TAPS: usize>(&self, lanes: &[u64], rows: [&mut [u8]; LANES]) {
        let (weights, _) = self.columns.weights().as_chunks::<TAPS>();
        let starts = self.columns.starts();
        spread(rows, |x| {
            let start = starts[x] as usize;
            weighted(&lanes[start..start + TAPS], &weights[x])
        });
    }
}

/// Adds weighted rows to the sums, several at a time, so that each sum is loaded and stored once.
///
/// Sums stay below 2^16: the largest is 255 * 256 + 128. With overflow checks on, compilers vectorise only
/// arithmetic that may wrap.
fn add_rows<const N: usize>(sums: &mut [u16], rows: [&[u8]; N], weights: &[u16; N]) {
    // Slices of the same length need no bounds checks in the loop.
    let rows = rows.map(|row| &row[..sums.len()]);
    for (x, sum) in sums.iter_mut().enumerate() {
        for (row, &weight) in rows.iter().zip(weights) {
            *sum = sum.wrapping_add(u16::from(row[x]).wrapping_mul(weight));
        }
    }
}

/// Writes the pixels that `lanes_at` returns for each column into the rows.
fn spread(rows: [&mut [u8]; LANES], lanes_at: impl Fn(usize) -> u64) {
    let [a, b, c, d] = rows;
    if [&b, &c, &d].into_iter().all(|row| row.len() == a.len()) {
        let pixels = a.iter_mut().zip(b).zip(c).zip(d);
        for (x, (((a, b), c), d)) in pixels.enumerate() {
            // The upper byte of each lane is the pixel, the lower one its fraction.
            let [_, in_a, _, in_b, _, in_c, _, in_d] = lanes_at(x).to_le_bytes();
            (*a, *b, *c, *d) = (in_a, in_b, in_c, in_d);
        }
    } else {
        for (lane, row) in [a, b, c, d].into_iter().enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = lanes_at(x).to_le_bytes()[2 * lane + 1];
            }
        }
    }
}

/// Returns the weighted sum in each lane: below 2^16, so that no lane overflows into the next.
fn weighted(lanes: &[u64], weights: &[u16]) -> u64 {
    let products = lanes.iter().zip(weights);
    products.fold(ROUNDING, |sum, (&lanes, &weight)| sum.wrapping_add(lanes.wrapping_mul(u64::from(weight))))
}

/// Checks that the picture can be drawn: it has pixels, and its planes have the length that its size
/// requires.
pub(super) fn check(picture: &dyn I420) -> Result<(), BadPlane> {
    let sizes = plane_sizes(picture.size());
    for (Plane { data, stride }, Size { width, height }) in picture.planes().into_iter().zip(sizes) {
        let rows_before_last = (height as usize).checked_sub(1);
        let needed = rows_before_last.map(|rows| rows * stride + width as usize);
        if width == 0 || stride < width as usize || needed.is_none_or(|n| data.len() < n) {
            return Err(BadPlane { width, height, stride, len: data.len() });
        }
    }
    Ok(())
}

/// Returns the sizes of the planes Y, U and V.
fn plane_sizes(picture: Size) -> [Size; 3] {
    let chroma = Size { width: picture.width.div_ceil(2), height: picture.height.div_ceil(2) };
    [picture, chroma, chroma]
}

/// Returns the first column and row of a crop that has the target's size and begins at whole pixels.
fn whole_pixels(crop: Crop, target: Rect) -> Option<(usize, usize)> {
    let same_size = crop.width == f64::from(target.width) && crop.height == f64::from(target.height);
    let on_pixels = crop.left.fract() == 0.0 && crop.top.fract() == 0.0;
    (same_size && on_pixels).then_some((crop.left as usize, crop.top as usize))
}

/// Returns the same placement in chroma samples. If the target's outermost chroma samples are left out
/// ([`Rect::chroma`]), the crop is reduced as much, so that colour stays where brightness is.
fn chroma_of(luma: &Placement) -> Placement {
    let target = luma.target.chroma();
    let (x_step, y_step) =
        (luma.crop.width / f64::from(luma.target.width), luma.crop.height / f64::from(luma.target.height));
    let (left_out, top_out) = (target.x * 2 - luma.target.x, target.y * 2 - luma.target.y);
    let crop = Crop {
        left: (luma.crop.left + f64::from(left_out) * x_step) / 2.0,
        top: (luma.crop.top + f64::from(top_out) * y_step) / 2.0,
        width: f64::from(target.width) * x_step,
        height: f64::from(target.height) * y_step,
    };
    Placement { crop, target }
}
