//! The connection to LiveKit breaks, each time for real: the server is killed and comes back, UDP dies or never
//! worked, signalling is cut. Whatever it is, there is one file, and what comes after the gap is in sync. Also TLS.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::picture::{
    both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, tiles_show,
};
use crate::support::faults::Faults;
use crate::support::participants::{Act, Crowd};
use crate::support::probe::{Flash, Recording};
use crate::support::servers::{Feedback, Network};
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Running, Signalling, Stage, Takes};

const RED: [u8; 3] = [200, 40, 40];
const COLOUR_TOLERANCE: u8 = 45;
const FLASH_PERIOD_S: f64 = 1.0;
/// Long enough for the clocks to settle (a first sender report takes up to 9 s).
const BEFORE: Duration = Duration::from_secs(12);
/// Clients try again less and less often, and then their clocks must settle again.
const AFTER_RESTART: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_secs(20);
/// Longer than any client goes on trying.
const COMING_BACK_LIMIT: Duration = Duration::from_secs(40);
const SERVER_IS_DOWN: Duration = Duration::from_secs(3);
/// How much longer than the outage a gap may be; where a path dies for good there is no outage but the gap.
const BACK_WITHIN_S: f64 = 5.0;
/// The report goes by when datagrams came, the file by when frames were shown.
const CLOCKS_AGREE_WITHIN_S: f64 = 0.5;
/// UDP goes through one relay; the other one, of signalling, tells the recorder where TCP is that works.
const FAULTY_UDP: Options = Options {
    takes: Takes::Whole,
    network: Network::Faulty { seed: 7, feedback: Feedback::Estimate },
    signalling: Signalling::Relayed,
    livekit_tells: false,
    settings: &[],
    disk: None,
    left_over: None,
};
/// As in the sync test, over fewer pairs.
const MEDIAN_LIMIT_S: f64 = 0.040;
const SINGLE_LIMIT_S: f64 = 0.100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_is_joined_again_by_the_same_recording() {
    let mut stage = Stage::open("restarted").await;
    let running = metronome_and_ann(&mut stage).await;
    tokio::time::sleep(BEFORE).await;
    kill_hard(stage.livekit.id());
    let killed = running.active_at.elapsed().as_secs_f64();
    tokio::time::sleep(SERVER_IS_DOWN).await;
    stage.livekit.start_again().await;
    // For a recorder that can only wait, the outage is over when the server answers; for who watches the file, it is
    // when those are back who are to be seen.
    let answers = running.active_at.elapsed().as_secs_f64();
    both_publish(&stage, "restarted").await;
    let are_back = running.active_at.elapsed().as_secs_f64();
    tokio::time::sleep(AFTER_RESTART).await;
    let recording = finish(&stage, &running).await;

    let gap = longest_gap(&recording);
    println!(
        "killed at {killed:.1} s, answers at {answers:.1} s, publishers back at {are_back:.1} s, {gap:?}"
    );
    assert!(gap.from < killed + FLASH_PERIOD_S && gap.until > killed, "{gap:?} is not about {killed} s");
    assert!(gap.until <= are_back + BACK_WITHIN_S + FLASH_PERIOD_S, "{gap:?}, back at {are_back} s");
    let listed = the_one_gap_listed(&stage, &running).await;
    flashes_are_missing_in(&listed, &gap);
    assert!(listed.until <= answers + BACK_WITHIN_S, "{listed:?}, answers at {answers} s");
    beeps_are_in_sync(&recording, &gap);
    // In the gap, and long after it: the tile is where it was, with the picture that it had.
    for seconds in [gap.from + 1.5, gap.until - 0.5, gap.until + 5.0] {
        tile_of_ann_is_red(&recording, seconds);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_that_dies_in_mid_recording_is_replaced_by_tcp() {
    let mut stage = Stage::open_with("udp-dies", FAULTY_UDP).await;
    let running = metronome_and_ann(&mut stage).await;
    tokio::time::sleep(BEFORE).await;
    stage.livekit.faults().set(Faults { blocked: true, ..Faults::default() });
    let blocked = running.active_at.elapsed().as_secs_f64();
    tokio::time::sleep(AFTER).await;
    let recording = finish(&stage, &running).await;

    let gap = longest_gap(&recording);
    println!("blocked at {blocked:.1} s, {gap:?}");
    assert!(gap.seconds() <= BACK_WITHIN_S + FLASH_PERIOD_S, "{gap:?}");
    let listed = the_one_gap_listed(&stage, &running).await;
    flashes_are_missing_in(&listed, &gap);
    assert!(listed.until <= blocked + BACK_WITHIN_S, "{listed:?}, blocked at {blocked} s");
    beeps_are_in_sync(&recording, &gap);
    for seconds in [gap.from + 1.0, gap.until + 3.0] {
        tile_of_ann_is_red(&recording, seconds);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_udp_gets_through_media_comes_by_tcp() {
    let mut stage = Stage::open_with("no-udp", FAULTY_UDP).await;
    stage.livekit.faults().set(Faults { blocked: true, ..Faults::default() });
    let running = metronome_and_ann(&mut stage).await;
    tokio::time::sleep(AFTER).await;
    let recording = finish(&stage, &running).await;

    let flashes = recording.flashes();
    println!("first flash: {:?}", flashes.first());
    assert!(flashes.first().is_some_and(|first| first.at < BACK_WITHIN_S), "{flashes:?}");
    beeps_are_in_sync(&recording, &Gap::NONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_reached_by_ipv6_is_recorded_over_it() {
    let options = Options { network: Network::Ipv6, signalling: Signalling::Ipv6, ..Options::HALF };
    let stage = Stage::open_with("ipv6", options).await;
    let mut crowd = stage.crowd(Crowd::of("vp8", 2));
    crowd.join("1", Act::Silent);
    crowd.join("2", Act::Silent);
    let running = stage.record().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    stage.stop().await;
    let counts = stage.livekit.ipv6().counts();
    println!("by IPv6, to the recorder: {:?}", counts.to_recorder);
    assert!(counts.to_recorder.passed > 300, "{counts:?}");
    // The first two cards of the crowd.
    tiles_show(&stage.fetch(&running).await, 4.0, &[[32, 32, 128], [32, 32, 223]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_signalling_is_resumed_and_nothing_of_it_is_seen_or_heard() {
    let options = Options { signalling: Signalling::Relayed, ..Options::default() };
    let mut stage = Stage::open_with("cut", options).await;
    let running = metronome_and_ann(&mut stage).await;
    tokio::time::sleep(BEFORE).await;
    let connections = stage.signalling().taken();
    stage.signalling().cut(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.signalling().cut(true);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(stage.signalling().taken() > connections, "no new connection for signalling");
    // What happens after a resume is heard of.
    stage.participants.leave("ann");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let recording = finish(&stage, &running).await;

    let gap = longest_gap(&recording);
    println!("{gap:?}");
    assert!(gap.seconds() < 1.5 * FLASH_PERIOD_S, "a flash is missing: {gap:?}");
    assert_eq!(stage.report(&running).await["gaps"], serde_json::json!([]), "nothing was out of reach");
    beeps_are_in_sync(&recording, &Gap::NONE);
    let frame = recording.frame_at(recording.duration("v") - 1.0);
    let found = frame.colour(CENTRE_OF_ANN);
    assert!(!is_red(found), "ann has left, but her tile is {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signalling_goes_over_tls_with_a_certificate_that_is_trusted_and_with_no_other() {
    let tls = |trusted| Options { signalling: Signalling::Tls { trusted }, ..Options::HALF };
    let mut stage = Stage::open_with("tls", tls(true)).await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    let running = stage.record().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    stage.stop().await;
    tiles_show(&stage.fetch(&running).await, 2.0, &[RED]);

    let error = join_without_a_ca_file(stage.signalling().url()).await;
    assert!(error.contains("certificate") && error.contains("EGRESSD_LIVEKIT_CA_FILE"), "{error}");
    drop(stage);

    let mut stage = Stage::open_with("untrusted", tls(false)).await;
    stage.participants.join("ann", Act::Silent);
    let refused = stage.caller().post(&stage.path("/start"), "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
}

const CENTRE_OF_ANN: (u32, u32) = (1280 * 3 / 4, 300);

/// The time between two flashes.
#[derive(Debug)]
struct Gap {
    from: f64,
    until: f64,
}

impl Gap {
    const NONE: Self = Self { from: 0.0, until: 0.0 };

    fn seconds(&self) -> f64 {
        self.until - self.from
    }
}

/// Two participants: one that flashes and beeps, and a red one to its right.
async fn metronome_and_ann(stage: &mut Stage) -> Running {
    stage.participants.join("metronome", Act::FlashAndBeep);
    stage.participants.join("ann", plain("vp8", RED, 400));
    stage.record().await
}

/// One file, as long as the recording was, whatever happened.
async fn finish(stage: &Stage, running: &Running) -> Recording {
    let stopped: Instant = stage.stop().await;
    let recording = stage.fetch(running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    both_streams_last(&recording, stopped - running.active_at);
    recording
}

/// Waits until both are in the room again, with all that they publish.
async fn both_publish(stage: &Stage, room: &str) {
    let begin = Instant::now();
    loop {
        let participants = stage.livekit.participants(room).await;
        let publishes = |who: &str, person: &Value| {
            person["identity"] == who && person["tracks"].as_array().is_some_and(|tracks| tracks.len() == 2)
        };
        let people = participants.as_array().map_or(&[][..], Vec::as_slice);
        if ["metronome", "ann"].iter().all(|who| people.iter().any(|person| publishes(who, person))) {
            return;
        }
        assert!(begin.elapsed() < COMING_BACK_LIMIT, "the publishers stay away: {participants}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the quality report says of when the server was out of reach.
async fn the_one_gap_listed(stage: &Stage, running: &Running) -> Gap {
    let report = stage.report(running).await;
    let gaps = report["gaps"].as_array().expect("a list of gaps");
    let [gap] = gaps.as_slice() else { panic!("there was one gap, not {gaps:?}") };
    println!("listed: {gap}");
    assert!(gap["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{gap}");
    let seconds = |name: &str| gap[name].as_u64().map(|ms| ms as f64 / 1000.0).expect("milliseconds");
    Gap { from: seconds("fromMs"), until: seconds("toMs") }
}

/// What is listed begins within a period of the last flash, and ends before the next one.
fn flashes_are_missing_in(listed: &Gap, gap: &Gap) {
    let from = gap.from - CLOCKS_AGREE_WITHIN_S..gap.from + FLASH_PERIOD_S + CLOCKS_AGREE_WITHIN_S;
    assert!(from.contains(&listed.from), "{listed:?} begins elsewhere than {gap:?}");
    let until = listed.from..gap.until + CLOCKS_AGREE_WITHIN_S;
    assert!(until.contains(&listed.until), "{listed:?} ends elsewhere than {gap:?}");
}

/// The longest time without a flash; the end of the recording counts as one.
fn longest_gap(recording: &Recording) -> Gap {
    let mut times: Vec<f64> = recording.flashes().iter().map(|flash| flash.at).collect();
    times.push(recording.duration("v"));
    let pairs = times.windows(2).map(|pair| Gap { from: pair[0], until: pair[1] });
    pairs.max_by(|a, b| a.seconds().total_cmp(&b.seconds())).expect("there are flashes")
}

/// Each side of the gap for itself, so that neither hides the other.
fn beeps_are_in_sync(recording: &Recording, gap: &Gap) {
    let (before, after): (Vec<Flash>, Vec<Flash>) =
        recording.flashes().into_iter().partition(|flash| flash.at <= gap.from);
    for side in [before, after].into_iter().filter(|side| side.len() > 2) {
        let mut heard: Vec<f64> = side.iter().filter_map(|flash| flash.beep_after).collect();
        // The first and the last flash of a side may have lost their beep.
        assert!(heard.len() + 2 >= side.len(), "{side:?}");
        heard.sort_by(f64::total_cmp);
        let (median, first, last) = (heard[heard.len() / 2], heard[0], heard[heard.len() - 1]);
        let pairs = heard.len();
        println!(
            "beep after flash: median {median:+.3} s, from {first:+.3} to {last:+.3} s in {pairs} pairs"
        );
        assert!(median.abs() <= MEDIAN_LIMIT_S, "median {median} s: {side:?}");
        assert!(first >= -SINGLE_LIMIT_S && last <= SINGLE_LIMIT_S, "from {first} to {last} s: {side:?}");
    }
}

fn tile_of_ann_is_red(recording: &Recording, seconds: f64) {
    let found = recording.frame_at(seconds).colour(CENTRE_OF_ANN);
    assert!(is_red(found), "at {seconds} s ann's tile is {found:?} ({})", recording.path().display());
}

fn is_red(found: [u8; 3]) -> bool {
    found.iter().zip(RED).all(|(a, b)| a.abs_diff(b) <= COLOUR_TOLERANCE)
}

/// How joining at `url` fails for somebody who trusts the system's certificate authorities alone.
async fn join_without_a_ca_file(url: &str) -> String {
    let options = egressd::room::RoomOptions {
        url: url.to_owned(),
        token: tokio::sync::watch::Sender::new("a.token.that-nobody-gets-to-see".into()).subscribe(),
        codecs: Vec::new(),
        ca_file: None,
        give_up_after: Duration::from_secs(1),
        streams: egressd::media::Streams::Both,
        epoch: None,
    };
    let Err(error) = egressd::room::join(options).await else { panic!("a stranger's certificate was taken") };
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}
