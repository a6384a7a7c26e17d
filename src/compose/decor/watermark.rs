//! The watermark: a PNG file in a corner of every frame.

use std::fs::File;
use std::io::{self, BufReader};

use png::{BitDepth, ColorType, DecodingError, Limits, Transformations};

use crate::media::{Corner, Size, Watermark};

use super::stamp::{Pixmap, Rgba, Stamp};

/// Far more than a picture as large as a frame needs.
const DECODED_BYTES_MAX: usize = 64 << 20;

/// Why a file cannot be the watermark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatermarkFault {
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    #[error("is not a PNG picture: {0}")]
    NotPng(String),
    #[error(
        "is {width}x{height}, and must fit into the frame of {frame_width}x{frame_height}, \
         {margin} pixels from its edges"
    )]
    TooLarge { width: u32, height: u32, frame_width: u32, frame_height: u32, margin: u32 },
    #[error("must have an opacity of 0 to 1")]
    Opacity,
}

pub(in super::super) fn load(watermark: &Watermark, frame: Size) -> Result<Stamp, WatermarkFault> {
    if !(0.0..=1.0).contains(&watermark.opacity) {
        return Err(WatermarkFault::Opacity);
    }
    let file = File::open(&watermark.file).map_err(|error| WatermarkFault::Unreadable(error.kind()))?;
    let mut pixmap = decode(file)?;
    for pixel in &mut pixmap.pixels {
        *pixel = faded(*pixel, watermark.opacity);
    }
    let (x, y) = place(pixmap.size, watermark.corner, frame)?;
    Ok(Stamp::new(&pixmap, x, y))
}

fn decode(file: File) -> Result<Pixmap, WatermarkFault> {
    let limits = Limits { bytes: DECODED_BYTES_MAX };
    let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::ALPHA | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(not_png)?;
    let len = reader.output_buffer_size().filter(|len| *len <= DECODED_BYTES_MAX);
    let mut bytes = vec![0; len.ok_or_else(|| WatermarkFault::NotPng("it is too large".to_owned()))?];
    let info = reader.next_frame(&mut bytes).map_err(not_png)?;
    let bytes = &bytes[..info.buffer_size()];
    let pixels = match (info.color_type, info.bit_depth) {
        (ColorType::Rgba, BitDepth::Eight) => bytes.as_chunks().0.to_vec(),
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
            bytes.as_chunks().0.iter().map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect()
        }
        // The transformations above produce no other colour type.
        (kind, depth) => return Err(WatermarkFault::NotPng(format!("{kind:?} of {depth:?} bits"))),
    };
    Ok(Pixmap { size: Size { width: info.width, height: info.height }, pixels })
}

fn not_png(error: DecodingError) -> WatermarkFault {
    match error {
        DecodingError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            WatermarkFault::Unreadable(error.kind())
        }
        error => WatermarkFault::NotPng(error.to_string()),
    }
}

fn faded([red, green, blue, alpha]: Rgba, opacity: f32) -> Rgba {
    let alpha = f32::from(alpha) * opacity / 255.0;
    [red, green, blue, 255].map(|part| (f32::from(part) * alpha).round() as u8)
}

fn place(size: Size, corner: Corner, frame: Size) -> Result<(u32, u32), WatermarkFault> {
    let margin = frame.height / 45 / 2 * 2;
    let spare = |length: u32, of: u32| of.checked_sub(length.div_ceil(2) * 2 + 2 * margin);
    let (Some(x), Some(y)) = (spare(size.width, frame.width), spare(size.height, frame.height)) else {
        return Err(WatermarkFault::TooLarge {
            width: size.width,
            height: size.height,
            frame_width: frame.width,
            frame_height: frame.height,
            margin,
        });
    };
    let (left, right, top, bottom) = (margin, margin + x, margin, margin + y);
    Ok(match corner {
        Corner::TopLeft => (left, top),
        Corner::TopRight => (right, top),
        Corner::BottomLeft => (left, bottom),
        Corner::BottomRight => (right, bottom),
    })
}
