//! Names, initials, borders, notices and the watermark: where they are, and that they are removed without a
//! trace.

use std::path::PathBuf;

use super::*;
use crate::media::{Corner, Participant, Watermark};

/// 16:9, and large enough for a name.
const CAMERA: Size = size(320, 180);

fn room_with(decorations: Decorations) -> Room {
    let options = ComposeOptions { decorations, ..options(size(1280, 720), 30) };
    Room { composer: Composer::new(options).unwrap() }
}

fn names() -> Decorations {
    Decorations { names: true, ..Decorations::default() }
}

impl Room {
    fn join(&mut self, identity: &str, name: &str, order: u64, at: MediaTime) {
        let participant = Participant { identity: identity.into(), name: name.into(), order };
        self.composer.add_participant(participant, at);
    }

    fn show_camera(&mut self, name: &str, colour: [u8; 3], at: MediaTime) {
        self.show_image(name, Image::plain(CAMERA, colour), at);
    }

    /// Returns the places of all pixels that differ from another frame.
    fn differences(&self, other: &[u8]) -> Vec<(usize, usize)> {
        let luma = self.composer.canvas()[..WIDTH * HEIGHT].iter().zip(other).enumerate();
        luma.filter(|(_, (a, b))| a != b).map(|(i, _)| (i % WIDTH, i / WIDTH)).collect()
    }
}

/// Writes a PNG of one colour; returns its path.
fn png_file(folder: &tempfile::TempDir, width: u32, height: u32, rgba: [u8; 4]) -> PathBuf {
    let path = folder.path().join("watermark.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let bytes = rgba.repeat((width * height) as usize);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    path
}

fn watermarked(file: PathBuf, corner: Corner, opacity: f32) -> Decorations {
    Decorations { watermark: Some(Watermark { file, corner, opacity }), ..Decorations::default() }
}

#[test]
fn a_name_is_in_the_lower_left_corner_of_its_tile_and_nowhere_else() {
    let draw = |decorations| {
        let mut room = room_with(decorations);
        for (order, identity) in ["a", "b"].into_iter().enumerate() {
            room.join(identity, "Ann Smith", order as u64, ms(0));
            room.publish(identity, order as u64, ms(0));
            room.show_camera(identity, GREEN, ms(0));
        }
        room.tick();
        room
    };
    let plain = draw(Decorations::default());
    let differences = draw(names()).differences(plain.composer.canvas());
    assert!(differences.len() > 2000, "{}", differences.len());
    for (x, y) in differences {
        let in_cell = if x < 640 { x } else { x - 644 };
        assert!((8..250).contains(&in_cell) && (640..712).contains(&y), "{x}, {y}");
    }
}

#[test]
fn a_name_changes_at_its_tick_and_without_one_the_identity_stands_for_it() {
    let mut room = room_with(names());
    room.publish("identity", 0, ms(0));
    room.show_camera("identity", GREEN, ms(0));
    room.tick();
    let identity = room.composer.canvas().to_vec();
    room.join("identity", "  ", 0, at_tick(1));
    room.tick();
    assert!(room.composer.canvas() == identity, "a name of spaces is none");
    room.join("identity", "Ann", 0, at_tick(5));
    room.tick_to(4);
    assert!(room.composer.canvas() == identity);
    room.tick();
    assert!(!room.differences(&identity).is_empty());
}

#[test]
fn what_is_half_transparent_does_not_grow_darker_with_every_picture() {
    let draw = |pictures: i64| {
        let mut room = room_with(Decorations { speaker_border: true, ..names() });
        room.publish("a", 0, ms(0));
        for tick in 0..pictures {
            // The picture is shown whole, so that the name is beside it.
            room.show_image("a", Image::plain(size(90, 160), GREEN), at_tick(tick));
            room.tick();
        }
        room.composer.canvas().to_vec()
    };
    assert!(draw(1) == draw(10));
}

#[test]
fn a_border_is_drawn_while_somebody_speaks_and_moves_nothing() {
    let mut room = room_with(Decorations { speaker_border: true, ..Decorations::default() });
    for (order, name) in ["a", "b", "c"].into_iter().enumerate() {
        room.publish(name, order as u64, ms(0));
        room.show_camera(name, GREEN, ms(0));
    }
    room.show_image("c", Image::plain(size(180, 320), GREEN), at_tick(1));
    room.tick_to(1);
    let before = room.composer.canvas().to_vec();
    room.speak(&["b", "c"], at_tick(3));
    room.speak(&[], at_tick(6));
    room.tick();
    assert!(room.composer.canvas() == before);
    for _ in 3..6 {
        room.tick();
        let differences = room.differences(&before);
        let edge_of = |x: usize, y: usize, left: usize, top: usize| {
            let (x, y) = (x.checked_sub(left)?, y.checked_sub(top)?);
            let edge = |at: usize, length: usize| at < 4 || (length - 4..length).contains(&at);
            (x < 636 && y < 356).then(|| edge(x, 636) || edge(y, 356))
        };
        assert!(differences.len() > 10_000);
        for (x, y) in differences {
            let on_edge = edge_of(x, y, 644, 0).or(edge_of(x, y, 0, 364));
            assert_eq!(on_edge, Some(true), "{x}, {y}");
        }
    }
    room.tick();
    assert!(room.composer.canvas() == before);
}

#[test]
fn who_has_no_camera_has_a_tile_with_initials_in_his_place_of_joining() {
    let mut room = room_with(Decorations { initials: true, ..Decorations::default() });
    for (order, name) in ["a", "b", "c"].into_iter().enumerate() {
        room.join(name, name, order as u64, ms(0));
    }
    room.publish("a", 0, ms(0));
    room.publish("c", 2, ms(0));
    room.show_camera("a", RED, ms(0));
    room.show_camera("c", BLUE, ms(0));
    room.tick();
    let panel = room.colour(800, 20);
    assert_eq!((room.colour(300, 100), room.colour(300, 500)), (RED, BLUE));
    assert!(![RED, BLUE, BLACK].contains(&panel), "{panel:?}");
    assert_eq!(room.colour(1000, 500), BLACK, "the fourth cell of three");
    // The camera takes the tile with its first picture, and loses it when it is muted.
    room.publish("b", 1, at_tick(2));
    room.show_camera("b", GREEN, at_tick(4));
    room.composer.set_video_muted(&sid("b"), true, at_tick(6));
    room.composer.remove_participant("b", at_tick(8));
    for (tick, expected) in [(2, panel), (4, GREEN), (6, panel), (8, BLUE)] {
        room.tick_to(tick);
        assert_eq!(room.colour(800, 20), expected, "tick {tick}");
    }
}

#[test]
fn a_share_does_not_stand_for_its_sharers_face() {
    let mut room = room_with(Decorations { initials: true, ..Decorations::default() });
    room.join("a", "Ann", 0, ms(0));
    room.publish_as("a", VideoSource::ScreenShare, 0, ms(0));
    room.show("a", RED, ms(0));
    room.tick();
    assert_eq!(room.composer.seats().len(), 2);
    assert_eq!(room.colour(700, 360), RED);
    assert_ne!(room.colour(10, 10), BLACK);
}

#[test]
fn a_track_that_cannot_be_decoded_says_so_in_its_tile_until_a_picture_comes() {
    let mut room = room_with(Decorations::default());
    room.publish("a", 0, ms(0));
    room.publish("b", 1, ms(0));
    room.show_camera("a", RED, ms(0));
    room.composer.set_placeholder(&sid("b"), "H.265 cannot be decoded here", at_tick(3));
    assert_eq!(room.tick_to(2), ["a"]);
    assert_eq!(room.tick(), ["a", "b"]);
    let panel = room.colour(660, 20);
    assert!(![RED, BLACK].contains(&panel));
    let text = (700..1240).filter(|x| (340..380).any(|y| room.colour(*x, y) != panel)).count();
    assert!(text > 100, "{text} columns have ink");
    room.composer.set_video_muted(&sid("b"), true, at_tick(5));
    room.composer.set_video_muted(&sid("b"), false, at_tick(7));
    assert_eq!(room.tick_to(5), ["a"]);
    assert_eq!(room.tick_to(7), ["a", "b"], "it still cannot");
    room.show_camera("b", GREEN, at_tick(9));
    room.tick_to(9);
    assert_eq!(room.colour(660, 20), GREEN);
}

#[test]
fn the_watermark_lies_in_its_corner_over_tiles_and_background_at_every_tick() {
    let folder = tempfile::tempdir().unwrap();
    let file = png_file(&folder, 100, 50, [255, 255, 255, 255]);
    for (corner, left, top) in [
        (Corner::TopLeft, 16, 16),
        (Corner::TopRight, 1164, 16),
        (Corner::BottomLeft, 16, 654),
        (Corner::BottomRight, 1164, 654),
    ] {
        let mut room = room_with(watermarked(file.clone(), corner, 1.0));
        assert_eq!(pixel(room.composer.canvas(), left, top), [235, 128, 128], "before the first tick");
        room.film("a", 0, GREEN, 3..6);
        room.composer.remove_video(&sid("a"), at_tick(6));
        for background in [BLACK, BLACK, BLACK, GREEN, GREEN, GREEN, BLACK, BLACK] {
            room.tick();
            for (x, y) in [(left, top), (left + 99, top), (left, top + 49), (left + 99, top + 49)] {
                assert_eq!(room.colour(x, y), [235, 128, 128], "{corner:?}");
            }
            for (x, y) in [(left - 1, top), (left + 100, top), (left, top - 1), (left, top + 50)] {
                assert_eq!(room.colour(x, y), background, "{corner:?}");
            }
        }
    }
}

#[test]
fn a_half_transparent_watermark_stays_half_transparent() {
    let folder = tempfile::tempdir().unwrap();
    let file = png_file(&folder, 100, 50, [255, 255, 255, 128]);
    let mut room = room_with(watermarked(file, Corner::TopLeft, 0.5));
    room.film("a", 0, BLACK, 0..20);
    for tick in 0..20 {
        room.tick_to(tick);
        let [luma, ..] = room.colour(40, 40);
        // A quarter of the way from 16 to 235.
        assert!(luma.abs_diff(71) <= 2, "{luma}");
    }
}

#[test]
fn a_watermark_that_cannot_be_is_refused_with_the_files_name_and_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let error = |file: PathBuf, opacity| {
        let decorations = watermarked(file, Corner::TopLeft, opacity);
        let options = ComposeOptions { decorations, ..options(size(1280, 720), 30) };
        Composer::new(options).err().unwrap().to_string()
    };
    let missing = error(folder.path().join("missing.png"), 1.0);
    assert!(missing.contains("missing.png cannot be read: entity not found"), "{missing}");
    let text = folder.path().join("text.png");
    std::fs::write(&text, "not a picture").unwrap();
    let not_png = error(text, 1.0);
    assert!(not_png.contains("text.png is not a PNG picture"), "{not_png}");
    let large = error(png_file(&folder, 1280, 20, [0; 4]), 1.0);
    assert!(large.contains("is 1280x20, and must fit into the frame of 1280x720, 16 pixels"), "{large}");
    let opacity = error(png_file(&folder, 10, 10, [0; 4]), 1.5);
    assert!(opacity.contains("must have an opacity of 0 to 1"), "{opacity}");
    let whole = std::fs::read(png_file(&folder, 100, 100, [1, 2, 3, 4])).unwrap();
    let cut = folder.path().join("cut.png");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let cut = error(cut, 1.0);
    assert!(cut.contains("cut.png is not a PNG picture"), "{cut}");
}
