//! How names, panels and borders look, at any size of a tile.

use unicode_segmentation::UnicodeSegmentation;

use crate::media::{Size, Theme};

use super::super::canvas::Canvas;
use super::super::layout::Rect;
use super::stamp::{Pixmap, Rgba, Stamp, ycbcr};
use super::text::{FontCache, Style};

/// Smaller letters cannot be read after encoding.
const LETTERS_MIN: u32 = 11;
const LETTERS_MAX: u32 = 28;
const WHITE: [u8; 3] = [255; 3];
/// The background of a name, so that it can be read on any picture.
const SHADE: Rgba = [0, 0, 0, 150];
/// A blue that faces and rooms do not have.
const SPEAKS: [u8; 3] = [0x3b, 0x9c, 0xff];

/// Returns a participant's name for the lower left corner of their tile; `None` if the tile is too small for
/// it.
pub(in super::super) fn name_tag(name: &str, cell: Rect, fonts: &mut FontCache) -> Option<Stamp> {
    let size = (cell.height / 16).clamp(LETTERS_MIN, LETTERS_MAX);
    let (margin, padding) = (size / 2, size / 2);
    let around = 2 * (margin + padding);
    if cell.height < 3 * size || cell.width < around + 3 * size {
        return None;
    }
    let style = Style { size, width_max: cell.width - around, colour: WHITE };
    let text = fonts.write(name, style)?;
    let mut tag = Pixmap::filled(
        Size { width: text.size.width + 2 * padding, height: text.size.height + padding / 2 },
        SHADE,
    );
    tag.lay(&text, padding.into(), (padding / 4).into());
    Some(Stamp::new(&tag, cell.x + margin, cell.y + cell.height - margin - tag.size.height))
}

/// Fills a cell with the initials of a participant without a picture.
pub(in super::super) fn initials_panel(
    name: &str,
    cell: Rect,
    theme: Theme,
    canvas: &mut Canvas,
    fonts: &mut FontCache,
) {
    let size = (cell.height.min(cell.width) / 3).max(LETTERS_MIN);
    panel(&initials(name), size, cell, theme, canvas, fonts);
}

/// Fills a cell with a sentence that says why there is no picture.
pub(in super::super) fn notice_panel(
    notice: &str,
    cell: Rect,
    theme: Theme,
    canvas: &mut Canvas,
    fonts: &mut FontCache,
) {
    let size = (cell.height / 14).clamp(LETTERS_MIN, LETTERS_MAX);
    panel(notice, size, cell, theme, canvas, fonts);
}

/// Draws along the inner edge of a cell.
pub(in super::super) fn draw_border(cell: Rect, canvas: &mut Canvas) {
    let Rect { x, y, width, height } = cell;
    let thick = (height.min(width) / 60).clamp(1, 2) * 2;
    if width < 4 * thick || height < 4 * thick {
        return;
    }
    let colour = ycbcr(SPEAKS);
    for edge in [
        Rect { height: thick, ..cell },
        Rect { y: y + height - thick, height: thick, ..cell },
        Rect { width: thick, ..cell },
        Rect { x: x + width - thick, width: thick, ..cell },
    ] {
        canvas.fill(edge, colour);
    }
}

fn panel(text: &str, size: u32, cell: Rect, theme: Theme, canvas: &mut Canvas, fonts: &mut FontCache) {
    let (ground, ink) = match theme {
        Theme::Dark => ([0x2a, 0x2d, 0x33], [0xe6, 0xe8, 0xeb]),
        Theme::Light => ([0xdd, 0xe0, 0xe5], [0x33, 0x37, 0x3d]),
    };
    canvas.fill(cell, ycbcr(ground));
    let style = Style { size, width_max: cell.width.saturating_sub(size), colour: ink };
    // A tile that is too small for the letters shows the panel alone.
    let line = fonts.write(text, style).filter(|line| line.size.height + 2 <= cell.height);
    if let Some(line) = line {
        let x = cell.x + (cell.width - line.size.width) / 2;
        let y = cell.y + (cell.height - line.size.height) / 2;
        Stamp::new(&line, x, y).blend(canvas);
    }
}

/// Returns the first letters of the first and the last word, as written in their script.
fn initials(name: &str) -> String {
    let mut firsts = name.split_whitespace().filter_map(|word| word.graphemes(true).next());
    let first = firsts.next().unwrap_or("?");
    let last = firsts.next_back().unwrap_or_default();
    format!("{first}{last}").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_the_first_letters_of_the_first_and_the_last_word() {
        for (name, expected) in [
            ("Ann Marie Smith", "AS"),
            ("ann", "A"),
            ("  élodie  durand ", "ÉD"),
            ("王小明", "王"),
            ("हिन्दी नाम", "हिना"),
            ("محمد علي", "مع"),
            ("", "?"),
        ] {
            assert_eq!(initials(name), expected);
        }
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_cell_whatever_its_size() {
        let frame = Size { width: 640, height: 360 };
        let (mut fonts, name) = (FontCache::default(), "Somebody With A Rather Long Name, PhD");
        for (width, height) in
            [(1, 1), (7, 300), (30, 13), (61, 47), (121, 33), (213, 131), (421, 233), (500, 301)]
        {
            for draw in 0..4 {
                let mut canvas = Canvas::new(frame, Theme::Dark);
                let cell = Rect { x: 33, y: 21, width, height };
                match draw {
                    0 => draw_border(cell, &mut canvas),
                    1 => initials_panel(name, cell, Theme::Light, &mut canvas, &mut fonts),
                    2 => notice_panel(name, cell, Theme::Light, &mut canvas, &mut fonts),
                    _ => {
                        let tag = name_tag(name, cell, &mut fonts);
                        tag.into_iter().for_each(|tag| tag.blend(&mut canvas));
                    }
                }
                canvas.clear_cell(cell, Theme::Dark);
                let untouched = Canvas::new(frame, Theme::Dark);
                assert!(canvas.bytes() == untouched.bytes(), "{draw} in {width}x{height}");
            }
        }
    }
}
