//! Encodes one picture of a recording as JPEG, for previews while it runs. Pure.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::EncodeError;
use crate::media::{Size, StreamKind};

/// Out of 100: small type on a shared screen can be read.
const QUALITY: u8 = 80;

/// Encodes a tightly packed I420 picture (BT.601, limited range) with even sides as a JPEG file of the same
/// size.
pub fn jpeg(canvas: &[u8], size: Size) -> Result<Vec<u8>, EncodeError> {
    let Size { width, height } = size;
    let expected = width as usize * height as usize / 2 * 3;
    if canvas.len() != expected {
        return Err(EncodeError::Shape { stream: StreamKind::Video, got: canvas.len(), expected });
    }
    let mut file = Vec::new();
    let encoder = &mut JpegEncoder::new_with_quality(&mut file, QUALITY);
    encoder.encode(&rgb(canvas, size), width, height, ExtendedColorType::Rgb8)?;
    Ok(file)
}

fn rgb(canvas: &[u8], size: Size) -> Vec<u8> {
    let (width, luma) = (size.width as usize, size.width as usize * size.height as usize);
    let (y, chroma) = canvas.split_at(luma);
    let (u, v) = chroma.split_at(luma / 4);
    let mut out = Vec::with_capacity(luma * 3);
    for (row, line) in y.chunks_exact(width).enumerate() {
        let half = row / 2 * (width / 2)..(row / 2 + 1) * (width / 2);
        let colours = u[half.clone()].iter().zip(&v[half]);
        for (pair, (&u, &v)) in line.chunks_exact(2).zip(colours) {
            pair.iter().for_each(|&y| out.extend(pixel(y, u, v)));
        }
    }
    out
}

/// ITU-R BT.601, in 256ths.
fn pixel(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (298 * (i32::from(y) - 16) + 128, i32::from(u) - 128, i32::from(v) - 128);
    let colours = [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u];
    colours.map(|colour| (colour >> 8).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::tests::decoded::pixels_of_jpeg;

    const SIZE: Size = Size { width: 64, height: 32 };
    /// Black, white and three colours: as YCbCr (BT.601, limited range), and as RGB.
    const COLOURS: [([u8; 3], [u8; 3]); 5] = [
        ([16, 128, 128], [0, 0, 0]),
        ([235, 128, 128], [255, 255, 255]),
        ([81, 90, 240], [255, 0, 0]),
        ([145, 54, 34], [0, 255, 0]),
        ([41, 240, 110], [0, 0, 255]),
    ];
    /// For a plain colour: rounding in three conversions.
    const TOLERANCE: u8 = 4;

    /// Returns a picture with the left half in one colour and the right half in another.
    fn halves(left: [u8; 3], right: [u8; 3]) -> Vec<u8> {
        let row = |width: usize, n: usize| [vec![left[n]; width / 2], vec![right[n]; width / 2]].concat();
        let planes = [row(64, 0).repeat(32), row(32, 1).repeat(16), row(32, 2).repeat(16)];
        planes.concat()
    }

    #[test]
    fn a_jpeg_has_the_colours_of_the_frame_where_the_frame_has_them() {
        for ((left, left_rgb), (right, right_rgb)) in COLOURS.into_iter().zip(COLOURS.into_iter().rev()) {
            let (size, pixels) = pixels_of_jpeg(jpeg(&halves(left, right), SIZE).expect("a JPEG"));
            assert_eq!(size, SIZE);
            for (x, expected) in [(8, left_rgb), (56, right_rgb)] {
                let at = (16 * 64 + x) * 3;
                let found = &pixels[at..at + 3];
                let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= TOLERANCE);
                assert!(near, "{found:?}, not {expected:?}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_frame_of_that_size_are_refused() {
        assert!(matches!(jpeg(&[0; 100], SIZE), Err(EncodeError::Shape { got: 100, expected: 3072, .. })));
    }
}
