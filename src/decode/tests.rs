//! The specification of a decoder, on streams from GStreamer's own encoders.

mod clips;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use self::clips::{Clip, FRAME_TIME, PACKET_TIME, centre, opus_tones, opus_with_click, sizes};
use super::{Decoded, TrackDecoder};
use crate::media::{Codec, EncodedFrame, MediaTime, Picture, Rotation, Size, Sound};

/// No test takes a second: this ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);
/// How much quantisation may change an even grey.
const GREY_TOLERANCE: u8 = 3;
const SMALL: Size = Size { width: 320, height: 180 };
const LARGE: Size = Size { width: 640, height: 360 };
/// Neither its rows nor its columns are whole macroblocks or aligned.
const CROOKED: Size = Size { width: 638, height: 358 };

/// Acts as a track's owner: a failed decoder is replaced by a new one.
struct Rig {
    codec: Codec,
    decoder: TrackDecoder,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Outcome {
    pictures: Vec<Picture>,
    sounds: Vec<Sound>,
    keyframes_wanted: usize,
}

impl Rig {
    fn new(codec: Codec) -> Self {
        let wake = Arc::new(Notify::new());
        let decoder = Self::start(codec, &wake);
        Self { codec, decoder, wake }
    }

    fn start(codec: Codec, wake: &Arc<Notify>) -> TrackDecoder {
        TrackDecoder::start(codec, "test", Arc::clone(wake)).expect("a decoder")
    }

    fn push(&mut self, frames: impl IntoIterator<Item = EncodedFrame>) {
        for frame in frames {
            self.decoder.push(frame).expect("room for a frame");
        }
    }

    /// Takes all outputs of the pushed frames.
    async fn take(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let caught_up = self.decoder.caught_up();
            while let Some(decoded) = self.decoder.try_next() {
                match decoded {
                    Decoded::Picture(picture) => outcome.pictures.push(picture),
                    Decoded::Sound(sound) => outcome.sounds.push(sound),
                    Decoded::KeyframeWanted => outcome.keyframes_wanted += 1,
                    Decoded::Failed(error) => {
                        // libaom refuses a broken frame like this.
                        assert_eq!(self.codec, Codec::Av1, "{error}");
                        outcome.keyframes_wanted += 1;
                        self.decoder = Self::start(self.codec, &self.wake);
                        return outcome;
                    }
                }
            }
            if caught_up {
                return outcome;
            }
            tokio::time::timeout(HANG, self.wake.notified()).await.expect("a wake-up");
        }
    }
}

#[tokio::test]
async fn every_picture_comes_out_once_with_its_content_and_its_time() {
    for codec in Codec::VIDEO {
        for size in [SMALL, CROOKED] {
            let clip = Clip::greys(codec, size, 60).from(MediaTime::from_millis(-100));
            let mut rig = Rig::new(codec);
            rig.push(clip.frames.clone());
            let pictures = rig.take().await.pictures;
            let times: Vec<_> = pictures.iter().map(|p| p.time).collect();
            let expected: Vec<_> = clip.frames.iter().map(|f| f.time).collect();
            assert_eq!(times, expected, "{codec:?}");
            for (picture, grey) in pictures.iter().zip(&clip.greys) {
                assert_eq!(picture.image.size(), size);
                let [y, u, v] = centre(codec, picture);
                assert!(y.abs_diff(*grey) <= GREY_TOLERANCE, "{codec:?}: {y} is not {grey}");
                assert!(u.abs_diff(128) <= GREY_TOLERANCE && v.abs_diff(128) <= GREY_TOLERANCE);
            }
        }
    }
}

#[tokio::test]
async fn each_frame_is_through_before_the_next_is_pushed() {
    for codec in Codec::VIDEO {
        let mut rig = Rig::new(codec);
        for frame in Clip::greys(codec, SMALL, 10).frames {
            rig.push([frame.clone()]);
            let pictures = rig.take().await.pictures;
            assert_eq!(pictures.iter().map(|p| p.time).collect::<Vec<_>>(), [frame.time], "{codec:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_taken_waits_encoded_and_is_not_lost() {
    let clip = Clip::greys(Codec::Vp8, SMALL, 200);
    let mut rig = Rig::new(Codec::Vp8);
    rig.push(clip.frames.clone());
    tokio::time::timeout(HANG, rig.wake.notified()).await.expect("a wake-up");
    assert!(!rig.decoder.caught_up());
    assert_eq!(rig.take().await.pictures.len(), clip.frames.len());
}

#[tokio::test]
async fn an_owner_that_never_takes_is_told() {
    let keyframe = Clip::greys(Codec::Vp8, SMALL, 1).frames.remove(0);
    let mut rig = Rig::new(Codec::Vp8);
    let refused = (0..2000).find_map(|_| rig.decoder.push(keyframe.clone()).err());
    assert!(refused.is_some_and(|e| e.to_string().contains("wait to be decoded already")));
}

#[tokio::test]
async fn a_picture_size_that_changes_in_the_stream_changes_the_pictures() {
    for codec in Codec::VIDEO {
        let small = Clip::greys(codec, SMALL, 5);
        let large = Clip::greys(codec, LARGE, 5).from(MediaTime::from_millis(1000));
        let again = Clip::greys(codec, SMALL, 5).from(MediaTime::from_millis(2000));
        let mut rig = Rig::new(codec);
        rig.push([small.frames, large.frames, again.frames].concat());
        let expected = [[SMALL; 5], [LARGE; 5], [SMALL; 5]].concat();
        assert_eq!(sizes(&rig.take().await.pictures), expected, "{codec:?}");
    }
}

/// As RTP brings them: one after the other, without an index.
#[tokio::test]
async fn of_a_picture_in_several_spatial_layers_the_largest_comes_out() {
    for codec in [Codec::Vp9, Codec::Av1] {
        let layers = [SMALL, LARGE].map(|size| Clip::greys(codec, size, 1).frames.remove(0));
        let mut picture = layers[0].clone();
        picture.data = layers.iter().flat_map(|layer| layer.data.to_vec()).collect();
        let mut rig = Rig::new(codec);
        rig.push([picture]);
        assert_eq!(sizes(&rig.take().await.pictures), [LARGE], "{codec:?}");
    }
}

#[tokio::test]
async fn pictures_are_turned_as_their_frames_said() {
    for codec in Codec::VIDEO {
        let mut frames = Clip::greys(codec, SMALL, 20).frames;
        for frame in &mut frames[7..15] {
            frame.rotation = Rotation::By90;
        }
        let mut rig = Rig::new(codec);
        rig.push(frames.clone());
        let turned: Vec<_> = rig.take().await.pictures.iter().map(|p| p.rotation).collect();
        assert_eq!(turned, frames.iter().map(|f| f.rotation).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[tokio::test]
async fn garbage_costs_the_pictures_up_to_the_next_keyframe_and_asks_for_one() {
    for codec in Codec::VIDEO {
        let mut frames = Clip::greys(codec, SMALL, 6).frames;
        for frame in &mut frames[2..5] {
            frame.data = garbage(frame.data.len().max(200));
        }
        let next = Clip::greys(codec, SMALL, 6).from(MediaTime::from_millis(1000));
        let mut rig = Rig::new(codec);
        rig.push(frames);
        let broken = rig.take().await;
        assert!(broken.keyframes_wanted > 0, "{codec:?}");
        rig.push(next.frames.clone());
        let whole = rig.take().await;
        let times: Vec<_> = whole.pictures.iter().map(|p| p.time).collect();
        assert_eq!(times, next.frames.iter().map(|f| f.time).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[tokio::test]
async fn a_stream_of_nothing_but_garbage_neither_hangs_nor_fails() {
    for codec in Codec::VIDEO.into_iter().chain([Codec::Opus]) {
        let mut frames = match codec {
            Codec::Opus => opus_with_click(20, 0),
            _ => Clip::greys(codec, SMALL, 20).frames,
        };
        for (n, frame) in frames.iter_mut().enumerate() {
            frame.data = garbage(n * 7);
        }
        let mut rig = Rig::new(codec);
        rig.push(frames);
        rig.take().await;
    }
}

#[tokio::test]
async fn a_stream_that_begins_without_a_keyframe_asks_for_one_and_starts_there() {
    for codec in Codec::VIDEO {
        let clip = Clip::greys(codec, SMALL, 5);
        let next = Clip::greys(codec, SMALL, 5).from(MediaTime::from_millis(1000));
        let mut rig = Rig::new(codec);
        rig.push(clip.frames[1..].to_vec());
        assert!(rig.take().await.pictures.is_empty(), "{codec:?}");
        rig.push(next.frames);
        assert_eq!(rig.take().await.pictures.len(), 5, "{codec:?}");
    }
}

#[tokio::test]
async fn a_discontinuity_before_a_keyframe_costs_nothing() {
    for codec in Codec::VIDEO {
        let clip = Clip::greys(codec, SMALL, 5);
        let mut next = Clip::greys(codec, SMALL, 5).from(MediaTime::from_millis(3000));
        next.frames[0].discontinuity = true;
        let mut rig = Rig::new(codec);
        rig.push([clip.frames, next.frames].concat());
        assert_eq!(rig.take().await.pictures.len(), 10, "{codec:?}");
    }
}

#[tokio::test]
async fn blank_frames_of_the_sfu_end_here() {
    let blank = Clip::greys(Codec::Vp8, Size { width: 8, height: 8 }, 3);
    let real = Clip::greys(Codec::Vp8, SMALL, 3).from(MediaTime::from_millis(1000));
    let mut rig = Rig::new(Codec::Vp8);
    rig.push([blank.frames, real.frames].concat());
    assert_eq!(sizes(&rig.take().await.pictures), [SMALL; 3]);
}

#[tokio::test]
async fn sound_comes_out_whole_and_at_the_time_it_was_heard() {
    // The click is in the middle of the eleventh packet.
    let click = MediaTime::ZERO + PACKET_TIME * 10 + PACKET_TIME / 2;
    let mut rig = Rig::new(Codec::Opus);
    rig.push(opus_with_click(25, click.nanos() as u64));
    let sounds = rig.take().await.sounds;
    assert_eq!(sounds.len(), 25);
    assert!(sounds.iter().all(|s| s.samples.len() == 960 * 2), "20 ms of stereo each");
    let peak = peak_time(&sounds);
    // A click is a few samples wide, and Opus smears it a little.
    assert!(peak.nanos_since(click).abs() < 500_000, "{peak:?} is not {click:?}");
}

#[tokio::test]
async fn sound_after_a_gap_keeps_its_own_time() {
    let mut frames = opus_with_click(10, 0);
    for frame in &mut frames[5..] {
        frame.time = frame.time + Duration::from_millis(777);
    }
    frames[5].discontinuity = true;
    let mut rig = Rig::new(Codec::Opus);
    rig.push(frames.clone());
    let times: Vec<_> = rig.take().await.sounds.iter().map(|s| s.time).collect();
    let look_ahead = Duration::from_micros(6_500);
    assert_eq!(times, frames.iter().map(|f| f.time - look_ahead).collect::<Vec<_>>());
}

#[tokio::test]
async fn lost_sound_is_made_up_for_in_its_place() {
    let mut frames = opus_tones(30, "wave=sine");
    frames.drain(10..12);
    frames[10].discontinuity = true;
    let mut rig = Rig::new(Codec::Opus);
    rig.push(frames);
    let sounds = rig.take().await.sounds;
    let length: usize = sounds.iter().map(|s| s.samples.len() / 2).sum();
    assert_eq!(length, 30 * 960, "as long as nothing was lost");
    for pair in sounds.windows(2) {
        let length = Duration::from_nanos(pair[0].samples.len() as u64 / 2 * 1_000_000_000 / 48_000);
        assert_eq!(pair[1].time, pair[0].time + length);
    }
    let made_up = &sounds[10];
    let loudest = made_up.samples.iter().map(|v| v.unsigned_abs()).max();
    assert!(loudest.is_some_and(|v| v > 5_000), "{loudest:?}");
    assert_eq!(rig.decoder.concealed(), Duration::from_millis(40));
}

#[tokio::test]
async fn stereo_stays_stereo_and_mono_is_in_both_ears() {
    let level = |samples: &[i16], channel: usize| {
        samples.iter().skip(channel).step_by(2).map(|v| f64::from(*v).powi(2)).sum::<f64>()
    };
    let mut rig = Rig::new(Codec::Opus);
    rig.push(opus_tones(25, "wave=sine ! audio/x-raw,channels=1 ! audiopanorama panorama=-1"));
    let left = rig.take().await.sounds.remove(20).samples;
    assert!(level(&left, 0) > 1000.0 * level(&left, 1));
    let mut rig = Rig::new(Codec::Opus);
    rig.push(opus_tones(25, "wave=sine ! audio/x-raw,channels=1"));
    let both = rig.take().await.sounds.remove(20).samples;
    assert!(both.chunks(2).all(|frame| frame[0] == frame[1]) && level(&both, 0) > 1e6);
}

#[tokio::test]
async fn a_broken_packet_of_sound_costs_that_packet_alone() {
    let mut frames = opus_with_click(10, 0);
    // A code 3 packet without its frame count (RFC 6716, section 3.4, R6).
    frames[4].data = bytes::Bytes::from_static(&[0xff]);
    let mut rig = Rig::new(Codec::Opus);
    rig.push(frames);
    let sounds = rig.take().await.sounds;
    assert_eq!(sounds.len(), 9);
}

#[tokio::test]
async fn frame_times_need_not_be_even() {
    let mut clip = Clip::greys(Codec::H264, SMALL, 30);
    for (n, frame) in clip.frames.iter_mut().enumerate() {
        frame.time = frame.time + Duration::from_nanos(n as u64 % 3 * 7_654_321);
    }
    let mut rig = Rig::new(Codec::H264);
    rig.push(clip.frames.clone());
    let times: Vec<_> = rig.take().await.pictures.iter().map(|p| p.time).collect();
    assert_eq!(times, clip.frames.iter().map(|f| f.time).collect::<Vec<_>>());
    assert!(FRAME_TIME > Duration::from_nanos(2 * 7_654_321), "or the order would change");
}

fn peak_time(sounds: &[Sound]) -> MediaTime {
    let loudest = |s: &&Sound| s.samples.iter().map(|v| v.unsigned_abs()).max();
    let sound = sounds.iter().max_by_key(loudest).expect("a sound");
    let left = sound.samples.iter().step_by(2);
    let (at, _) = left.enumerate().max_by_key(|(_, v)| v.unsigned_abs()).expect("a sample");
    sound.time + Duration::from_nanos(at as u64 * 1_000_000_000 / 48_000)
}

/// Returns the same bytes on every run, without a pattern that a parser would know.
fn garbage(len: usize) -> bytes::Bytes {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::successors(Some(1_u32), |_| None)
        .flat_map(|mut state| std::iter::from_fn(move || next(&mut state)))
        .take(len)
        .collect()
}
