//! Keeps the canvas in step with what is to be seen: draws a tile when what it shows changed, and everything anew
//! when the seats did. Owns the canvas; who is to be seen where is decided in [`super::scene`].

use std::sync::Arc;

use crate::media::{I420, Picture, Rotation, Size, VideoSource, View};

use super::canvas::Canvas;
use super::cast::TileId;
use super::fit;
use super::plan::Seat;
use super::scale::{Drawing, Scratch};
use super::turn::{self, Upright};

/// What a tile is to show.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub source: VideoSource,
    pub picture: &'a Picture,
}

pub(super) struct Frame {
    canvas: Canvas,
    view: View,
    tools: Tools,
    tiles: Vec<Tile>,
}

/// Memory that is used again for every picture.
#[derive(Default)]
struct Tools {
    scratch: Scratch,
    upright: Upright,
}

struct Tile {
    seat: Seat,
    drawn: Drawn,
}

/// What lies in a tile's cell on the canvas.
#[expect(clippy::large_enum_variant, reason = "there are 25 at most, and nearly all are images")]
enum Drawn {
    Background,
    Image { image: Arc<dyn I420>, drawing: Drawing },
}

impl Frame {
    pub(super) fn new(size: Size, view: View) -> Self {
        let canvas = Canvas::new(size, view.theme);
        Self { canvas, view, tools: Tools::default(), tiles: Vec::new() }
    }

    /// Brings the canvas up to date. A tile of which `shown` knows nothing (any more) stays as it was drawn.
    pub(super) fn show<'a>(
        &mut self,
        view: View,
        seats: &[Seat],
        shown: impl Fn(TileId) -> Option<Shown<'a>>,
    ) {
        if view != self.view || !self.tiles.iter().map(|tile| &tile.seat).eq(seats) {
            self.arrange(view, seats);
        }
        for tile in &mut self.tiles {
            if let Some(shown) = shown(tile.seat.id) {
                tile.draw(shown, self.view, &mut self.canvas, &mut self.tools);
            }
        }
    }

    pub(super) fn canvas(&self) -> &[u8] {
        self.canvas.bytes()
    }

    fn arrange(&mut self, view: View, seats: &[Seat]) {
        self.view = view;
        self.canvas.clear(view.theme);
        self.tiles.clear();
        self.tiles.extend(seats.iter().map(|&seat| Tile { seat, drawn: Drawn::Background }));
    }
}

impl Tile {
    fn draw(&mut self, shown: Shown<'_>, view: View, canvas: &mut Canvas, tools: &mut Tools) {
        let Picture { image, rotation, .. } = shown.picture;
        if self.seat.cell.is_empty() || self.drawn.is(image) {
            return;
        }
        let drawing = self.drawing_for(shown, view, canvas);
        match rotation {
            Rotation::Upright => drawing.draw(&**image, canvas, &mut tools.scratch),
            Rotation::By90 | Rotation::By180 | Rotation::By270 => {
                drawing.draw(tools.upright.turn(&**image, *rotation), canvas, &mut tools.scratch);
            }
        }
        self.drawn = Drawn::Image { image: Arc::clone(image), drawing };
    }

    /// The drawing in use, or a new one, and then on a clean cell, if the size is another.
    fn drawing_for(&mut self, shown: Shown<'_>, view: View, canvas: &mut Canvas) -> Drawing {
        let Picture { image, rotation, .. } = shown.picture;
        let size = turn::upright(image.size(), *rotation);
        match std::mem::replace(&mut self.drawn, Drawn::Background) {
            Drawn::Image { drawing, .. } if drawing.picture() == size => return drawing,
            Drawn::Image { .. } => canvas.clear_cell(self.seat.cell, view.theme),
            Drawn::Background => {}
        }
        let fit = fit::fit_of(shown.source, size, view.fit);
        Drawing::new(size, fit::place(size, self.seat.cell, fit))
    }
}

impl Drawn {
    fn is(&self, image: &Arc<dyn I420>) -> bool {
        match self {
            Self::Background => false,
            Self::Image { image: drawn, .. } => Arc::ptr_eq(drawn, image),
        }
    }
}
