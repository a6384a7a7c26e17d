//! Writes one line of text in any script that an installed font has. `cosmic-text` shapes the text, handles
//! both directions of writing and chooses the font. No other file uses it.

use cosmic_text::{
    Align, Attrs, Buffer, Color, Ellipsize, EllipsizeHeightLimit, FontSystem, Metrics, Shaping, SwashCache,
    Wrap,
};

use crate::media::Size;

use super::stamp::Pixmap;

/// A longer name is cut off in any tile, so the rest need not be shaped.
const CHARACTERS_MAX: usize = 200;
/// Includes descenders and marks above, as a multiple of the letters' size.
const LINE_HEIGHT: f32 = 1.3;

/// The installed fonts, loaded for the first text.
#[derive(Default)]
pub(in super::super) enum FontCache {
    #[default]
    NotYetNeeded,
    Loaded(Box<Fonts>),
    /// This machine has no font, so no text can be written.
    NoFont,
}

pub(in super::super) struct Fonts {
    system: FontSystem,
    glyphs: SwashCache,
}

/// How a line of text is written.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// The size of the letters, in pixels.
    pub size: u32,
    /// In pixels. Text that does not fit is cut off and ends in an ellipsis.
    pub width_max: u32,
    pub colour: [u8; 3],
}

/// Returns the number of fonts on this machine.
pub fn installed_fonts() -> usize {
    FontSystem::new().db().len()
}

impl FontCache {
    /// Loads the fonts now; returns whether there are any.
    pub(in super::super) fn load(&mut self) -> bool {
        self.fonts().is_some()
    }

    /// Returns a picture as wide as the text; `None` if the text has nothing visible, or there is no font.
    pub(super) fn write(&mut self, text: &str, style: Style) -> Option<Pixmap> {
        let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let text: String = printable.take(CHARACTERS_MAX).collect();
        if text.trim().is_empty() || style.size == 0 {
            return None;
        }
        self.fonts()?.write(text.trim(), style)
    }

    fn fonts(&mut self) -> Option<&mut Fonts> {
        if matches!(self, Self::NotYetNeeded) {
            let system = FontSystem::new();
            // The library expects at least one font.
            *self = match system.db().is_empty() {
                true => Self::NoFont,
                false => Self::Loaded(Box::new(Fonts { system, glyphs: SwashCache::new() })),
            };
        }
        match self {
            Self::Loaded(fonts) => Some(fonts),
            Self::NotYetNeeded | Self::NoFont => None,
        }
    }
}

impl Fonts {
    fn write(&mut self, text: &str, style: Style) -> Option<Pixmap> {
        let Style { size, width_max, colour: [red, green, blue] } = style;
        let height = (size as f32 * LINE_HEIGHT).ceil();
        let mut line = Buffer::new_empty(Metrics::new(size as f32, height));
        line.set_wrap(Wrap::None);
        line.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
        line.set_size(Some(width_max as f32), Some(height));
        // Aligned left, even if the text runs from right to left: the caller places the line.
        line.set_text(text, &Attrs::new(), Shaping::Advanced, Some(Align::Left));
        line.shape_until_scroll(&mut self.system, false);
        let run = line.layout_runs().next()?;
        let width = (run.line_w.ceil() as u32).min(width_max);
        if width == 0 {
            return None;
        }
        let mut pixmap = Pixmap::filled(Size { width, height: height as u32 }, [0; 4]);
        for glyph in run.glyphs {
            let glyph = glyph.physical((0.0, run.line_y), 1.0);
            let colour = Color::rgb(red, green, blue);
            self.glyphs.with_pixels(&mut self.system, glyph.cache_key, colour, |x, y, colour| {
                let (x, y) = (i64::from(glyph.x) + i64::from(x), i64::from(glyph.y) + i64::from(y));
                pixmap.put(x, y, multiplied(colour));
            });
        }
        Some(pixmap)
    }
}

fn multiplied(colour: Color) -> [u8; 4] {
    let alpha = u32::from(colour.a());
    let part = |value: u8| ((u32::from(value) * alpha + 127) / 255) as u8;
    [part(colour.r()), part(colour.g()), part(colour.b()), colour.a()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str, width_max: u32) -> Option<Pixmap> {
        FontCache::default().write(text, Style { size: 20, width_max, colour: [255; 3] })
    }

    fn ink(pixmap: &Pixmap) -> u32 {
        pixmap.pixels.iter().map(|pixel| u32::from(pixel[3])).sum()
    }

    #[test]
    fn a_text_is_as_wide_as_its_letters_and_has_ink() {
        let (short, long) = (write("Ann", 400).unwrap(), write("Ann and Ben", 400).unwrap());
        assert!(short.size.width < long.size.width && long.size.width < 200, "{:?}", long.size);
        assert_eq!(long.size.height, 26);
        assert!(ink(&short) > 5000 && ink(&long) > ink(&short));
    }

    #[test]
    fn a_text_that_is_too_long_ends_in_time() {
        let cut = write("A name so long that it does not fit into anybody's tile", 120).unwrap();
        assert!(cut.size.width <= 120 && cut.size.width > 80, "{:?}", cut.size);
        let whole = write("A name so long", 400).unwrap();
        assert!(ink(&cut) < 2 * ink(&whole));
        assert!(write(&"x".repeat(1_000_000), 300).unwrap().size.width <= 300);
    }

    #[test]
    fn what_has_nothing_to_be_seen_is_nothing() {
        for text in ["", " ", "\n\t", "\u{200b}"] {
            assert!(write(text, 300).is_none_or(|pixmap| ink(&pixmap) == 0), "{text:?}");
        }
    }

    #[test]
    fn line_breaks_and_strange_characters_stay_on_one_line() {
        for text in [
            "Ann\nBen",
            "\u{202e}evil",
            "مرحبا Ann",
            "👩‍👩‍👧 family",
            "e\u{301}\u{301}\u{301}",
            "\u{fffd}\u{10ffff}",
        ] {
            let pixmap = write(text, 300).unwrap();
            assert_eq!(pixmap.size.height, 26, "{text:?}");
            assert!(ink(&pixmap) > 0, "{text:?}");
        }
    }

    #[test]
    fn no_font_is_looked_for_before_a_text_is_written() {
        let mut fonts = FontCache::default();
        assert!(fonts.write("  ", Style { size: 20, width_max: 100, colour: [255; 3] }).is_none());
        assert!(matches!(fonts, FontCache::NotYetNeeded));
        assert!(fonts.load(), "the tests need fonts-dejavu-core");
        assert!(matches!(fonts, FontCache::Loaded(_)));
    }
}
