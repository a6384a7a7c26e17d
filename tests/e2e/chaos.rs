//! Proof of steadiness: 25 participants who come within two seconds, and then leave and come back in storms. Each
//! shows a card of its own colour; at every moment the picture must be the grid of people who were there just then, in
//! the order in which they joined, and in the calm after each storm of exactly those who are there.
//!
//! `EGRESSD_CHAOS_SECONDS` says for how long, `EGRESSD_CHAOS_SEED` which storms.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::picture::{both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before};
use crate::support::grid;
use crate::support::participants::{Crowd, Participants};
use crate::support::probe::{Frame, Recording};
use crate::support::servers::LiveKit;
use crate::support::stage::{Running, Stage};

const CROWD: u32 = 25;
const ROOM: &str = "chaos";
/// Long enough for some storms; `./dev chaos` takes three minutes.
const DEFAULT_SECONDS: u64 = 30;
const DEFAULT_SEED: u64 = 4;

/// From the last answer of a storm until the picture must be right: a newcomer's first keyframe may be a second away.
const SETTLED: Duration = Duration::from_millis(2500);
/// How long the picture is watched before the next storm.
const CALM: Duration = Duration::from_millis(1500);
/// When recording began is known to a few hundredths from outside, and the room's changes take their time.
const EDGE_S: f64 = 0.3;
/// How long a picture may show who has left, or not yet who has come.
const LATE_S: f64 = 4.0;
/// Frames between two that are looked at.
const STEP: u32 = 3;
/// Two cards are at least 90 apart in some component.
const NEAR: u8 = 40;

/// Who is in the room, by number: since when, as LiveKit says it. More than one time for who came more than once.
type Present = BTreeMap<u32, BTreeSet<u64>>;

/// What the room was from some second of the file on.
struct State {
    from: f64,
    present: Present,
}

/// A time in which nothing changes any more.
struct Calm {
    from: f64,
    until: f64,
    present: Present,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_who_come_and_go_at_random_are_tiled_right_at_every_moment() {
    let lasting = Duration::from_secs(setting("EGRESSD_CHAOS_SECONDS", DEFAULT_SECONDS));
    let mut random = StdRng::seed_from_u64(setting("EGRESSD_CHAOS_SEED", DEFAULT_SEED));
    let stage = Stage::open(ROOM).await;
    let mut crowd = stage.crowd(Crowd::of("vp8", CROWD));
    // The room must exist before it can be recorded.
    storm(&mut crowd, &[], &[1], &mut random).await;
    let running = stage.record().await;
    let workers = stage.service.workers();

    let mut states = vec![state(&stage.livekit, &running).await];
    let mut calms = Vec::new();
    let everybody: Vec<u32> = (2..=CROWD).collect();
    let (mut leaving, mut coming) = (Vec::new(), everybody);
    while running.active_at.elapsed() < lasting {
        storm(&mut crowd, &leaving, &coming, &mut random).await;
        states.push(state(&stage.livekit, &running).await);
        tokio::time::sleep(SETTLED + CALM).await;
        let now = state(&stage.livekit, &running).await;
        let from = now.from - CALM.as_secs_f64();
        calms.push(Calm { from, until: now.from, present: now.present.clone() });
        (leaving, coming) = next(&now.present, &mut random);
        states.push(now);
    }

    assert_eq!(stage.service.workers(), workers, "the recording's process is the same to the end");
    let lasted = stage.stop().await - running.active_at;
    let recording = stage.fetch(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    both_streams_last(&recording, lasted);
    judge(&recording, &states, &calms);
}

/// Lets some leave and some come, at random moments within two seconds; returns when all have done so.
async fn storm(crowd: &mut Participants, leaving: &[u32], coming: &[u32], random: &mut StdRng) {
    let mut orders: Vec<(u64, &str, u32)> = Vec::new();
    for (what, numbers) in [("leave", leaving), ("join", coming)] {
        orders.extend(numbers.iter().map(|number| (random.random_range(0..2000), what, *number)));
    }
    orders.sort_unstable();
    let begin = Instant::now();
    for (at, what, number) in orders {
        tokio::time::sleep_until((begin + Duration::from_millis(at)).into()).await;
        crowd.begin(what, &number.to_string());
    }
    crowd.settle();
}

/// Some who are there, and some who are not; in every third storm, nearly everybody.
fn next(present: &Present, random: &mut StdRng) -> (Vec<u32>, Vec<u32>) {
    let absent: Vec<u32> = (1..=CROWD).filter(|number| !present.contains_key(number)).collect();
    let present: Vec<u32> = present.keys().copied().collect();
    let mut some = |numbers: &[u32]| -> Vec<u32> {
        let most = if random.random_ratio(1, 3) { numbers.len() } else { numbers.len().min(4) };
        let count = random.random_range(0..=most);
        numbers.choose_multiple(random, count).copied().collect()
    };
    (some(&present), some(&absent))
}

async fn state(livekit: &LiveKit, running: &Running) -> State {
    let participants = livekit.participants(ROOM).await;
    let participants = participants.as_array().into_iter().flatten();
    let present = participants
        .filter(|participant| participant["permission"]["hidden"] != true)
        .map(|participant| {
            let number = participant["identity"].as_str().and_then(|text| text.parse().ok());
            let joined = participant["joined_at_ms"].as_str().and_then(|text| text.parse().ok());
            let joined = joined.expect("LiveKit says when");
            (number.expect("a crowd's identity is a number"), BTreeSet::from([joined]))
        })
        .collect();
    State { from: running.active_at.elapsed().as_secs_f64(), present }
}

fn judge(recording: &Recording, states: &[State], calms: &[Calm]) {
    let frames = recording.thumbnails(STEP);
    let (mut calm_frames, mut stormy_frames) = (0, 0);
    for (frame, index) in frames.iter().zip(0_u32..) {
        let second = f64::from(index * STEP) / 30.0;
        let calm = calms.iter().find(|calm| calm.from + EDGE_S < second && second < calm.until - EDGE_S);
        if let Some(calm) = calm {
            calm_frames += 1;
            let count = u32::try_from(calm.present.len()).expect("few people");
            let seen = cards(frame, count);
            assert!(
                if count == 0 { blank(frame) } else { in_order(&seen, &calm.present) },
                "at {second:.2} s the cards are {seen:?}, those present (joined at) {:?}, {}",
                calm.present,
                recording.path().display()
            );
        } else if let Some(people) = around(states, second) {
            stormy_frames += 1;
            let fits = |count: &u32| in_order(&cards(frame, *count), &people);
            assert!(
                (1..=CROWD).any(|count| fits(&count)) || blank(frame),
                "at {second:.2} s the picture is no grid of {people:?}, {}",
                recording.path().display()
            );
        }
    }
    println!("{calm_frames} frames in {} calms, {stormy_frames} in storms", calms.len());
    assert!(calm_frames > 0, "something was looked at");
}

/// Everybody who was in the room not long before `second`, or came not long after it was seen so.
fn around(states: &[State], second: f64) -> Option<Present> {
    let near = |pair: &&[State]| pair[0].from - LATE_S < second && second < pair[1].from + LATE_S;
    let mut people = Present::new();
    for pair in states.windows(2).filter(near) {
        for state in pair {
            for (number, joined) in &state.present {
                people.entry(*number).or_default().extend(joined);
            }
        }
    }
    (!people.is_empty()).then_some(people)
}

/// The card on each tile of a grid of `count`; `None` for what is not all one card.
fn cards(frame: &Frame, count: u32) -> Vec<Option<u32>> {
    (0..count)
        .map(|index| {
            let (x, y, width, height) = grid::cell(index, count);
            let seen =
                [1, 2, 3].map(|quarter| card_of(frame.colour((x + width * quarter / 4, y + height / 2))));
            seen[0].filter(|_| seen[0] == seen[1] && seen[1] == seen[2])
        })
        .collect()
}

/// Whether nobody's card is anywhere.
fn blank(frame: &Frame) -> bool {
    (0..CROWD).all(|index| card_of(frame.colour(grid::centre(index, CROWD))).is_none())
}

/// Whether the cards are of different people who are among `present`, in their order of joining.
fn in_order(cards: &[Option<u32>], present: &Present) -> bool {
    let mut seen = BTreeSet::new();
    let mut latest = 0;
    cards.iter().all(|card| {
        let Some(number) = card.filter(|number| seen.insert(*number)) else { return false };
        // Those of the same millisecond may come in any order.
        let joined = present.get(&number).and_then(|joined| joined.range(latest..).next());
        latest = joined.copied().unwrap_or(latest);
        joined.is_some()
    })
}

/// Whose card has this colour: the levels of `src/demo/card.rs`, written a second time.
fn card_of(colour: [u8; 3]) -> Option<u32> {
    const LEVELS: [u8; 3] = [32, 128, 223];
    let mut number = 0;
    for value in colour {
        let level = LEVELS.iter().position(|level| level.abs_diff(value) <= NEAR)?;
        number = number * 3 + u32::try_from(level).ok()?;
    }
    (1..=CROWD).contains(&number).then_some(number)
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}
