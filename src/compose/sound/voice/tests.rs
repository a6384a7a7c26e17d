//! The specification of a voice's place on the sample grid.

use std::f64::consts::TAU;

use super::*;

const TICK: usize = 1600;
/// 20 ms, what Opus usually sends.
const BLOCK: usize = 960;

fn time_of(frame: f64) -> MediaTime {
    MediaTime::from_nanos((frame * 1e9 / 48_000.0).round() as i64)
}

fn block(at: f64, frames: impl Iterator<Item = SoundFrame>) -> Sound {
    Sound { time: time_of(at), samples: frames.flatten().collect() }
}

/// Returns a block of one level, longer than its fades.
fn level(at: f64, frames: usize, value: i16) -> Sound {
    block(at, std::iter::repeat_n([value, -value], frames))
}

fn sine(frame: usize, amplitude: f64, hertz: f64) -> i16 {
    (amplitude * (TAU * hertz * frame as f64 / 48_000.0).sin()).round() as i16
}

/// Advances by whole ticks; returns the mixed frames.
fn mixed(voice: &mut Voice, ticks: usize) -> Vec<SoundFrame> {
    let mut out = Vec::new();
    for _ in 0..ticks {
        voice.prepare(TICK);
        let mut tick = [[0; 2]; TICK];
        voice.add_to(&mut tick);
        voice.advance(TICK);
        out.extend(tick.map(|sum| sum.map(|value| value as i16)));
    }
    out
}

fn largest_step(frames: &[SoundFrame]) -> i32 {
    let steps = frames.windows(2);
    let steps = steps.map(|f| (i32::from(f[0][0]) - i32::from(f[1][0])).abs());
    steps.max().unwrap_or(0)
}

#[test]
fn blocks_that_follow_one_another_are_kept_bit_by_bit() {
    let mut voice = Voice::new(0);
    let tone = |frame: usize| [sine(frame, 20_000.0, 440.0), frame as i16];
    for start in (0..48_000).step_by(BLOCK) {
        voice.push(&block(start as f64, (start..start + BLOCK).map(tone)));
    }
    let out = mixed(&mut voice, 29);
    let expected: Vec<SoundFrame> = (0..29 * TICK).map(tone).collect();
    assert!(out[FADE..] == expected[FADE..]);
    assert_eq!(voice.counters(), VoiceCounters::default());
}

#[test]
fn time_stamps_that_tremble_by_a_few_milliseconds_change_nothing() {
    let mut voice = Voice::new(0);
    for (i, start) in (0..48_000).step_by(BLOCK).enumerate() {
        let jitter = [0.0, 115.0, -115.0, 50.0][i % 4];
        voice.push(&block(start as f64 + jitter, (start..start + BLOCK).map(|f| [f as i16; 2])));
    }
    let out = mixed(&mut voice, 29);
    assert!((FADE..29 * TICK).all(|frame| out[frame] == [frame as i16; 2]));
}

#[test]
fn a_voice_lies_at_its_true_time() {
    let mut voice = Voice::new(0);
    voice.push(&level(5000.0, 9600, 1000));
    let out = mixed(&mut voice, 10);
    assert!(out[..5000].iter().all(|&frame| frame == [0, 0]));
    assert!(out[5000..5000 + FADE].is_sorted());
    assert!(out[5000 + FADE..14_600].iter().all(|&frame| frame == [1000, -1000]));
    assert!(out[14_600..14_600 + FADE].is_sorted_by(|a, b| a[0] >= b[0]));
    assert!(out[14_600 + FADE..].iter().all(|&frame| frame == [0, 0]));
}

#[test]
fn a_pause_is_silent_and_as_long_as_it_was_and_its_edges_do_not_click() {
    let mut voice = Voice::new(0);
    voice.push(&level(0.0, 4800, 30_000));
    voice.push(&level(14_400.0, 4800, 30_000));
    let out = mixed(&mut voice, 15);
    assert!(out[4800 + FADE..14_400].iter().all(|&frame| frame == [0, 0]));
    assert_eq!(out[14_400 + FADE], [30_000, -30_000]);
    // A cosine of 5 ms from 30,000 to 0 falls by at most 30,000 * pi / 2 / 240 a frame.
    assert!(largest_step(&out) <= 197, "{}", largest_step(&out));
    assert_eq!(voice.counters().breaks, 2);
}

#[test]
fn a_voice_that_breaks_off_in_the_middle_of_a_tick_or_at_its_end_fades_out() {
    for length in [1600, 1601, 1590, 2400, 3199, 3200] {
        let mut voice = Voice::new(0);
        voice.push(&level(0.0, length, 30_000));
        let out = mixed(&mut voice, 4);
        assert_eq!(out[length - 1], [30_000, -30_000]);
        assert!(largest_step(&out) <= 197, "{length}: {}", largest_step(&out));
        assert_eq!(out[length + FADE], [0, 0]);
        assert!(voice.is_silent());
    }
}

#[test]
fn what_comes_after_its_tick_is_dropped_and_the_rest_is_faded_in() {
    let mut voice = Voice::new(0);
    mixed(&mut voice, 3);
    voice.push(&level(4000.0, 2400, 30_000));
    let out = mixed(&mut voice, 2);
    assert_eq!(voice.counters().late, 800);
    assert_eq!(out[FADE], [30_000, -30_000]);
    assert_eq!(out[1599], [30_000, -30_000]);
    assert!(largest_step(&out) <= 197);
    voice.push(&level(0.0, 960, 30_000));
    assert_eq!(voice.counters().late, 800 + 960);
}

#[test]
fn a_late_block_goes_on_smoothly_over_the_fade_that_stood_in_for_it() {
    let mut voice = Voice::new(0);
    voice.push(&level(0.0, 1500, 20_000));
    let mut out = mixed(&mut voice, 1);
    voice.push(&level(1500.0, 3300, 20_000));
    out.extend(mixed(&mut voice, 2));
    assert!(largest_step(&out) <= 300, "{}", largest_step(&out));
    assert_eq!(voice.counters().late, 100);
}

#[test]
fn sound_of_a_time_that_was_heard_already_is_left_out_without_a_click() {
    let mut voice = Voice::new(0);
    voice.push(&level(0.0, 24_000, 20_000));
    voice.push(&level(12_000.0, 9600, 10_000));
    voice.push(&level(23_000.0, 9600, -20_000));
    let out = mixed(&mut voice, 21);
    assert_eq!(out[23_999], [20_000, -20_000]);
    assert_eq!(out[24_000 + FADE], [-20_000, 20_000]);
    assert!(largest_step(&out) <= 300, "{}", largest_step(&out));
    assert_eq!(out[32_600 + FADE], [0, 0]);
    assert_eq!(voice.counters().late, 9600 + 1000);
}

#[test]
fn absurd_time_stamps_are_not_kept() {
    let mut voice = Voice::new(0);
    for nanos in [i64::MAX, i64::MIN, 11_000_000_000] {
        voice.push(&Sound { time: MediaTime::from_nanos(nanos), samples: vec![1; 960] });
    }
    assert_eq!(voice.counters().too_early, 960);
    assert_eq!(voice.counters().late, 480);
    assert!(voice.is_silent());
}

/// Mixes a voice whose clock is off by `ppm`, for `seconds`. Its left channel is a tone; its right channel
/// shows the true time (a triangle of slope 1). Returns the largest distance from the true time and the
/// largest step of the tone.
fn drift(ppm: f64, seconds: usize) -> (i32, i32) {
    const RISE: i64 = 24_000;
    let triangle = |frame: i64| (frame.rem_euclid(2 * RISE) - RISE).abs() as i16;
    let mut voice = Voice::new(0);
    let (mut distance, mut step, mut last) = (0, 0, [0, 0]);
    let mut next_block = 0;
    for tick in 0..seconds * 30 {
        // The block that begins with the voice's own frame `next_block` comes when the recording's clock has
        // counted fewer frames, if the voice is fast.
        let true_time = |frame: usize| frame as f64 / (1.0 + ppm / 1e6);
        while true_time(next_block) < ((tick + 2) * TICK) as f64 {
            let frames = next_block..next_block + BLOCK;
            let tone = |f: usize| [sine(f, 20_000.0, 440.0), triangle(true_time(f) as i64)];
            voice.push(&block(true_time(next_block), frames.map(tone)));
            next_block += BLOCK;
        }
        let out = mixed(&mut voice, 1);
        for (frame, &sample) in out.iter().enumerate().filter(|_| tick > 0) {
            let expected = triangle((tick * TICK + frame) as i64);
            distance = distance.max((i32::from(sample[1]) - i32::from(expected)).abs());
            step = step.max((i32::from(sample[0]) - i32::from(last[0])).abs());
            last = sample;
        }
        last = out[TICK - 1];
    }
    assert_eq!(voice.counters(), VoiceCounters::default(), "it never breaks off");
    (distance, step)
}

#[test]
fn a_voice_200_ppm_fast_or_slow_stays_within_3_ms_for_minutes_without_a_click() {
    // The steepest step of the tone is 20,000 * 2 pi * 440 / 48,000; a little is added.
    let steepest = 1152 + 2;
    for ppm in [200.0, -200.0] {
        let (distance, step) = drift(ppm, 180);
        assert!(distance <= 3 * 48, "{ppm} ppm: {distance} frames away");
        assert!(step <= steepest, "{ppm} ppm: a step of {step}");
    }
}

#[test]
fn a_pause_does_not_make_a_voice_forget_how_its_clock_runs() {
    let mut voice = Voice::new(0);
    let slow = |block: usize| (block * BLOCK) as f64 * 1.000_2;
    for block in 0..100 * 50 {
        voice.push(&block_of(slow(block), [block as i16; 2]));
        voice.prepare(BLOCK);
        voice.advance(BLOCK);
    }
    let learnt = voice.drift.drift();
    assert!((150e-6..250e-6).contains(&learnt), "{learnt}");
    voice.push(&block_of(slow(100 * 50 + 500), [1000; 2]));
    assert_eq!(voice.drift.drift(), learnt);
}

fn block_of(at: f64, frame: SoundFrame) -> Sound {
    block(at, std::iter::repeat_n(frame, BLOCK))
}

#[test]
fn a_voice_that_is_60_ms_off_is_brought_back_unheard() {
    const START: usize = 9600;
    let tone = |frame: usize| [sine(frame, 20_000.0, 440.0); 2];
    for offset in [2880_i64, -2880] {
        let mut voice = Voice::new(0);
        let mut out = Vec::new();
        let mut next_block = 0;
        for tick in 0..60 * 30 {
            while START + next_block < (tick + 4) * TICK {
                // As the timeline corrects a clock: by 0.5 % of its time.
                let moved = (next_block as i64 / 200).min(offset.abs()) * offset.signum();
                let at = (START + next_block) as i64 + moved;
                voice.push(&block(at as f64, (next_block..next_block + BLOCK).map(tone)));
                next_block += BLOCK;
            }
            out.extend(mixed(&mut voice, 1));
        }
        assert!(largest_step(&out) <= 1160, "{offset}: {}", largest_step(&out));
        assert_eq!(voice.counters().breaks, 0);
        let Flow::Running(run) = &voice.flow else { panic!("it broke off") };
        let error = run.error_of(run.next);
        assert!(error.abs() < 144.0, "{offset}: {error} frames in the end");
    }
}

#[test]
fn a_lost_block_leaves_the_sound_after_it_at_its_true_time() {
    let mut voice = Voice::new(0);
    for block_index in (0..100).filter(|n| n % 10 != 5) {
        voice.push(&block_of((block_index * BLOCK) as f64, [block_index as i16 * 100 + 100; 2]));
    }
    let out = mixed(&mut voice, 59);
    for (index, frames) in out.chunks(BLOCK).enumerate().take(98) {
        let expected = if index % 10 == 5 { 0 } else { index as i16 * 100 + 100 };
        assert_eq!(frames[FADE], [expected; 2], "block {index}");
        assert_eq!(frames[BLOCK - 1], [expected; 2], "block {index}");
    }
}
