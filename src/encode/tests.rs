//! The specification of the encoder, checked with GStreamer's decoders.

pub(super) mod decoded;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use self::decoded::{greys, sound_of};
use super::{EncodeSettings, Encoded, Encoder, StreamStart};
use crate::media::{EncodedSample, Size, StreamKind, StreamSetup, Streams};

/// No test takes a second: this ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);
const SIZE: Size = Size { width: 320, height: 180 };
const SETTINGS: EncodeSettings =
    EncodeSettings { streams: Streams::Both, size: SIZE, frame_rate: 30, video_kbps: 3000, audio_kbps: 128 };
const PICTURE_BYTES: usize = 320 * 180 * 3 / 2;
const TICK_SAMPLES: usize = 1600;
const AAC_FRAME: usize = 1024;
const SILENCE: [i16; 2] = [0; 2];

struct Rig {
    encoder: Encoder,
    settings: EncodeSettings,
    first_tick: usize,
    wake: Arc<Notify>,
}

struct File {
    setup: Option<StreamSetup>,
    video: Vec<EncodedSample>,
    audio: Vec<EncodedSample>,
}

impl Rig {
    fn new() -> Self {
        Self::of(SETTINGS)
    }

    fn of(settings: EncodeSettings) -> Self {
        let wake = Arc::new(Notify::new());
        let encoder = Encoder::start(settings, Arc::clone(&wake)).expect("an encoder");
        Self { encoder, settings, first_tick: 0, wake }
    }

    fn at(start: StreamStart) -> Self {
        let wake = Arc::new(Notify::new());
        let encoder = Encoder::start_at(start, SETTINGS, Arc::clone(&wake)).expect("an encoder");
        Self { encoder, settings: SETTINGS, first_tick: start.tick as usize, wake }
    }

    async fn woken(&self) {
        tokio::time::timeout(HANG, self.wake.notified()).await.expect("a wake-up");
    }

    /// Pushes `ticks` ticks, takes all outputs meanwhile, and ends the encoder.
    async fn encode(mut self, ticks: usize, sound: impl Fn(usize) -> [i16; 2]) -> File {
        let mut out = Vec::new();
        for tick in self.first_tick..self.first_tick + ticks {
            while !self.encoder.ready() {
                self.woken().await;
                out.extend(std::iter::from_fn(|| self.encoder.try_next()));
            }
            let tick = tick_of(self.settings, tick, &sound);
            self.encoder.push(&tick.0, &tick.1).expect("a tick");
            out.extend(std::iter::from_fn(|| self.encoder.try_next()));
        }
        self.encoder.finish();
        while !matches!(out.last(), Some(Encoded::End | Encoded::Failed(_))) {
            self.woken().await;
            out.extend(std::iter::from_fn(|| self.encoder.try_next()));
        }
        File::of(out)
    }
}

impl File {
    /// Checks the order that the contract promises.
    fn of(out: Vec<Encoded>) -> Self {
        let mut file = Self { setup: None, video: Vec::new(), audio: Vec::new() };
        let last = out.len() - 1;
        for (n, encoded) in out.into_iter().enumerate() {
            match encoded {
                Encoded::Setup(setup) => {
                    assert_eq!(n, 0, "the setup comes first");
                    file.setup = Some(setup);
                }
                Encoded::Sample(sample) => {
                    assert!(file.setup.is_some(), "no sample before the setup");
                    match sample.stream {
                        StreamKind::Video => file.video.push(sample),
                        StreamKind::Audio => file.audio.push(sample),
                    }
                }
                Encoded::End => assert_eq!(n, last, "the end comes last"),
                Encoded::Failed(error) => panic!("{error}"),
            }
        }
        file
    }
}

#[tokio::test]
async fn every_tick_is_one_video_sample_that_shows_its_picture() {
    let file = Rig::new().encode(90, |_| SILENCE).await;
    assert_eq!(file.video.len(), 90);
    let shown = greys(&file.setup.expect("a setup"), &file.video);
    assert_eq!(shown.len(), 90);
    for (tick, shown) in shown.iter().enumerate() {
        assert!(shown.abs_diff(grey(tick)) <= 3, "tick {tick} shows {shown}, not {}", grey(tick));
    }
}

#[tokio::test]
async fn keyframes_are_two_seconds_apart() {
    let file = Rig::new().encode(150, |_| SILENCE).await;
    let keyframes: Vec<_> = (0..150).filter(|n| file.video[*n].keyframe).collect();
    assert_eq!(keyframes[0], 0);
    let gaps: Vec<_> = keyframes.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.iter().all(|gap| *gap <= 60), "{keyframes:?}");
    assert!(keyframes.last().is_some_and(|last| 150 - last <= 60), "{keyframes:?}");
}

#[tokio::test]
async fn all_sound_comes_out_after_exactly_the_priming() {
    // One click in the first packet, one in the middle, one at the very end.
    let clicks = [100, 72_345, 90 * TICK_SAMPLES - 50];
    let sound = |n: usize| if clicks.contains(&n) { [25_000; 2] } else { SILENCE };
    let file = Rig::new().encode(90, sound).await;
    let setup = file.setup.expect("a setup");
    let priming = priming_of(&setup);
    assert_eq!(file.audio.len(), (priming + 90 * TICK_SAMPLES).div_ceil(AAC_FRAME));
    assert!(file.audio.iter().all(|s| s.keyframe));
    let heard: Vec<i16> = sound_of(&setup, &file.audio).into_iter().map(|[left, _]| left).collect();
    for click in clicks {
        let around = (priming + click).saturating_sub(1000)..(priming + click + 1000).min(heard.len());
        let peak = around.max_by_key(|n| heard[*n].unsigned_abs()).expect("samples");
        assert_eq!(peak, priming + click);
    }
}

/// Sound in one channel stays there. An encoder that always codes sum and difference loses the difference.
#[tokio::test]
async fn what_is_in_one_channel_is_not_in_the_other() {
    let tone = |n: usize| (8000.0 * (n as f64 * std::f64::consts::TAU * 400.0 / 48_000.0).sin()) as i16;
    let file = Rig::new().encode(60, |n| [tone(n), 0]).await;
    let heard = sound_of(&file.setup.expect("a setup"), &file.audio);
    let peak = |channel: usize| heard[24_000..72_000].iter().map(|frame| frame[channel].unsigned_abs()).max();
    assert!(peak(0) > Some(7000) && peak(1) < Some(200), "{:?} and {:?}", peak(0), peak(1));
}

/// Encodes 150 ticks by two encoders. The first ends after `ticks` ticks and `sounds` AAC samples. Checks
/// that a single decoder hears each click at its time, and sees each tick's picture.
async fn two_encoders(ticks: usize, sounds: usize, clicks: [usize; 4]) {
    let sound = |n: usize| if clicks.contains(&n) { [25_000; 2] } else { SILENCE };
    let first = Rig::new().encode(150, sound).await;
    let start = StreamStart { tick: ticks as u64, pcm: (sounds * AAC_FRAME) as u64 };
    let second = Rig::at(start).encode(150 - ticks, sound).await;
    let setup = first.setup.expect("a setup");
    assert_eq!(second.setup, Some(setup.clone()));

    let joined = |old: &[EncodedSample], new: &[EncodedSample]| [old, new].concat();
    let shown = greys(&setup, &joined(&first.video[..ticks], &second.video));
    assert_eq!(shown.len(), 150);
    for (tick, shown) in shown.iter().enumerate() {
        assert!(shown.abs_diff(grey(tick)) <= 3, "tick {tick} shows {shown}, not {}", grey(tick));
    }
    let heard = sound_of(&setup, &joined(&first.audio[..sounds], &second.audio));
    let priming = priming_of(&setup);
    for click in clicks {
        let around = priming + click - 1000..priming + click + 1000;
        let peak = around.max_by_key(|n| heard[*n][0].unsigned_abs()).expect("samples");
        assert_eq!(peak, priming + click);
    }
    assert_eq!(heard.len(), (priming + 150 * TICK_SAMPLES).div_ceil(AAC_FRAME) * AAC_FRAME);
}

#[tokio::test]
async fn streams_go_on_where_another_encoder_left_off_to_the_sample() {
    // The sound was ahead, as it is when the video encoder looks ahead.
    two_encoders(30, 60, [20_000, 60 * AAC_FRAME + 300, 70_000, 200_000]).await;
    // The sound was behind: the missing part is silent.
    two_encoders(60, 70, [20_000, 60 * TICK_SAMPLES + 50, 120_000, 200_000]).await;
    // Less than a second of sound, or far too much of it.
    two_encoders(60, 0, [100_000, 110_000, 120_000, 200_000]).await;
    two_encoders(1, 220, [20_000, 120_000, 200_000, 220 * AAC_FRAME + 20]).await;
}

#[tokio::test]
async fn the_setup_says_high_profile_and_aac_lc_in_48_khz_stereo() {
    let setup = Rig::new().encode(1, |_| SILENCE).await.setup.expect("a setup");
    // ISO/IEC 14496-15, 5.3.3.1: version 1, profile 100 (High); lengths of 4 bytes; one SPS.
    let avcc = setup.avcc.expect("a picture");
    assert_eq!(avcc[..2], [1, 100]);
    assert_eq!(avcc[4..6], [0xff, 0xe1]);
    // ISO/IEC 14496-3, 1.6.2.1: object type 2 (LC), frequency index 3 (48 kHz), 2 channels.
    assert_eq!(setup.audio.expect("sound").specific_config[..2], [0x11, 0x90]);
}

#[tokio::test]
async fn one_tick_is_a_recording() {
    let file = Rig::new().encode(1, |_| SILENCE).await;
    assert_eq!(file.video.len(), 1);
    assert_eq!(file.audio.len(), (AAC_FRAME + TICK_SAMPLES).div_ceil(AAC_FRAME));
}

#[tokio::test]
async fn a_recording_without_a_tick_ends_all_the_same() {
    let file = Rig::new().encode(0, |_| SILENCE).await;
    assert!(file.setup.is_none() && file.video.is_empty());
}

#[tokio::test]
async fn every_size_and_rate_that_can_be_asked_for_is_encoded() {
    let shapes = [
        (128, 128, 1, 64, 32),
        (130, 242, 29, 300, 96),
        (720, 1280, 25, 3000, 128),
        (3840, 2160, 60, 50_000, 320),
        (128, 3840, 7, 3000, 128),
    ];
    for (width, height, frame_rate, video_kbps, audio_kbps) in shapes {
        let size = Size { width, height };
        let settings = EncodeSettings { streams: Streams::Both, size, frame_rate, video_kbps, audio_kbps };
        let file = Rig::of(settings).encode(20, |n| [(n % 100) as i16 * 200; 2]).await;
        assert_eq!(file.video.len(), 20, "{settings:?}");
        let samples = 20 * 48_000 / frame_rate as usize;
        assert_eq!(file.audio.len(), (AAC_FRAME + samples).div_ceil(AAC_FRAME), "{settings:?}");
        let shown = greys(&file.setup.expect("a setup"), &file.video);
        assert_eq!(shown.len(), 20, "{settings:?}");
        for (tick, shown) in shown.iter().enumerate() {
            assert!(shown.abs_diff(grey(tick)) <= 6, "{settings:?}: tick {tick} shows {shown}");
        }
    }
}

#[tokio::test]
async fn an_owner_that_takes_nothing_is_held_back_and_loses_nothing() {
    let mut rig = Rig::new();
    let mut ticks = 0;
    while rig.encoder.ready() || ticks < super::encoder::TICKS_IN_FLIGHT_MAX {
        while !rig.encoder.ready() {
            rig.woken().await;
        }
        let tick = usize::try_from(ticks).expect("a few");
        rig.encoder.push(&picture(tick), &stretch(tick, &|_| SILENCE)).expect("a tick");
        ticks += 1;
    }
    assert_eq!(ticks, super::encoder::TICKS_IN_FLIGHT_MAX);
    let file = rig.encode(0, |_| SILENCE).await;
    assert_eq!(file.video.len() as u64, ticks);
}

#[tokio::test]
async fn a_tick_of_another_shape_is_refused() {
    let mut rig = Rig::new();
    let sound = stretch(0, &|_| SILENCE);
    assert!(rig.encoder.push(&picture(0)[1..], &sound).is_err());
    assert!(rig.encoder.push(&picture(0), &sound[2..]).is_err());
    rig.encoder.push(&picture(0), &sound).expect("the right shape");
    assert_eq!(rig.encode(0, |_| SILENCE).await.video.len(), 1, "a refused tick leaves nothing behind");
}

#[tokio::test]
async fn where_there_is_one_stream_all_of_it_comes_out_and_nothing_of_the_other() {
    let of = |streams| Rig::of(EncodeSettings { streams, ..SETTINGS });
    let tone = |n: usize| [(n % 100) as i16 * 200; 2];
    let sound = of(Streams::AudioOnly).encode(150, tone).await;
    let setup = sound.setup.expect("a setup");
    assert!(setup.avcc.is_none() && sound.video.is_empty());
    assert_eq!(sound.audio.len(), (priming_of(&setup) + 150 * TICK_SAMPLES).div_ceil(AAC_FRAME));

    let pictures = of(Streams::VideoOnly).encode(150, tone).await;
    let setup = pictures.setup.expect("a setup");
    assert!(setup.audio.is_none() && pictures.audio.is_empty());
    assert_eq!(greys(&setup, &pictures.video).len(), 150);
}

#[tokio::test]
async fn sound_alone_that_nobody_takes_is_held_back_too() {
    let mut rig = Rig::of(EncodeSettings { streams: Streams::AudioOnly, ..SETTINGS });
    let mut ticks = 0;
    while rig.encoder.ready() || ticks < super::encoder::TICKS_IN_FLIGHT_MAX {
        while !rig.encoder.ready() {
            rig.woken().await;
        }
        rig.encoder
            .push(&[], &stretch(usize::try_from(ticks).expect("a few"), &|_| SILENCE))
            .expect("a tick");
        ticks += 1;
    }
    assert_eq!(ticks, super::encoder::TICKS_IN_FLIGHT_MAX);
}

fn priming_of(setup: &StreamSetup) -> usize {
    setup.audio.as_ref().expect("sound").priming as usize
}

fn grey(tick: usize) -> u8 {
    40 + (tick * 2 % 180) as u8
}

/// Returns the picture and the sound of a tick for any settings.
fn tick_of(settings: EncodeSettings, tick: usize, sound: &impl Fn(usize) -> [i16; 2]) -> (Vec<u8>, Vec<i16>) {
    let EncodeSettings { size: Size { width, height }, frame_rate, .. } = settings;
    let pixels = (width * height) as usize;
    let mut picture = vec![128; pixels * 3 / 2];
    picture[..pixels].fill(grey(tick));
    let before = |tick: usize| tick * 48_000 / frame_rate as usize;
    (picture, (before(tick)..before(tick + 1)).flat_map(sound).collect())
}

fn picture(tick: usize) -> Vec<u8> {
    let mut bytes = vec![128; PICTURE_BYTES];
    bytes[..PICTURE_BYTES / 3 * 2].fill(grey(tick));
    bytes
}

fn stretch(tick: usize, sound: &impl Fn(usize) -> [i16; 2]) -> Vec<i16> {
    (tick * TICK_SAMPLES..(tick + 1) * TICK_SAMPLES).flat_map(sound).collect()
}
