//! Who is seen at which tick, and with which picture.

use super::*;

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
    room.show("a", RED, at_tick(3) + Duration::from_millis(1));
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
    let counters = room.composer.video_figures(&sid("a")).unwrap().counters;
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
fn who_leaves_is_gone_at_once_and_the_others_take_the_room_as_they_are() {
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
    assert_eq!(room.composer.video_figures(&sid("a")), None);
    let past = room.composer.take_ended().remove(0).1.counters;
    let present = room.composer.video_figures(&sid("b")).unwrap().counters;
    assert_eq!(past.and(present).shown, 2);
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
    assert_eq!(room.composer.video_figures(&sid("a")).unwrap().counters.hidden, 1);
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
    assert_eq!(room.composer.video_figures(&sid("a")).unwrap().counters.unusable, 5);
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
    let counters = room.composer.video_figures(&sid("a")).unwrap().counters;
    assert_eq!(counters.skipped, 910);
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
    let seconds = Duration::from_secs;
    assert_eq!((figures.seen, figures.frozen), (seconds(2), seconds(2)));
    assert_eq!(figures.longest_freeze, Some(Freeze { from: ms(0), length: seconds(2) }));
    assert_eq!(figures.sizes, [(SMALL, 1)]);
    assert_eq!(room.composer.take_ended(), []);
    room.tick();
    assert_eq!(room.composer.video_figures(&sid("a")), None);
    assert_eq!(room.composer.take_ended(), [(sid("a"), figures)]);
    assert_eq!(room.composer.take_ended(), []);
}
