//! How a tile looks, to the pixel.

use super::*;

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
        let mut expected = canvas::Canvas::new(size(1280, 720), Theme::Dark);
        let cells = layout::grid(size(1280, 720), tiles.into());
        for (tile, cell) in cells.enumerate() {
            paint(&mut expected, cell, colour(tile as u8));
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
    // Each picture has an edge in its own colour, which must be seen on all four sides.
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
    // On the stage, from x = 220: 1060 * 480 / 1280 = 397.5 high, even: 398, from 161, even: 160.
    assert_eq!(room.colour(640, 159), BLACK);
    assert_eq!(room.colour(640, 160), RED);
    assert_eq!(room.colour(640, 557), RED);
    assert_eq!(room.colour(640, 558), BLACK);
    assert_eq!(room.colour(219, 360), BLACK);
    assert_eq!((room.colour(220, 360), room.colour(1279, 360)), (RED, RED));
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
fn a_turned_picture_is_shown_upright_and_fitted_as_what_it_is_then() {
    // As the sensor sees it: a red bar at the left, a blue one at the top.
    let sensor = || {
        Image::painted(size(640, 360), |x, y| match (x, y) {
            (0..80, _) => RED,
            (_, 0..80) => BLUE,
            _ => GREEN,
        })
    };
    // (left, top, right, bottom) of the upright picture.
    let expected = [
        (Rotation::Upright, [RED, BLUE, GREEN, GREEN]),
        (Rotation::By90, [GREEN, RED, BLUE, GREEN]),
        (Rotation::By180, [GREEN, GREEN, RED, BLUE]),
        (Rotation::By270, [BLUE, GREEN, GREEN, RED]),
    ];
    for (rotation, sides) in expected {
        let mut room = Room::new();
        room.publish("a", 0, ms(0));
        room.composer.picture(&sid("a"), sensor().turned(rotation, ms(0)));
        room.tick();
        let portrait = matches!(rotation, Rotation::By90 | Rotation::By270);
        let (left, right) = if portrait { (436, 841) } else { (0, 1279) };
        let middle = [(left + 4, 360), (640, 4), (right - 4, 360), (640, 715)];
        assert_eq!(middle.map(|(x, y)| room.colour(x, y)), sides, "{rotation:?}");
        assert_eq!(room.colour(420, 360) == BLACK, portrait, "a portrait is shown whole");
    }
}

#[test]
fn a_phone_that_is_turned_while_it_films_leaves_nothing_of_the_old_picture() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show_image("a", Image::plain(size(640, 360), RED), ms(0));
    let turned = Image::plain(size(640, 360), GREEN).turned(Rotation::By90, at_tick(1));
    room.composer.picture(&sid("a"), turned);
    room.tick();
    assert_eq!(room.colour(100, 360), RED);
    room.tick();
    assert_eq!((room.colour(100, 360), room.colour(640, 360)), (BLACK, GREEN));
}
