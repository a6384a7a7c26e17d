//! A recording that another composer began.

use super::*;
use crate::media::Sound;

const JOINED: i64 = 900;

fn frame_of(colour: [u8; 3]) -> Vec<u8> {
    let mut canvas = canvas::Canvas::new(size(1280, 720), Theme::Dark);
    paint(&mut canvas, layout::whole(size(1280, 720)), colour);
    canvas.bytes().to_vec()
}

/// Returns a room whose next tick is the 600th, and which was joined at the 900th.
fn room() -> Room {
    let mut room = Room::new();
    room.composer.resume(600, Some(frame_of(BLUE)), at_tick(JOINED));
    room
}

#[test]
fn its_last_frame_stands_still_in_silence_until_the_room_is_seen_again() {
    let mut room = room();
    room.publish("a", 0, at_tick(JOINED + 1));
    room.publish("b", 1, at_tick(JOINED + 1));
    room.go_on_filming("a", RED, JOINED + 4..1000);
    room.go_on_filming("b", GREEN, JOINED + 30..1000);
    for index in 600..JOINED + 30 {
        let tick = room.composer.tick();
        assert_eq!(tick.index, index as u64);
        assert_eq!(pixel(tick.canvas, 300, 360), BLUE, "tick {index}");
        assert!(tick.sound.iter().all(|&value| value == 0));
    }
    room.tick();
    assert_eq!((room.colour(300, 360), room.colour(900, 360)), (RED, GREEN));
}

#[test]
fn a_track_that_sends_nothing_holds_up_the_others_for_three_seconds() {
    let mut room = room();
    room.publish("a", 0, at_tick(JOINED));
    room.show("a", RED, at_tick(JOINED));
    room.publish("b", 1, at_tick(JOINED));
    room.tick_to(JOINED + 89);
    assert_eq!(room.colour(640, 360), BLUE);
    room.tick_to(JOINED + 90);
    assert_eq!(room.colour(640, 360), RED);
}

#[test]
fn a_room_in_which_nobody_is_seen_has_the_background_again() {
    let mut room = room();
    room.publish("a", 0, at_tick(JOINED));
    room.composer.set_video_muted(&sid("a"), true, at_tick(JOINED));
    room.tick_to(JOINED);
    assert_eq!(room.colour(640, 360), BLUE);
    room.tick_to(JOINED + 8);
    assert_eq!(room.colour(640, 360), BLACK);
}

#[test]
fn a_frame_of_another_size_or_none_leaves_the_background() {
    for frame in [None, Some(vec![7; 100])] {
        let mut room = Room::new();
        room.composer.resume(600, frame, at_tick(JOINED));
        room.tick();
        assert_eq!(room.colour(640, 360), BLACK);
    }
}

#[test]
fn sound_lies_where_its_time_says_on_the_grid_that_was_begun_before() {
    let mut room = room();
    room.composer.add_audio(sid("a"));
    let sound = Sound { time: at_tick(601), samples: vec![1000; 2 * 4800] };
    room.composer.sound(&sid("a"), &sound);
    assert!(room.composer.tick().sound.iter().all(|&value| value == 0));
    let heard = room.composer.tick().sound.to_vec();
    // After a fade of 5 ms.
    assert!(heard[480..].iter().all(|&value| value == 1000));
}
