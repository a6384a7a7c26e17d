//! The layouts, to the pixel, and the changes from one to another.

use super::*;

const WHITE: [u8; 3] = [235, 128, 128];
const HD: Size = size(1280, 720);
/// The sizes in which 16:9 pictures are drawn: a little of each is cut off.
const COLUMN: Size = size(235, 132);
const STAGE: Size = size(1280, 720);

fn layout_of(layout: Layout) -> View {
    View { layout, ..View::default() }
}

/// Returns a room with three cameras, `a`, `b`, `c`, in red, green and blue.
fn three(view: View) -> Room {
    let mut room = Room::with_view(view);
    for (order, (name, colour)) in [("a", RED), ("b", GREEN), ("c", BLUE)].into_iter().enumerate() {
        room.film(name, order as u64, colour, 0..80);
    }
    room
}

/// Checks that `colour` fills a cell (its chroma from a pixel inside), and that `background` is around it.
fn assert_filled(room: &Room, cell: Rect, colour: [u8; 3], background: [u8; 3]) {
    let (right, bottom) = (cell.x + cell.width, cell.y + cell.height);
    for y in cell.y..bottom {
        for x in cell.x..right {
            assert_eq!(room.colour(x as usize, y as usize)[0], colour[0], "{x}, {y} of {cell:?}");
        }
    }
    let (x, y) = (cell.x as usize + 2, cell.y as usize + 2);
    assert_eq!(room.colour(x, y), colour, "{cell:?}");
    if right < 1280 && bottom < 720 {
        let outside = room.colour(right as usize + 1, bottom as usize + 1);
        assert!(outside == background || outside[0] != colour[0], "{cell:?}: {outside:?}");
    }
}

#[test]
fn each_of_1_to_25_tiles_of_the_speaker_layout_shows_its_track_and_nothing_else() {
    for (theme, background) in [(Theme::Dark, BLACK), (Theme::Light, WHITE)] {
        for tiles in 1..=25_u8 {
            let mut room = Room::with_view(View { theme, ..layout_of(Layout::Speaker) });
            let colour = |tile: u8| [40 + tile * 7, 20 + tile * 3, 230 - tile * 3];
            for tile in 0..tiles {
                let name = tile.to_string();
                room.publish(&name, tile.into(), ms(0));
                room.show_image(&name, Image::plain(size(160, 90), colour(tile)), ms(0));
            }
            room.tick();
            let mut expected = canvas::Canvas::new(HD, theme);
            let cells = layout::column(HD, usize::from(tiles) - 1);
            for (tile, cell) in [layout::stage(HD)].into_iter().chain(cells).enumerate() {
                paint(&mut expected, cell, colour(tile as u8));
            }
            assert!(room.composer.canvas() == expected.bytes(), "{tiles} tiles, {theme:?}");
            assert_eq!(room.colour(215, 719), background, "between column and stage");
        }
    }
}

#[test]
fn the_light_theme_is_white_wherever_no_picture_is() {
    let mut room = Room::with_view(View { theme: Theme::Light, ..View::default() });
    room.tick();
    assert!(room.composer.canvas()[..WIDTH * HEIGHT].iter().all(|luma| *luma == 235));
    for name in ["a", "b", "c"] {
        room.publish(name, 0, ms(0));
    }
    room.show_image("a", Image::plain(size(90, 160), RED), ms(0));
    room.show("b", RED, ms(0));
    room.show("c", RED, ms(0));
    room.tick();
    assert_eq!(room.colour(640, 100), WHITE, "the gap");
    assert_eq!(room.colour(10, 100), WHITE, "beside a portrait camera");
    assert_eq!(room.colour(1000, 600), WHITE, "the fourth cell of three");
    assert_eq!(room.colour(318, 100), RED);
    // A picture of another shape: the rest of its cell has the theme's background, too.
    room.show_image("a", Image::plain(size(60, 160), GREEN), at_tick(2));
    room.tick();
    assert_eq!(room.colour(240, 100), WHITE);
}

#[test]
fn who_speaks_comes_onto_the_stage_as_soon_as_he_begins() {
    let mut room = three(layout_of(Layout::Speaker));
    room.speak(&["a"], at_tick(0));
    room.speak(&["b"], at_tick(66));
    for (tick, stage) in [(0, RED), (65, RED), (66, GREEN), (70, GREEN)] {
        assert_eq!(room.tick_to(tick), ["a", "b", "c"]);
        assert_eq!(room.colour(700, 360), stage, "tick {tick}");
    }
    assert_eq!((room.colour(100, 60), room.colour(100, 200)), (RED, BLUE));
    assert_eq!(room.colour(100, 300), BLACK);
}

#[test]
fn a_word_in_between_moves_nobody() {
    let mut room = three(layout_of(Layout::Speaker));
    room.speak(&["a"], at_tick(0));
    room.speak(&["b"], at_tick(66));
    room.speak(&["a"], at_tick(72));
    for tick in 0..79 {
        room.tick_to(tick);
        assert_eq!(room.colour(700, 360), RED, "tick {tick}");
    }
}

#[test]
fn nobody_moves_in_the_grid_whoever_speaks() {
    let mut room = three(View::default());
    room.tick();
    let before = room.composer.canvas().to_vec();
    room.speak(&["c"], at_tick(1));
    room.tick_to(60);
    assert!(room.composer.canvas() == before);
}

#[test]
fn while_a_screen_is_shared_the_grid_is_the_stage_with_the_share() {
    let mut room = three(View::default());
    room.tick();
    let grid = room.composer.canvas().to_vec();
    room.publish_as("share", VideoSource::ScreenShare, 1, at_tick(10));
    room.show("share", WHITE, at_tick(10));
    room.speak(&["c"], at_tick(12));
    room.composer.remove_video(&sid("share"), at_tick(40));
    assert_eq!(room.tick_to(9).len(), 3);
    assert_eq!(room.tick(), ["a", "b", "share", "c"], "the share belongs to the second");
    for tick in [10, 39] {
        room.tick_to(tick);
        for (place, colour) in [RED, GREEN, BLUE].into_iter().enumerate() {
            let cell = Rect { x: 0, y: 132 * place as u32, width: 212, height: 132 };
            assert_filled(&room, cell, colour, BLACK);
        }
        // 16:9 on 1060 x 720: 596 high.
        assert_filled(&room, Rect { x: 220, y: 62, width: 1060, height: 596 }, WHITE, BLACK);
    }
    room.tick_to(40);
    assert!(room.composer.canvas() == grid, "as before");
}

#[test]
fn the_view_changes_at_its_tick_and_no_tile_is_ever_black() {
    let mut room = three(View::default());
    room.composer.set_view(layout_of(Layout::Speaker), at_tick(10));
    room.composer.set_view(View { theme: Theme::Light, ..View::default() }, at_tick(20));
    room.tick_to(9);
    assert_eq!(room.colour(700, 500), BLACK, "three in the grid leave a cell");
    assert_eq!(room.colour(300, 100), RED);
    room.tick();
    assert_eq!((room.colour(700, 500), room.colour(100, 60), room.colour(100, 200)), (RED, GREEN, BLUE));
    room.tick_to(19);
    assert_eq!(room.colour(700, 500), RED);
    room.tick();
    assert_eq!((room.colour(700, 500), room.colour(300, 100)), (WHITE, RED));
}

#[test]
fn a_still_picture_is_drawn_anew_with_every_view_and_fit() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    room.show_image("a", Image::plain(size(160, 120), RED), ms(0));
    let fit = |fit| View { fit, ..View::default() };
    room.composer.set_view(fit(FitChoice::Contain), at_tick(3));
    room.composer.set_view(fit(FitChoice::Cover), at_tick(6));
    room.tick_to(2);
    assert_eq!(room.colour(10, 360), RED);
    room.tick();
    assert_eq!((room.colour(10, 360), room.colour(640, 360)), (BLACK, RED));
    room.tick_to(6);
    assert_eq!(room.colour(10, 360), RED);
}

#[test]
fn the_sfu_is_asked_for_what_will_be_seen_before_the_tick_that_shows_it() {
    let mut room = three(View::default());
    room.tick();
    // 16:9 pictures, a little of which is cut off.
    let cell = size(636, 358);
    assert_eq!(room.wanted(), [("a".into(), cell), ("b".into(), cell), ("c".into(), cell)]);
    room.composer.set_view(layout_of(Layout::Speaker), at_tick(30));
    assert_eq!(room.wanted(), [("a".into(), STAGE), ("b".into(), COLUMN), ("c".into(), COLUMN)]);
    room.composer.set_video_muted(&sid("b"), true, at_tick(31));
    assert_eq!(room.wanted(), [("a".into(), STAGE), ("c".into(), COLUMN)]);
    room.publish("d", 9, at_tick(32));
    room.speak(&["d"], at_tick(33));
    assert_eq!(
        room.wanted(),
        [("a".into(), STAGE), ("c".into(), COLUMN), ("d".into(), size(1060, 720))],
        "the first speaker has the stage as soon as he has a picture"
    );
}

#[test]
fn of_a_single_speaker_nobody_else_is_wanted_but_who_may_be_next() {
    let mut room = three(layout_of(Layout::SingleSpeaker));
    room.speak(&["a"], at_tick(0));
    room.tick_to(60);
    assert_eq!(room.wanted(), [("a".into(), HD)]);
    room.speak(&["b"], at_tick(70));
    assert_eq!(room.wanted(), [("a".into(), HD), ("b".into(), HD)]);
    room.tick_to(74);
    room.speak(&[], at_tick(100));
    assert_eq!(room.wanted(), [("b".into(), HD)]);
}

#[test]
fn the_single_speaker_stays_until_the_next_ones_first_picture() {
    let mut room = Room::with_view(layout_of(Layout::SingleSpeaker));
    room.film("a", 0, RED, 0..90);
    room.publish("b", 1, at_tick(0));
    room.speak(&["a"], at_tick(0));
    room.tick_to(60);
    room.speak(&["b"], at_tick(65));
    room.go_on_filming("b", GREEN, 72..90);
    for tick in 61..72 {
        assert_eq!(room.tick_to(tick), ["a"], "tick {tick}");
        assert_eq!(room.colour(640, 360), RED);
    }
    assert_eq!(room.tick(), ["b"]);
    assert_eq!((room.colour(0, 0), room.colour(1279, 719)), (GREEN, GREEN));
}

#[test]
fn a_view_with_more_tiles_waits_half_a_second_for_those_that_were_hidden() {
    let mut room = Room::with_view(layout_of(Layout::SingleSpeaker));
    room.film("a", 0, RED, 0..80);
    room.publish("b", 1, at_tick(0));
    room.publish("c", 2, at_tick(0));
    room.composer.set_view(View::default(), at_tick(30));
    room.go_on_filming("b", GREEN, 36..80);
    for tick in 0..45 {
        assert_eq!(room.tick_to(tick), ["a"], "tick {tick}");
        assert_eq!(room.colour(640, 360), RED, "the whole frame");
    }
    assert_eq!(room.tick_to(45), ["a", "b"], "the third is not waited for any longer");
    room.go_on_filming("c", BLUE, 50..80);
    assert_eq!(room.tick_to(49), ["a", "b"]);
    assert_eq!(room.tick(), ["a", "b", "c"]);
}

#[test]
fn a_single_speaker_who_gives_no_picture_gives_way_to_one_who_does() {
    let mut room = Room::with_view(layout_of(Layout::SingleSpeaker));
    room.publish("broken", 0, at_tick(0));
    room.publish("a", 1, at_tick(0));
    assert_eq!(room.wanted(), [("broken".into(), HD)]);
    assert_eq!(room.tick_to(20), NOBODY);
    assert_eq!(room.wanted(), [("a".into(), HD)]);
    for tick in 26..400 {
        room.show("a", RED, at_tick(tick));
        assert_eq!(room.tick_to(tick), ["a"], "tick {tick}");
    }
}

#[test]
fn a_single_speaker_who_leaves_is_gone_from_the_picture_within_half_a_second() {
    let mut room = Room::with_view(layout_of(Layout::SingleSpeaker));
    room.film("a", 0, RED, 0..10);
    room.publish("b", 1, at_tick(0));
    room.composer.remove_video(&sid("a"), at_tick(10));
    assert_eq!(room.wanted(), [("b".into(), HD)]);
    room.tick_to(9);
    assert_eq!(room.tick(), NOBODY);
    assert_eq!(room.colour(640, 360), RED, "no black flash while the next one is asked for");
    room.tick_to(25);
    assert_eq!(room.colour(640, 360), BLACK);
}

#[test]
fn pictures_that_nobody_saw_are_counted_as_hidden() {
    let mut room = Room::with_view(layout_of(Layout::SingleSpeaker));
    room.film("a", 0, RED, 0..30);
    room.film("b", 1, RED, 0..30);
    room.tick_to(29);
    let counters = |name| room.composer.video_figures(&sid(name)).unwrap().counters;
    assert_eq!((counters("a").shown, counters("a").hidden), (30, 0));
    assert_eq!((counters("b").shown, counters("b").hidden), (0, 30));
    assert_eq!(room.composer.video_figures(&sid("b")).unwrap().seen, Duration::ZERO);
}

#[test]
fn a_picture_that_is_not_shaped_like_its_cell_is_wanted_as_large_as_it_is_drawn() {
    let mut room = Room::new();
    room.publish("a", 0, ms(0));
    assert_eq!(room.wanted(), [("a".into(), HD)]);
    room.show_image("a", Image::plain(size(160, 120), RED), ms(0));
    room.tick();
    assert_eq!(room.wanted(), [("a".into(), size(1280, 960))]);
    // Upright 90 x 160, shown whole: 405 wide, even: 406.
    let turned = Image::plain(size(160, 90), RED).turned(Rotation::By90, at_tick(1));
    room.composer.picture(&sid("a"), turned);
    room.tick();
    assert_eq!(room.wanted(), [("a".into(), size(720, 406))]);
}
