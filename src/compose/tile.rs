//! One tile on the canvas: its cell, and what was drawn in it. It is drawn again only when it has changed.

use std::sync::Arc;

use crate::media::{I420, Picture, Rotation, VideoSource, View};

use super::canvas::Canvas;
use super::decor::{self, FontCache, Stamp};
use super::fit;
use super::plan::Seat;
use super::rotate::{self, Upright};
use super::scale::{Drawing, Scratch};

/// What a tile shows.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub content: Content<'a>,
    /// The name in the corner of the tile.
    pub name: Option<&'a str>,
    /// Whether the tile has a border.
    pub speaks: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Picture {
        picture: &'a Picture,
        source: VideoSource,
    },
    /// Why the track has no picture.
    Notice(&'a str),
    /// The name of a participant without a camera.
    Initials(&'a str),
}

/// Buffers that are reused for every tile.
pub(super) struct DrawContext {
    scratch: Scratch,
    upright: Upright,
    fonts: FontCache,
}

pub(super) struct Tile {
    pub seat: Seat,
    drawn: Drawn,
    tag: Option<Tag>,
    /// A border was drawn.
    speaks: bool,
}

/// What was drawn in a tile's cell on the canvas.
#[expect(clippy::large_enum_variant, reason = "there are 25 at most, and nearly all are images")]
enum Drawn {
    Background,
    Image { image: Arc<dyn I420>, drawing: Drawing },
    Notice(String),
    Initials(String),
}

struct Tag {
    name: String,
    /// `None` if the tile is too small for it.
    stamp: Option<Stamp>,
}

impl DrawContext {
    pub(super) fn new(fonts: FontCache) -> Self {
        Self { scratch: Scratch::default(), upright: Upright::default(), fonts }
    }
}

impl Tile {
    pub(super) fn new(seat: Seat) -> Self {
        Self { seat, drawn: Drawn::Background, tag: None, speaks: false }
    }

    /// Returns whether the tile looks like this already.
    pub(super) fn looks_like(&self, shown: &Shown<'_>) -> bool {
        let same_content = match (&self.drawn, shown.content) {
            (Drawn::Image { image, .. }, Content::Picture { picture, .. }) => {
                Arc::ptr_eq(image, &picture.image)
            }
            (Drawn::Notice(drawn), Content::Notice(notice)) => drawn == notice,
            (Drawn::Initials(drawn), Content::Initials(name)) => drawn == name,
            (Drawn::Background | Drawn::Image { .. } | Drawn::Notice(_) | Drawn::Initials(_), _) => false,
        };
        let same_name = self.tag.as_ref().map(|tag| tag.name.as_str()) == shown.name;
        self.seat.cell.is_empty() || (same_content && same_name && self.speaks == shown.speaks)
    }

    pub(super) fn draw(
        &mut self,
        shown: &Shown<'_>,
        view: View,
        canvas: &mut Canvas,
        context: &mut DrawContext,
    ) {
        if self.looks_like(shown) {
            return;
        }
        let (cell, fonts) = (self.seat.cell, &mut context.fonts);
        match shown.content {
            Content::Picture { picture, source } => self.draw_picture(picture, source, view, canvas, context),
            Content::Notice(notice) => {
                decor::notice_panel(notice, cell, view.theme, canvas, fonts);
                self.drawn = Drawn::Notice(notice.to_owned());
            }
            Content::Initials(name) => {
                decor::initials_panel(name, cell, view.theme, canvas, fonts);
                self.drawn = Drawn::Initials(name.to_owned());
            }
        }
        self.draw_tag(shown.name, canvas, &mut context.fonts);
        self.speaks = shown.speaks;
        if self.speaks {
            decor::draw_border(cell, canvas);
        }
    }

    fn draw_picture(
        &mut self,
        picture: &Picture,
        source: VideoSource,
        view: View,
        canvas: &mut Canvas,
        context: &mut DrawContext,
    ) {
        let Picture { image, rotation, .. } = picture;
        let (drawing, is_new) = self.drawing_for(picture, source, view);
        // Beside a picture that does not fill its cell, nothing draws over the old decorations.
        let is_decorated = self.tag.is_some() || self.speaks;
        if drawing.target() != self.seat.cell && (is_new || is_decorated) {
            canvas.clear_cell(self.seat.cell, view.theme);
        }
        match rotation {
            Rotation::Upright => drawing.draw(&**image, canvas, &mut context.scratch),
            Rotation::By90 | Rotation::By180 | Rotation::By270 => {
                let upright = context.upright.rotate(&**image, *rotation);
                drawing.draw(upright, canvas, &mut context.scratch);
            }
        }
        self.drawn = Drawn::Image { image: Arc::clone(image), drawing };
    }

    /// Returns the present drawing, or a new one if the picture's size has changed; and whether it is new.
    fn drawing_for(&mut self, picture: &Picture, source: VideoSource, view: View) -> (Drawing, bool) {
        let size = rotate::upright(picture.image.size(), picture.rotation);
        match std::mem::replace(&mut self.drawn, Drawn::Background) {
            Drawn::Image { drawing, .. } if drawing.picture() == size => (drawing, false),
            Drawn::Background | Drawn::Image { .. } | Drawn::Notice(_) | Drawn::Initials(_) => {
                let fit = fit::fit_of(source, size, view.fit);
                (Drawing::new(size, fit::place(size, self.seat.cell, fit)), true)
            }
        }
    }

    fn draw_tag(&mut self, name: Option<&str>, canvas: &mut Canvas, fonts: &mut FontCache) {
        if self.tag.as_ref().map(|tag| tag.name.as_str()) != name {
            self.tag = name.map(|name| Tag {
                name: name.to_owned(),
                stamp: decor::name_tag(name, self.seat.cell, fonts),
            });
        }
        if let Some(stamp) = self.tag.as_ref().and_then(|tag| tag.stamp.as_ref()) {
            stamp.blend(canvas);
        }
    }
}
