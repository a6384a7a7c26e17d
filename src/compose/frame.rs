//! Keeps the canvas up to date: draws a tile again when its content has changed, and everything when the
//! seats have. Owns the canvas; [`super::scene`] decides who is seen where.

use crate::media::{Size, View};

use super::canvas::Canvas;
use super::decor::{FontCache, Stamp};
use super::plan::Seat;
use super::room_state::TileId;
use super::tile::{DrawContext, Shown, Tile};

pub(super) struct Frame {
    canvas: Canvas,
    view: View,
    context: DrawContext,
    tiles: Vec<Tile>,
    watermark: Option<Watermark>,
}

struct Watermark {
    stamp: Stamp,
    /// The pixels under the watermark, while it is on the canvas.
    beneath: Vec<u8>,
}

impl Frame {
    pub(super) fn new(size: Size, view: View, watermark: Option<Stamp>, fonts: FontCache) -> Self {
        let mut canvas = Canvas::new(size, view.theme);
        let mut watermark = watermark.map(|stamp| Watermark { stamp, beneath: Vec::new() });
        watermark.iter_mut().for_each(|watermark| watermark.put_on(&mut canvas));
        Self { canvas, view, context: DrawContext::new(fonts), tiles: Vec::new(), watermark }
    }

    /// Brings the canvas up to date. A tile for which `shown` returns `None` stays as it was drawn.
    pub(super) fn show<'a>(
        &mut self,
        view: View,
        seats: &[Seat],
        shown: impl Fn(TileId) -> Option<Shown<'a>>,
    ) {
        let same_seats = view == self.view && self.tiles.iter().map(|tile| &tile.seat).eq(seats);
        let new_looks = || self.tiles.iter().any(|t| shown(t.seat.id).is_some_and(|s| !t.looks_like(&s)));
        if same_seats && !new_looks() {
            return;
        }
        if let Some(watermark) = &self.watermark {
            watermark.take_off(&mut self.canvas);
        }
        if !same_seats {
            self.arrange(view, seats);
        }
        for tile in &mut self.tiles {
            if let Some(shown) = shown(tile.seat.id) {
                tile.draw(&shown, self.view, &mut self.canvas, &mut self.context);
            }
        }
        if let Some(watermark) = &mut self.watermark {
            watermark.put_on(&mut self.canvas);
        }
    }

    pub(super) fn canvas(&self) -> &[u8] {
        self.canvas.bytes()
    }

    fn arrange(&mut self, view: View, seats: &[Seat]) {
        self.view = view;
        self.canvas.clear(view.theme);
        self.tiles.clear();
        self.tiles.extend(seats.iter().copied().map(Tile::new));
    }
}

impl Watermark {
    fn put_on(&mut self, canvas: &mut Canvas) {
        self.beneath = self.stamp.beneath(canvas);
        self.stamp.blend(canvas);
    }

    fn take_off(&self, canvas: &mut Canvas) {
        self.stamp.put_back(&self.beneath, canvas);
    }
}
