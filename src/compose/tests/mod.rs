//! The specification of the composer, seen from outside: its calls, and its frames. This file has the room
//! that the tests use.

mod decorations;
mod pixels;
mod random;
mod resuming;
mod timeline;
mod views;

use std::time::Duration;

use super::fakes::{Image, sid, size};
use super::layout::{self, Rect};
use super::*;
use crate::media::{
    Decorations, FitChoice, Layout, MediaTime, Rotation, Size, Speaker, Streams, Theme, VideoSource, View,
};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const BLACK: [u8; 3] = [16, 128, 128];
const RED: [u8; 3] = [81, 90, 240];
const GREEN: [u8; 3] = [145, 54, 34];
const BLUE: [u8; 3] = [41, 240, 110];
const SMALL: Size = size(64, 36);

struct Room {
    composer: Composer,
}

fn options(size: Size, frame_rate: u32) -> ComposeOptions {
    let (view, decorations) = (View::default(), Decorations::default());
    ComposeOptions { streams: Streams::Both, size, frame_rate, view, decorations }
}

impl Room {
    fn new() -> Self {
        let options = options(size(1280, 720), 30);
        Self { composer: Composer::new(options).unwrap() }
    }

    fn with_view(view: View) -> Self {
        let options = ComposeOptions { view, ..options(size(1280, 720), 30) };
        Self { composer: Composer::new(options).unwrap() }
    }

    fn publish(&mut self, name: &str, order: u64, at: MediaTime) {
        self.publish_as(name, VideoSource::Camera, order, at);
    }

    fn publish_as(&mut self, name: &str, source: VideoSource, order: u64, at: MediaTime) {
        let track = VideoTrack { sid: sid(name), publisher: name.into(), source, order };
        self.composer.add_video(track, at);
    }

    fn show(&mut self, name: &str, colour: [u8; 3], at: MediaTime) {
        self.show_image(name, Image::plain(SMALL, colour), at);
    }

    fn show_image(&mut self, name: &str, image: Image, at: MediaTime) {
        self.composer.picture(&sid(name), image.at(at));
    }

    /// Publishes a camera that sends a picture of one colour at each of `ticks`.
    fn film(&mut self, name: &str, order: u64, colour: [u8; 3], ticks: std::ops::Range<i64>) {
        self.publish(name, order, at_tick(ticks.start));
        self.go_on_filming(name, colour, ticks);
    }

    fn go_on_filming(&mut self, name: &str, colour: [u8; 3], ticks: std::ops::Range<i64>) {
        for tick in ticks {
            self.show(name, colour, at_tick(tick));
        }
    }

    fn speak(&mut self, names: &[&str], at: MediaTime) {
        let speaker = |name: &&str| Speaker { identity: (*name).to_owned(), level: 0.5 };
        let speakers: Vec<_> = names.iter().map(speaker).collect();
        self.composer.set_speakers(&speakers, at);
    }

    /// Returns what the SFU is to be asked for now.
    fn wanted(&self) -> Vec<(String, Size)> {
        self.composer.wanted().map(|(sid, size)| (sid.to_string(), size)).collect()
    }

    /// Makes the next tick; returns who is in it, in the order of the tiles.
    fn tick(&mut self) -> Vec<String> {
        self.composer.tick();
        let cells = self.composer.cells();
        cells.map(|(sid, _)| sid.to_string()).collect()
    }

    /// Makes all ticks up to the one at `tick`.
    fn tick_to(&mut self, tick: i64) -> Vec<String> {
        while self.composer.next_tick_time() < at_tick(tick) {
            self.composer.tick();
        }
        self.tick()
    }

    /// Returns the colour at a pixel of the last frame.
    fn colour(&self, x: usize, y: usize) -> [u8; 3] {
        pixel(self.composer.canvas(), x, y)
    }
}

/// Returns the colour of a pixel, as a player shows it.
fn pixel(canvas: &[u8], x: usize, y: usize) -> [u8; 3] {
    let luma = WIDTH * HEIGHT;
    let chroma = y / 2 * (WIDTH / 2) + x / 2;
    [canvas[y * WIDTH + x], canvas[luma + chroma], canvas[luma + luma / 4 + chroma]]
}

/// Fills a cell as its tile would.
fn paint(canvas: &mut canvas::Canvas, cell: Rect, colour: [u8; 3]) {
    let parts = [cell, cell.chroma(), cell.chroma()];
    for ((plane, part), value) in canvas.planes().into_iter().zip(parts).zip(colour) {
        plane.rows(part).for_each(|row| row.fill(value));
    }
}

fn at_tick(tick: i64) -> MediaTime {
    MediaTime::from_nanos((tick * 1_000_000_000).div_euclid(30))
}

const fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

const NOBODY: [&str; 0] = [];
