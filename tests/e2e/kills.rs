//! Proof that nothing is lost: worker and service are killed with SIGKILL, at random moments and at those between two
//! steps of the end. Whatever dies, a recording is one playable file that lacks at most the last two seconds before
//! the kill, one object, one `egress_ended`, and nothing is left over.
//!
//! `EGRESSD_KILLS` says how often at random, `EGRESSD_KILLS_SEED` at which moments.

mod scene;

use std::time::Duration;

use rand::Rng;

use crate::support::participants::Act;
use crate::support::service::{kill_hard, stop_dead};
use crate::support::stage::Running;

use scene::{Scene, Verdict};

/// Between the first second and some fragments and keyframes later.
const KILLED_AFTER_MS: std::ops::Range<u64> = 500..6000;
/// What a recording still takes in after somebody was killed.
const AFTER: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_at_any_moment_costs_two_seconds_at_most() {
    let mut scene = Scene::open("killed-worker", Act::FlashAndBeep).await;
    for _ in 0..scene::kills() {
        let running = scene.stage.record().await;
        let moment = scene.random.random_range(KILLED_AFTER_MS);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let worker = scene.the_worker(None).await;
        kill_hard(worker);
        let killed = running.active_at.elapsed();
        another_goes_on(&scene, &running, (worker, killed)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_killed_at_any_moment_goes_on_in_the_same_recording() {
    let mut scene = Scene::open("killed-service", Act::FlashAndBeep).await;
    for _ in 0..scene::kills() {
        let running = scene.stage.record().await;
        let moment = scene.random.random_range(KILLED_AFTER_MS);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let worker = scene.the_worker(None).await;
        kill_hard(scene.stage.service.id());
        let killed = running.active_at.elapsed();
        scene.stage.service.start_again().await;
        scene.is_active(&running).await;
        another_goes_on(&scene, &running, (worker, killed)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stuck_is_killed_and_followed_by_another() {
    let scene = Scene::open("stuck-worker", Act::FlashAndBeep).await;
    let running = scene.stage.record().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let worker = scene.the_worker(None).await;
    stop_dead(worker);
    let stuck = running.active_at.elapsed();
    another_goes_on(&scene, &running, (worker, stuck)).await;
}

/// Another worker than the one that was killed records, and in the end there is one recording, with one gap.
async fn another_goes_on(scene: &Scene, running: &Running, (worker, killed): (u32, Duration)) {
    scene.the_worker(Some(worker)).await;
    tokio::time::sleep(AFTER).await;
    let stopped = scene.stage.stop().await;
    scene.is_one_recording(running, Verdict::Complete).await;
    scene.went_on(running, killed, stopped - running.active_at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_death_within_a_minute_ends_a_recording_as_failed_with_what_there_is() {
    let scene = Scene::open("dies-again", Act::FlashAndBeep).await;
    let running = scene.stage.record().await;
    let mut before = None;
    for _ in 0..3 {
        let worker = scene.the_worker(before).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        kill_hard(worker);
        before = Some(worker);
    }
    let recording = scene.is_one_recording(&running, Verdict::Failed).await;
    // Three times three seconds, less what each death may cost.
    assert!(recording.duration("v") >= 3.0, "{} s were saved", recording.duration("v"));
    assert!(scene.told(&running)[0]["error"].as_str().is_some_and(|error| error.contains("third time")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_just_after_a_part_was_uploaded_goes_on_with_the_same_upload() {
    let mut scene = Scene::open("part-uploaded", Act::Noise).await;
    for name in ["bob", "cid", "dan"] {
        scene.stage.participants.join(name, Act::Noise);
    }
    scene.stage.service.start_to_die_at("part-uploaded").await;
    let running = scene.stage.record().await;
    assert_eq!(scene.stage.service.gone().await, None, "it ended by itself");
    let parts = scene.unfinished_parts(&running);
    assert!(!parts.is_empty(), "no part is in the bucket");
    scene.stage.service.start_again().await;
    scene.is_active(&running).await;
    scene.the_worker(None).await;
    tokio::time::sleep(AFTER).await;
    let now = scene.unfinished_parts(&running);
    assert!(now.starts_with(&parts), "{parts:?} became {now:?}: the upload was begun anew");
    scene.stage.stop().await;
    scene.is_one_recording(&running, Verdict::Complete).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_between_two_steps_of_the_end_ends_the_recording_once() {
    for moment in ["completed", "row-committed", "webhook-sent"] {
        let mut scene = Scene::open("between-steps", Act::FlashAndBeep).await;
        scene.stage.service.start_to_die_at(moment).await;
        let running = scene.stage.record().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        scene.stage.stop().await;
        assert_eq!(scene.stage.service.gone().await, None, "it ended by itself");
        scene.stage.service.start_again().await;
        scene.is_one_recording(&running, Verdict::Complete).await;
    }
}
