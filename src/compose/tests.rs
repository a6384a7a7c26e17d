//! What the composer promises about its pictures, as timelines: who is to be seen at which tick.

use super::fakes::{Image, sid, size};
use super::*;
use crate::media::{Decorations, Layout, MediaTime, Size, VideoSource, View};

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
    ComposeOptions { size, frame_rate, view: View::default(), decorations: Decorations::default() }
}

impl Room {
    fn new() -> Self {
        let options = options(size(1280, 720), 30);
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

    /// Makes the next tick and tells who is on it, in the order of the tiles.
    fn tick(&mut self) -> Vec<String> {
        self.composer.tick();
        let cells = self.composer.cells();
        cells.map(|(sid, _)| sid.to_string()).collect()
    }

    /// Makes all ticks before the one at `tick`, and that one.
    fn tick_to(&mut self, tick: i64) -> Vec<String> {
        while self.composer.next_tick_time() < at_tick(tick) {
            self.composer.tick();
        }
        self.tick()
    }

    /// The colour at a pixel of the frame made last.
    fn colour(&self, x: usize, y: usize) -> [u8; 3] {
        pixel(self.composer.canvas(), x, y)
    }
}

/// The canvas as a table of colours, the way a player sees it.
fn pixel(canvas: &[u8], x: usize, y: usize) -> [u8; 3] {
    let luma = WIDTH * HEIGHT;
    let chroma = y / 2 * (WIDTH / 2) + x / 2;
    [canvas[y * WIDTH + x], canvas[luma + chroma], canvas[luma + luma / 4 + chroma]]
}

fn at_tick(tick: i64) -> MediaTime {
    MediaTime::from_nanos((tick * 1_000_000_000).div_euclid(30))
}

const fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

const NOBODY: [&str; 0] = [];

#[test]
fn without_any_video_the_picture_is_black_and_ticks_go_on() {
    let mut room = Room::new();
    for index in 0..100 {
        let tick = room.composer.tick();
        assert_eq!(tick.index, index);
        assert_eq!(tick.canvas.len(), WIDTH * HEIGHT * 3 / 2);
        assert_eq!(tick.sound.len(), 3200);
    }
    assert_eq!(room.colour(640, 360), BLACK);
}

#[test]
fn ticks_are_a_thirtieth_of_a_second_apart_without_accumulating_rounding() {
    let mut room = Room::new();
    for tick in 0..90_000 {
        let exact = f64::from(tick) * 1e9 / 30.0;
        let time = room.composer.next_tick_time().nanos() as f64;
        assert!((0.0..1.0).contains(&(time - exact)), "tick {tick}");
        room.composer.tick();
    }
}

#[test]
fn frame_rates_that_do_not_divide_the_sample_rate_still_get_every_sample() {
    let options = options(size(64, 36), 29);
    let mut composer = Composer::new(options).unwrap();
    let samples: usize = (0..29).map(|_| composer.tick().sound.len()).sum();
    assert_eq!(samples, 96_000);
}

#[test]
fn options_from_which_no_video_can_be_made_are_refused() {
    let new = |size, frame_rate| Composer::new(options(size, frame_rate)).err();
    let odd = ComposeError::Size { width: 1279, height: 720 };
    assert_eq!(new(size(1279, 720), 30), Some(odd));
    let empty = ComposeError::Size { width: 0, height: 720 };
    assert_eq!(new(size(0, 720), 30), Some(empty));
    assert_eq!(new(size(2, 2), 0), Some(ComposeError::FrameRate { frame_rate: 0 }));
}

#[test]
fn a_track_takes_its_cell_with_its_first_picture_and_not_before() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, at_tick(3) + std::time::Duration::from_millis(1));
    assert_eq!(room.tick_to(3), NOBODY);
    assert_eq!(room.tick(), ["a"]);
    assert_eq!(room.colour(640, 360), RED);
}

#[test]
fn a_picture_that_came_before_its_publication_is_shown_from_then_on() {
    let mut room = Room::new();
    room.publish("a", 0, at_tick(5));
    room.show("a", RED, at_tick(1));
    assert_eq!(room.tick_to(4), NOBODY);
    assert_eq!(room.tick(), ["a"]);
}

#[test]
fn each_tick_shows_the_newest_picture_that_is_not_later() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.show("a", GREEN, ms(20));
    room.show("a", BLUE, ms(33));
    room.show("a", RED, ms(34));
    let mut seen = Vec::new();
    for _ in 0..4 {
        room.tick();
        seen.push(room.colour(640, 360));
    }
    assert_eq!(seen, [RED, BLUE, RED, RED]);
    let counters = room.composer.video_counters(&sid("a")).unwrap();
    assert_eq!((counters.shown, counters.skipped), (3, 1));
}

#[test]
fn tiles_lie_in_order_of_joining_then_of_publishing_whoever_is_seen_first() {
    let mut room = Room::new();
    for (name, order) in [("late", 7), ("share", 2), ("first", 1), ("camera", 2)] {
        room.publish(name, order, ms(0));
        room.show(name, RED, ms(0));
    }
    assert_eq!(room.tick(), ["first", "share", "camera", "late"]);
}

#[test]
fn a_late_joiner_changes_the_grid_at_the_tick_of_his_first_picture() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.publish("b", 1, at_tick(10));
    room.show("b", BLUE, at_tick(12));
    assert_eq!(room.tick_to(11), ["a"]);
    assert_eq!(room.colour(1000, 360), RED);
    assert_eq!(room.tick(), ["a", "b"]);
    assert_eq!(room.colour(1000, 360), BLUE);
    assert_eq!(room.colour(640, 360), BLACK, "the gap");
}

#[test]
fn who_leaves_is_gone_at_once_and_the_others_take_the_room_with_the_picture_they_have() {
    let mut room = Room::new();
    for (order, (name, colour)) in [("a", RED), ("b", BLUE)].into_iter().enumerate() {
        room.publish(name, order as u64, ms(0));
        room.show(name, colour, ms(0));
    }
    room.composer.remove_video(&sid("a"), at_tick(5));
    assert_eq!(room.tick_to(4), ["a", "b"]);
    assert_eq!(room.tick(), ["b"]);
    for x in [0, 640, 1278] {
        assert_eq!(room.colour(x, 360), BLUE);
    }
    assert_eq!(room.composer.video_counters(&sid("a")), None);
    assert_eq!(room.composer.total_video_counters().shown, 2);
}

#[test]
fn a_muted_track_is_gone_at_once_and_comes_back_with_a_picture_captured_since() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.composer.set_video_muted(&sid("a"), true, at_tick(3));
    room.composer.set_video_muted(&sid("a"), false, at_tick(6));
    room.show("a", GREEN, at_tick(5));
    room.show("a", BLUE, at_tick(8));
    assert_eq!(room.tick_to(2), ["a"]);
    assert_eq!(room.tick(), NOBODY);
    assert_eq!(room.colour(640, 360), BLACK);
    assert_eq!(room.tick_to(7), NOBODY);
    assert_eq!(room.tick(), ["a"]);
    assert_eq!(room.colour(640, 360), BLUE);
    assert_eq!(room.composer.video_counters(&sid("a")).unwrap().hidden, 1);
}

#[test]
fn a_track_published_muted_is_not_seen() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.composer.set_video_muted(&sid("a"), true, ms(0));
    room.show("a", RED, ms(0));
    assert_eq!(room.tick(), NOBODY);
}

#[test]
fn the_sfus_blank_pictures_and_broken_ones_are_never_shown() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show_image("a", Image::plain(size(8, 8), GREEN), ms(0));
    room.show_image("a", Image::plain(size(2, 2), GREEN), ms(1));
    room.show_image("a", Image::plain(size(16, 16), GREEN), ms(2));
    room.show_image("a", Image::plain(SMALL, GREEN).cut_short(), ms(3));
    room.show_image("a", Image::plain(size(0, 36), GREEN), ms(4));
    assert_eq!(room.tick_to(2), NOBODY);
    assert_eq!(room.composer.video_counters(&sid("a")).unwrap().unusable, 5);
}

#[test]
fn a_track_that_is_published_again_starts_anew() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.composer.remove_video(&sid("a"), at_tick(2));
    room.publish("a", 0, at_tick(4));
    room.show("a", BLUE, at_tick(5));
    assert_eq!(room.tick_to(1), ["a"]);
    assert_eq!(room.tick_to(4), NOBODY);
    assert_eq!(room.tick(), ["a"]);
    assert_eq!(room.colour(640, 360), BLUE);
}

#[test]
fn a_timeline_that_was_corrected_backwards_does_not_freeze_the_picture() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(500));
    room.show("a", GREEN, ms(100));
    assert_eq!(room.tick_to(3), ["a"]);
    assert_eq!(room.colour(640, 360), GREEN);
    room.tick_to(20);
    assert_eq!(room.colour(640, 360), GREEN);
}

#[test]
fn pictures_are_wanted_until_one_is_later_than_the_next_tick() {
    let mut room = Room::new();
    assert!(!room.composer.wants_picture(&sid("a")));
    room.publish("a", 0, ms(0));
    assert!(room.composer.wants_picture(&sid("a")));
    room.show("a", RED, ms(0));
    assert!(room.composer.wants_picture(&sid("a")));
    room.show("a", RED, ms(40));
    assert!(!room.composer.wants_picture(&sid("a")));
    room.tick();
    assert!(!room.composer.wants_picture(&sid("a")), "40 ms is after the tick at 33");
    room.tick();
    assert!(room.composer.wants_picture(&sid("a")));
}

#[test]
fn pictures_that_nobody_takes_do_not_pile_up() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    for picture in 0..1000 {
        room.show("a", RED, ms(1000 + picture));
    }
    let counters = room.composer.video_counters(&sid("a")).unwrap();
    assert_eq!(counters.skipped, 910);
}

#[test]
fn all_cells_of_1_to_25_tiles_have_their_tracks_colour_and_nothing_else_has_any() {
    for tiles in 1..=25_u8 {
        let mut room = Room::new();
        let colour = |tile: u8| [40 + tile * 8, 20 + tile * 3, 230 - tile * 3];
        for tile in 0..tiles {
            let name = tile.to_string();
            room.publish(&name, tile.into(), ms(0));
            room.show(&name, colour(tile), ms(0));
        }
        room.tick();
        let mut expected = super::canvas::Canvas::new(size(1280, 720));
        let cells = layout::cells(Layout::Grid, size(1280, 720), tiles.into());
        for (tile, cell) in cells.enumerate() {
            let parts = [cell, cell.chroma(), cell.chroma()];
            let planes = expected.planes().into_iter();
            for ((plane, part), value) in planes.zip(parts).zip(colour(tile as u8)) {
                for y in part.y..part.y + part.height {
                    for x in part.x..part.x + part.width {
                        plane.data[(y * plane.width + x) as usize] = value;
                    }
                }
            }
        }
        assert!(room.composer.canvas() == expected.bytes(), "{tiles} tiles");
    }
}

#[test]
fn the_gaps_of_odd_cells_are_pure_black() {
    let mut room = Room::new();
    for tile in 0..9 {
        room.publish(&tile.to_string(), tile, ms(0));
        room.show(&tile.to_string(), BLUE, ms(0));
    }
    room.tick();
    for x in (421..429).chain(850..858).chain(1279..1280) {
        for y in 0..HEIGHT {
            assert_eq!(room.colour(x, y), BLACK, "{x}, {y}");
        }
    }
    assert_eq!(room.colour(419, 100), BLUE);
    assert_eq!(room.colour(430, 100), BLUE);
    assert_eq!(room.colour(420, 100), [BLUE[0], 128, 128], "bright, but without colour");
}

#[test]
fn a_landscape_camera_is_cropped_evenly() {
    // 4:3 in 16:9 shows the rows from 1/8 to 7/8: the lines just outside must not be seen.
    let striped = Image::painted(size(1280, 960), |_, y| match y {
        0..118 | 842..960 => RED,
        118..122 | 838..842 => BLUE,
        _ => GREEN,
    });
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show_image("a", striped, ms(0));
    room.tick();
    for (y, colour) in [(0, BLUE), (1, BLUE), (2, GREEN), (717, GREEN), (718, BLUE), (719, BLUE)] {
        assert_eq!(room.colour(640, y), colour, "row {y}");
    }
}

#[test]
fn a_portrait_camera_and_a_screen_share_are_shown_whole_on_black() {
    // Each has a frame of its own colour around it, which must be seen on all four sides.
    let framed = |width, height| {
        Image::painted(size(width, height), move |x, y| {
            let edge = x < 8 || y < 8 || x >= width - 8 || y >= height - 8;
            if edge { RED } else { GREEN }
        })
    };
    let mut room = Room::new();
    room.publish("portrait", 0, ms(0));
    room.show_image("portrait", framed(360, 640), ms(0));
    room.tick();
    // 720 * 9 / 16 = 405 wide, even: 406, from (1280 - 406) / 2 = 437, even: 436.
    assert_eq!(room.colour(435, 360), BLACK);
    assert_eq!(room.colour(436, 360), RED);
    assert_eq!(room.colour(841, 360), RED);
    assert_eq!(room.colour(842, 360), BLACK);
    assert_eq!((room.colour(640, 0), room.colour(640, 719)), (RED, RED));

    let mut room = Room::new();
    room.publish_as("share", VideoSource::ScreenShare, 0, ms(0));
    room.show_image("share", framed(1280, 480), ms(0));
    room.tick();
    assert_eq!(room.colour(640, 119), BLACK);
    assert_eq!(room.colour(640, 120), RED);
    assert_eq!(room.colour(640, 599), RED);
    assert_eq!(room.colour(640, 600), BLACK);
    assert_eq!((room.colour(0, 360), room.colour(1279, 360)), (RED, RED));
}

#[test]
fn a_picture_that_changes_its_shape_leaves_nothing_of_the_old_one() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.show_image("a", Image::plain(size(360, 640), GREEN), at_tick(1));
    room.tick_to(1);
    assert_eq!(room.colour(640, 360), GREEN);
    assert_eq!(room.colour(100, 360), BLACK);
    assert_eq!(room.colour(1200, 360), BLACK);
}

#[test]
fn a_picture_of_its_cells_size_is_copied_bit_by_bit() {
    let texture = |x: u32, y: u32| [(x * 7 + y * 13) as u8, (x / 2 * 5) as u8, (y / 2 * 3) as u8];
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show_image("a", Image::painted(size(1280, 720), texture), ms(0));
    room.tick();
    for (x, y) in [(0, 0), (1279, 719), (641, 361), (17, 300)] {
        assert_eq!(room.colour(x, y)[0], texture(x as u32, y as u32)[0]);
        let chroma = texture(x as u32 / 2 * 2, y as u32 / 2 * 2);
        assert_eq!(room.colour(x, y)[1..], chroma[1..]);
    }
}

#[test]
fn colour_lies_where_brightness_lies_also_in_odd_cells() {
    // Left half red, right half green: in the cell at x = 429 the border is at 429 + 210.5.
    let halves = || Image::painted(size(640, 360), |x, _| if x < 320 { RED } else { GREEN });
    let mut room = Room::new();
    for tile in 0..9 {
        room.publish(&tile.to_string(), tile, ms(0));
        room.show_image(&tile.to_string(), halves(), ms(0));
    }
    room.tick();
    for start in [0, 429, 858] {
        assert_eq!(room.colour(start + 206, 100), RED);
        assert_eq!(room.colour(start + 215, 100), GREEN);
    }
}

#[test]
fn nothing_from_a_track_that_is_not_there_does_any_harm() {
    let mut room = Room::new();
    room.show("ghost", RED, ms(0));
    room.composer.set_video_muted(&sid("ghost"), true, ms(0));
    room.composer.remove_video(&sid("ghost"), ms(0));
    room.composer.remove_audio(&sid("ghost"));
    assert_eq!(room.tick(), NOBODY);
}

#[test]
fn the_figures_of_a_track_are_there_until_its_last_tick_and_handed_out_after_it() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show("a", RED, ms(0));
    room.composer.remove_video(&sid("a"), at_tick(60));
    room.tick_to(59);
    let figures = room.composer.video_figures(&sid("a")).unwrap();
    let seconds = std::time::Duration::from_secs;
    assert_eq!((figures.seen, figures.frozen), (seconds(2), seconds(2)));
    assert_eq!(figures.longest_freeze, Some(Freeze { from: ms(0), length: seconds(2) }));
    assert_eq!(figures.sizes, [(SMALL, 1)]);
    assert_eq!(room.composer.take_ended(), []);
    room.tick();
    assert_eq!(room.composer.video_figures(&sid("a")), None);
    assert_eq!(room.composer.take_ended(), [(sid("a"), figures)]);
    assert_eq!(room.composer.take_ended(), []);
}
