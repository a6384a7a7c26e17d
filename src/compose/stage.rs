//! Keeps the canvas in step with what is to be seen: draws a tile when its picture changed, and
//! everything anew when tiles came or went. Owns the canvas and who has which cell on it; who is
//! to be seen is decided in [`super::video`].

use std::sync::Arc;

use crate::media::{I420, Layout, Size, VideoSource};

use super::canvas::Canvas;
use super::fit;
use super::layout::{self, Rect};
use super::scale::{Drawing, Scratch};

/// Tells a tile from every other of the recording, also from an earlier one of the same track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TileId {
    /// Tiles lie in this order: who joined first is first,
    pub order: u64,
    /// and of those, what was published first.
    pub publication: u64,
}

/// What a tile is to show.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub id: TileId,
    pub source: VideoSource,
    pub image: &'a Arc<dyn I420>,
}

pub(super) struct Stage {
    size: Size,
    layout: Layout,
    canvas: Canvas,
    scratch: Scratch,
    tiles: Vec<Tile>,
}

struct Tile {
    id: TileId,
    cell: Rect,
    drawn: Drawn,
}

/// What lies in a tile's cell on the canvas.
#[expect(clippy::large_enum_variant, reason = "there are 25 at most, and nearly all are images")]
enum Drawn {
    Background,
    Image { image: Arc<dyn I420>, drawing: Drawing },
}

impl Stage {
    pub(super) fn new(size: Size, layout: Layout) -> Self {
        Self { size, layout, canvas: Canvas::new(size), scratch: Scratch::default(), tiles: Vec::new() }
    }

    /// Brings the canvas up to date; `shown` is in the order of the tiles.
    pub(super) fn show<'a>(&mut self, shown: impl Iterator<Item = Shown<'a>> + Clone) {
        let same_tiles = self.tiles.iter().map(|t| t.id).eq(shown.clone().map(|s| s.id));
        if !same_tiles {
            self.arrange(shown.clone().map(|s| s.id));
        }
        for (tile, shown) in self.tiles.iter_mut().zip(shown) {
            tile.draw(shown, &mut self.canvas, &mut self.scratch);
        }
    }

    pub(super) fn canvas(&self) -> &[u8] {
        self.canvas.bytes()
    }

    /// The cell of each tile, in the order of the tiles.
    pub(super) fn cells(&self) -> impl Iterator<Item = (TileId, Size)> {
        self.tiles.iter().map(|tile| (tile.id, tile.cell.size()))
    }

    fn arrange(&mut self, ids: impl Iterator<Item = TileId> + Clone) {
        self.canvas.clear();
        let cells = layout::cells(self.layout, self.size, ids.clone().count());
        self.tiles.clear();
        self.tiles.extend(ids.zip(cells).map(|(id, cell)| Tile { id, cell, drawn: Drawn::Background }));
    }
}

impl Tile {
    fn draw(&mut self, shown: Shown<'_>, canvas: &mut Canvas, scratch: &mut Scratch) {
        if self.cell.is_empty() || self.drawn.is(shown.image) {
            return;
        }
        let drawing = self.drawing_for(shown, canvas);
        drawing.draw(&**shown.image, canvas, scratch);
        self.drawn = Drawn::Image { image: Arc::clone(shown.image), drawing };
    }

    /// The drawing in use, or a new one, and then on a clean cell, if the size is another.
    fn drawing_for(&mut self, shown: Shown<'_>, canvas: &mut Canvas) -> Drawing {
        let size = shown.image.size();
        match std::mem::replace(&mut self.drawn, Drawn::Background) {
            Drawn::Image { drawing, .. } if drawing.picture() == size => return drawing,
            Drawn::Image { .. } => canvas.clear_cell(self.cell),
            Drawn::Background => {}
        }
        let fit = fit::fit_of(shown.source, size);
        Drawing::new(size, fit::place(size, self.cell, fit))
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
