//! Draws a decoded picture on the canvas: crops and scales its three planes straight from the
//! decoder's memory to their place. Owns the scaling algorithm; where to draw is decided in
//! [`super::fit`]. The only file that knows `fast_image_resize`.

use fast_image_resize::images::{TypedCroppedImage, TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::media::{I420, Plane, Size};

use super::canvas::{Canvas, CanvasPlane};
use super::fit::{Crop, Placement};
use super::layout::Rect;

/// Up to this factor of shrinking, interpolation between two pixels each way leaves no source pixel
/// out. That is so wherever the simulcast layer fits the tile, and it costs half as much as weighing
/// all pixels that fall on a target pixel, without which larger factors would flicker.
const INTERPOLATED_UP_TO: f64 = 2.0;

/// A picture cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DrawError {
    #[error("a plane of {width}x{height} with {stride} bytes a row has only {len} bytes")]
    Plane { width: u32, height: u32, stride: usize, len: usize },
    #[error("a part of the picture or the canvas lies outside of it")]
    Outside,
}

#[derive(Default)]
pub(super) struct Scaler {
    resizer: Resizer,
}

impl Scaler {
    /// Draws `placement.crop` of the picture on `placement.target` of the canvas. If that is as
    /// large, it is only copied.
    pub(super) fn draw(
        &mut self,
        picture: &dyn I420,
        placement: &Placement,
        canvas: &mut Canvas,
    ) -> Result<(), DrawError> {
        let parts = [*placement, chroma_of(placement), chroma_of(placement)];
        let sizes = plane_sizes(picture.size());
        let sources = picture.planes().into_iter().zip(sizes);
        for ((source, part), target) in sources.zip(parts).zip(canvas.planes()) {
            self.draw_plane(source, &part, target)?;
        }
        Ok(())
    }

    fn draw_plane(
        &mut self,
        (source, size): (Plane<'_>, Size),
        part: &Placement,
        target: CanvasPlane<'_>,
    ) -> Result<(), DrawError> {
        if part.target.is_empty() {
            return Ok(());
        }
        let rows = whole_rows(source, size)?;
        let source =
            TypedCroppedImage::new(rows, 0, 0, size.width, size.height).map_err(|_| DrawError::Outside)?;
        let Rect { x, y, width, height } = part.target;
        let target = TypedImage::<U8>::from_buffer(target.width, target.height, target.data)
            .map_err(|_| DrawError::Outside)?;
        let mut target =
            TypedCroppedImageMut::new(target, x, y, width, height).map_err(|_| DrawError::Outside)?;
        let Crop { left, top, width, height } = part.crop.within(size);
        let options = ResizeOptions::new().resize_alg(algorithm(part)).crop(left, top, width, height);
        self.resizer.resize_typed(&source, &mut target, &options).map_err(|_| DrawError::Outside)
    }
}

fn algorithm(part: &Placement) -> ResizeAlg {
    let shrinks_by = f64::max(
        part.crop.width / f64::from(part.target.width),
        part.crop.height / f64::from(part.target.height),
    );
    if shrinks_by <= INTERPOLATED_UP_TO {
        ResizeAlg::Interpolation(FilterType::Bilinear)
    } else {
        ResizeAlg::Convolution(FilterType::Bilinear)
    }
}

/// Whether the picture can be drawn at all: it has pixels, and its planes are as long as they say.
pub(super) fn check(picture: &dyn I420) -> Result<(), DrawError> {
    let sizes = plane_sizes(picture.size());
    for (plane, size) in picture.planes().into_iter().zip(sizes) {
        whole_rows(plane, size)?;
    }
    Ok(())
}

/// The sizes of the planes Y, U and V.
fn plane_sizes(picture: Size) -> [Size; 3] {
    let chroma = Size { width: picture.width.div_ceil(2), height: picture.height.div_ceil(2) };
    [picture, chroma, chroma]
}

/// The plane with its padding.
fn whole_rows(plane: Plane<'_>, size: Size) -> Result<TypedImageRef<'_, U8>, DrawError> {
    let wrong = DrawError::Plane {
        width: size.width,
        height: size.height,
        stride: plane.stride,
        len: plane.data.len(),
    };
    let stride = u32::try_from(plane.stride).map_err(|_| wrong)?;
    if size.width == 0 || size.height == 0 || stride < size.width {
        return Err(wrong);
    }
    TypedImageRef::from_buffer(stride, size.height, plane.data).map_err(|_| wrong)
}

/// The same placement in chroma samples. Where the target's outermost chroma samples are left out
/// ([`Rect::chroma`]), as much is left out of the crop, so that colour stays where brightness is.
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

impl Crop {
    /// Takes away what floating-point rounding put outside.
    fn within(self, size: Size) -> Self {
        let (left, top) = (self.left.max(0.0), self.top.max(0.0));
        Self {
            left,
            top,
            width: fitting(left, self.width, f64::from(size.width)),
            height: fitting(top, self.height, f64::from(size.height)),
        }
    }
}

/// The largest length up to `length` that does not reach beyond `limit` from `from`.
fn fitting(from: f64, length: f64, limit: f64) -> f64 {
    if from + length <= limit {
        return length;
    }
    let mut fitting = limit - from;
    while from + fitting > limit {
        fitting = fitting.next_down();
    }
    fitting
}
