//! How a picture is fitted into its cell: which part of it is shown, and on which pixels. Pure arithmetic on
//! sizes. No picture is ever stretched, beyond the rounding to whole pixels.

use crate::media::{FitChoice, Size, VideoSource};

use super::layout::Rect;

/// A picture that is larger than its cell by no more than this many pixels each way is cropped instead of
/// scaled. Scaling by one or two percent costs CPU and sharpness for no benefit: 640x360 in the 636x356 cells
/// of a 2x2 grid, 320x180 in the 314x174 cells of a 4x4 grid.
const CROP_INSTEAD_OF_SCALING: u32 = 8;

/// How much rounding errors may add to a whole number of pixels.
const ROUNDING: f64 = 1e-6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The picture fills the cell; its excess is cut off evenly.
    Cover,
    /// The whole picture is shown; the background fills the rest of the cell.
    Contain,
}

/// A part of a picture, in luma pixels. Edges may lie between pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crop {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Which part of the picture is shown (`crop`), and where on the canvas (`target`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placement {
    pub crop: Crop,
    pub target: Rect,
}

/// A landscape camera fills its cell. A portrait camera (a square counts as portrait, as in LiveKit's own
/// layouts) and a screen share are shown whole. `choice` may set one of the two for all pictures.
pub(super) const fn fit_of(source: VideoSource, picture: Size, choice: FitChoice) -> Fit {
    match (choice, source) {
        (FitChoice::Cover, _) => Fit::Cover,
        (FitChoice::Contain, _) => Fit::Contain,
        (FitChoice::ByShape, VideoSource::Camera) if picture.width > picture.height => Fit::Cover,
        (FitChoice::ByShape, VideoSource::Camera | VideoSource::ScreenShare) => Fit::Contain,
    }
}

/// Neither `picture` nor `cell` may be empty.
pub(super) fn place(picture: Size, cell: Rect, fit: Fit) -> Placement {
    match fit {
        Fit::Cover => Placement { crop: cover(picture, cell.size()), target: cell },
        Fit::Contain => Placement { crop: Crop::whole(picture), target: contain(picture, cell) },
    }
}

/// Returns the size that the whole picture would have on the canvas, with what is cut off. A layer of this
/// size need not be enlarged.
pub(super) fn size_to_fill(picture: Size, cell: Rect, fit: Fit) -> Size {
    let Placement { crop, target } = place(picture, cell, fit);
    let scaled = |length: u32, shown: f64, target: u32| {
        (f64::from(length) * f64::from(target) / shown - ROUNDING).ceil() as u32
    };
    Size {
        width: scaled(picture.width, crop.width, target.width),
        height: scaled(picture.height, crop.height, target.height),
    }
}

impl Crop {
    fn whole(picture: Size) -> Self {
        Self { left: 0.0, top: 0.0, width: f64::from(picture.width), height: f64::from(picture.height) }
    }
}

fn cover(picture: Size, cell: Size) -> Crop {
    if is_just_larger(picture.width, cell.width) && is_just_larger(picture.height, cell.height) {
        return cut_out(picture, cell);
    }
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let (cell_width, cell_height) = (f64::from(cell.width), f64::from(cell.height));
    let (shown_width, shown_height) = if is_wider(picture, cell) {
        (height * cell_width / cell_height, height)
    } else {
        (width, width * cell_height / cell_width)
    };
    Crop {
        left: (width - shown_width) / 2.0,
        top: (height - shown_height) / 2.0,
        width: shown_width,
        height: shown_height,
    }
}

const fn is_just_larger(picture: u32, cell: u32) -> bool {
    picture >= cell && picture - cell <= CROP_INSTEAD_OF_SCALING
}

/// Returns the middle of the picture in the size of the cell. It begins at an even pixel so that chroma
/// samples are copied unchanged.
fn cut_out(picture: Size, cell: Size) -> Crop {
    let even_half = |excess: u32| f64::from(excess / 4 * 2);
    Crop {
        left: even_half(picture.width - cell.width),
        top: even_half(picture.height - cell.height),
        width: f64::from(cell.width),
        height: f64::from(cell.height),
    }
}

/// Returns the largest rectangle of the picture's shape in the middle of the cell. A side with a border
/// begins and ends at even pixels, so that its edges keep their colour (see [`Rect::chroma`]).
fn contain(picture: Size, cell: Rect) -> Rect {
    let (width, height) = if is_wider(picture, cell.size()) {
        (cell.width, even(scaled(cell.width, picture.height, picture.width), cell.height))
    } else {
        (even(scaled(cell.height, picture.width, picture.height), cell.width), cell.height)
    };
    Rect { x: centred(cell.x, cell.width, width), y: centred(cell.y, cell.height, height), width, height }
}

fn is_wider(picture: Size, than: Size) -> bool {
    u64::from(picture.width) * u64::from(than.height) > u64::from(than.width) * u64::from(picture.height)
}

/// `length * part / whole`.
fn scaled(length: u32, part: u32, whole: u32) -> f64 {
    f64::from(length) * f64::from(part) / f64::from(whole)
}

/// Returns the even number nearest to `length`, at least 2 and at most `limit`.
fn even(length: f64, limit: u32) -> u32 {
    (((length / 2.0).round() as u32).max(1) * 2).min(limit)
}

/// Returns where `inner` pixels begin in the middle of `outer` pixels from `from` on: at the nearest even
/// pixel, unless they fill it.
const fn centred(from: u32, outer: u32, inner: u32) -> u32 {
    if inner == outer {
        return from;
    }
    let twice_exact = 2 * from + outer - inner;
    (twice_exact + 1) / 4 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Rect = Rect { x: 429, y: 242, width: 421, height: 234 };

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    fn camera(picture: Size, cell: Rect) -> Placement {
        place(picture, cell, fit_of(VideoSource::Camera, picture, FitChoice::ByShape))
    }

    #[test]
    fn a_landscape_camera_covers_and_everything_else_is_contained() {
        assert_eq!(fit_of(VideoSource::Camera, size(640, 360), FitChoice::ByShape), Fit::Cover);
        assert_eq!(fit_of(VideoSource::Camera, size(360, 640), FitChoice::ByShape), Fit::Contain);
        assert_eq!(fit_of(VideoSource::Camera, size(480, 480), FitChoice::ByShape), Fit::Contain);
        assert_eq!(fit_of(VideoSource::ScreenShare, size(1920, 1080), FitChoice::ByShape), Fit::Contain);
    }

    #[test]
    fn a_fit_that_was_chosen_holds_for_every_picture() {
        for source in [VideoSource::Camera, VideoSource::ScreenShare] {
            for picture in [size(640, 360), size(360, 640)] {
                assert_eq!(fit_of(source, picture, FitChoice::Cover), Fit::Cover);
                assert_eq!(fit_of(source, picture, FitChoice::Contain), Fit::Contain);
            }
        }
    }

    #[test]
    fn a_covering_picture_loses_the_same_on_both_sides_and_keeps_its_shape() {
        for picture in [size(640, 360), size(640, 480), size(1280, 720), size(321, 181), size(2560, 1080)] {
            let Placement { crop, target } = camera(picture, CELL);
            assert_eq!(target, CELL);
            let right = f64::from(picture.width) - crop.left - crop.width;
            let bottom = f64::from(picture.height) - crop.top - crop.height;
            assert!((crop.left - right).abs() < 1e-9, "{picture:?}");
            assert!((crop.top - bottom).abs() < 1e-9, "{picture:?}");
            assert!(crop.left.abs() < 1e-9 || crop.top.abs() < 1e-9, "only one way is cropped");
            let stretch = (crop.width / 421.0) / (crop.height / 234.0);
            assert!((stretch - 1.0).abs() < 1e-9, "{picture:?} is stretched by {stretch}");
        }
    }

    #[test]
    fn a_picture_of_the_cells_size_is_taken_as_it_is() {
        let frame = Rect { x: 0, y: 0, width: 1280, height: 720 };
        let placement = camera(size(1280, 720), frame);
        assert_eq!(placement.crop, Crop::whole(size(1280, 720)));
        assert_eq!(placement.target, frame);
    }

    #[test]
    fn a_picture_a_few_pixels_larger_than_its_cell_is_cropped_and_not_scaled() {
        let cell = Rect { x: 644, y: 364, width: 636, height: 356 };
        let expected = Crop { left: 2.0, top: 2.0, width: 636.0, height: 356.0 };
        assert_eq!(camera(size(640, 360), cell).crop, expected);
        let cell = Rect { x: 0, y: 0, width: 314, height: 174 };
        let expected = Crop { left: 2.0, top: 2.0, width: 314.0, height: 174.0 };
        assert_eq!(camera(size(320, 180), cell).crop, expected);
    }

    #[test]
    fn the_layer_to_ask_for_is_as_large_as_the_picture_is_drawn() {
        let needed = |picture, fit| size_to_fill(picture, CELL, fit);
        assert_eq!(needed(size(1280, 720), Fit::Cover), size(421, 237), "a little more than the cell");
        assert_eq!(needed(size(640, 480), Fit::Cover), size(421, 316), "a third is cut off");
        assert_eq!(needed(size(720, 1280), Fit::Contain), size(132, 234));
        assert_eq!(needed(size(160, 90), Fit::Cover), size(421, 237), "whatever came so far");
    }

    #[test]
    fn a_contained_picture_is_whole_centred_and_keeps_its_shape_to_the_pixel() {
        for picture in [size(360, 640), size(1920, 1080), size(1080, 1080), size(1024, 768), size(90, 1600)] {
            let Placement { crop, target } = place(picture, CELL, Fit::Contain);
            assert_eq!(crop, Crop::whole(picture));
            let (left, right) = (target.x - CELL.x, CELL.x + CELL.width - target.x - target.width);
            let (above, below) = (target.y - CELL.y, CELL.y + CELL.height - target.y - target.height);
            assert!(left.abs_diff(right) <= 2 && above.abs_diff(below) <= 2, "{target:?}");
            let exact_width = scaled(target.height, picture.width, picture.height);
            let exact_height = scaled(target.width, picture.height, picture.width);
            assert!(
                (exact_width - f64::from(target.width)).abs() <= 1.0
                    || (exact_height - f64::from(target.height)).abs() <= 1.0,
                "{picture:?} becomes {target:?}"
            );
        }
    }

    #[test]
    fn a_contained_picture_with_borders_lies_on_even_pixels() {
        let target = place(size(360, 640), CELL, Fit::Contain).target;
        assert_eq!((target.x % 2, target.width % 2), (0, 0));
        assert_eq!((target.y, target.height), (CELL.y, CELL.height));
    }

    #[test]
    fn a_picture_of_absurd_shape_still_gets_a_place_inside_its_cell() {
        for picture in [size(17, 16000), size(16000, 17)] {
            for fit in [Fit::Cover, Fit::Contain] {
                let target = place(picture, CELL, fit).target;
                assert!(!target.is_empty());
                assert!(target.x >= CELL.x && target.x + target.width <= CELL.x + CELL.width);
                assert!(target.y >= CELL.y && target.y + target.height <= CELL.y + CELL.height);
            }
        }
    }
}
