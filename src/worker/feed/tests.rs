//! What a feed does when a decoder cannot do its part.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::media::Rotation;

const HANG: Duration = Duration::from_secs(60);

fn feed() -> TrackFeed {
    TrackFeed::new(TrackSid("TR_a".into()), TrackKind::Video, Arc::new(Notify::new()))
}

/// Nothing that any decoder would take.
fn frame(codec: Codec, millis: i64, keyframe: bool) -> EncodedFrame {
    EncodedFrame {
        codec,
        time: MediaTime::from_millis(millis),
        data: Bytes::from_static(&[0xff; 64]),
        keyframe,
        rotation: Rotation::Upright,
        discontinuity: false,
    }
}

/// Everything that comes out until all that was fed is through.
async fn events(feed: &mut TrackFeed) -> Vec<FeedEvent> {
    let mut outputs = Vec::new();
    loop {
        let caught_up = feed.caught_up();
        let before = outputs.len();
        outputs.extend(std::iter::from_fn(|| feed.try_next()));
        if caught_up {
            return outputs;
        }
        if outputs.len() > before {
            // A failed decoder is gone with its output, and wakes nobody any more.
            continue;
        }
        tokio::time::timeout(HANG, feed.wake.notified()).await.expect("a wake-up");
    }
}

#[tokio::test]
async fn a_track_that_begins_without_a_keyframe_is_skipped_and_asks_for_one() {
    let mut feed = feed();
    feed.receive(frame(Codec::Vp8, 0, false));
    feed.receive(frame(Codec::Vp8, 33, false));
    feed.feed(MediaTime::from_millis(33));
    assert!(matches!(events(&mut feed).await[..], [FeedEvent::KeyframeWanted]));
    assert_eq!(feed.counters().skipped, 2);
}

#[tokio::test]
async fn a_stream_that_no_decoder_takes_is_given_up_and_told_once() {
    let mut feed = feed();
    let (mut failed, mut given_up) = (0, 0);
    for n in 0..20 {
        feed.receive(frame(Codec::Av1, n * 33, true));
        feed.feed(MediaTime::from_millis(n * 33));
        for output in events(&mut feed).await {
            match output {
                FeedEvent::Failed(_) => failed += 1,
                FeedEvent::Undecodable { codec: Codec::Av1, .. } => given_up += 1,
                FeedEvent::KeyframeWanted => {}
                FeedEvent::Undecodable { .. } | FeedEvent::Picture(_) | FeedEvent::Sound(_) => {
                    panic!("garbage came out")
                }
            }
        }
    }
    assert_eq!((failed, given_up), (FAILURES_IN_A_ROW - 1, 1));
    assert!(feed.counters().skipped > 0);
}

#[tokio::test]
async fn a_codec_that_was_given_up_does_not_keep_another_one_from_being_decoded() {
    let mut feed = feed();
    let reason = DecodeError::NoPicture { codec: Codec::Av1 };
    feed.give_up(Codec::Av1, reason);
    assert!(matches!(events(&mut feed).await[..], [FeedEvent::Undecodable { .. }]));
    feed.receive(frame(Codec::Vp8, 0, true));
    feed.feed(MediaTime::ZERO);
    assert!(matches!(feed.decoder, State::Running { codec: Codec::Vp8, .. }));
}

#[tokio::test]
async fn a_queue_that_overflows_goes_on_with_a_keyframe() {
    let mut feed = feed();
    feed.receive(frame(Codec::Vp8, 0, true));
    feed.feed(MediaTime::ZERO);
    for n in 1..=QUEUED_FRAMES as i64 + 1 {
        feed.receive(frame(Codec::Vp8, n, false));
    }
    assert!(matches!(feed.decoder, State::Idle), "the first frame of those that wait is missing");
    feed.feed(MediaTime::from_millis(100));
    assert!(matches!(feed.try_next(), Some(FeedEvent::KeyframeWanted)));
    assert!(feed.try_next().is_none());
    assert_eq!(feed.counters().skipped, 100);
}
