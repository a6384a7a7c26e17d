//! Whole recordings, with a real database, a real store, real processes, and a fake worker.

mod catalogue;
mod ending;
mod faulty;
mod filepaths;
mod identity;
mod limits;
mod livekit;
mod previews;
mod successors;
mod tokens;
mod unwritable;
mod world;

use std::sync::Arc;
use std::time::Duration;

use faulty::Faulty;
use world::{Setting, World, error_of, is_full, room, spool};

use crate::control::{ControlError, Identity, StartStatus};
use crate::ids::RoomSid;
use crate::media::{FitChoice, Layout, Theme, View};
use crate::options::{AskedOptions, AskedWatermark, Look, RecordingOptions, ViewChange};
use crate::storage::Folder;
use crate::store::Phase;

/// More than the 10 MiB below which a recording is stored in one step.
fn large_spool() -> Vec<u8> {
    spool(90, 200_000)
}

#[tokio::test]
async fn a_stopped_recording_is_stored_whole_told_once_and_leaves_no_spool() {
    let world = World::new(Setting::new("until_stop")).await;
    let row = world.record().await;
    assert_eq!(row.phase, Phase::Complete);
    assert_eq!(world.file(&row), world.expected_file());
    let saved = row.saved.clone().unwrap();
    assert_eq!(saved.duration_s, 3);
    assert_eq!(saved.size, world.expected_file().len() as u64);
    let told = format!(
        r#"{{"event":"egress_ended","egressId":"{}","roomId":"room","file":"{}","duration":3,"size":{}}}"#,
        row.egress_id, saved.key, saved.size
    );
    assert_eq!(world.told().await, [told]);
    world.appears(|| !world.spool_path(&row.egress_id).exists()).await;
}

#[tokio::test]
async fn a_large_recording_is_uploaded_in_parts_while_it_runs() {
    let world = World::new(Setting { spool: large_spool(), ..Setting::new("until_stop") }).await;
    let id = world.start_recording().await;
    world.appears(|| part_below(&world.recordings)).await;
    assert!(world.handle.active(&room()).await.unwrap().is_some());
    world.handle.stop(&room()).await.unwrap();
    let row = world.ended(&id).await;
    assert_eq!(row.phase, Phase::Complete);
    assert!(world.file(&row) == world.expected_file(), "the file is not the spool's");
}

#[tokio::test]
async fn a_recording_ends_by_itself_when_the_room_closes() {
    let world = World::new(Setting::new("room_closes")).await;
    let id = world.start_recording().await;
    assert_eq!(world.ended(&id).await.phase, Phase::Complete);
    assert_eq!(world.handle.active(&room()).await.unwrap(), None);
}

#[tokio::test]
async fn a_worker_that_reports_an_error_fails_the_recording_and_saves_the_file() {
    let world = World::new(Setting::new("error")).await;
    let id = world.start_recording().await;
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The recorder failed: the encoder failed. The file holds what was recorded until then."
    );
    assert_eq!(world.file(&row), world.expected_file());
}

#[tokio::test]
async fn a_recording_that_never_began_has_no_file() {
    let world = World::new(Setting::new("refused")).await;
    let id = world.start_recording().await;
    let row = world.ended(&id).await;
    assert_eq!(error_of(&row), "The recorder failed: the room refused the token. Nothing was recorded.");
    assert_eq!(row.saved, None);
    assert!(world.told().await[0].contains(r#""file":null,"duration":0,"size":0"#));
}

#[tokio::test]
async fn a_stop_before_any_media_ends_without_a_file() {
    let world = World::new(Setting::new("nothing")).await;
    let id = world.start_recording().await;
    world.handle.stop(&room()).await.unwrap();
    let row = world.ended(&id).await;
    assert_eq!(error_of(&row), "The recording ended before anything was recorded (stopped).");
}

#[tokio::test]
async fn a_worker_that_does_not_stop_is_killed_and_its_file_saved() {
    let mut setting = Setting::new("deaf");
    setting.limits.stop = Duration::from_millis(200);
    let world = World::new(setting).await;
    let row = world.record().await;
    assert!(error_of(&row).starts_with("The recorder did not end in time"), "{row:?}");
    assert_eq!(world.file(&row), world.expected_file());
}

#[tokio::test]
async fn an_interruption_that_ended_is_no_failure_and_the_last_report_is_kept() {
    let world = World::new(Setting::new("interrupted")).await;
    let id = world.start_recording().await;
    assert_eq!(world.until_warned(&id).await, "so far");
    world.handle.stop(&room()).await.unwrap();
    assert_eq!(world.ended(&id).await.phase, Phase::Complete);
    assert_eq!(world.until_warned(&id).await, "whole");
}

#[tokio::test]
async fn a_recording_is_what_its_start_asked_for_and_a_second_start_changes_nothing() {
    let world = World::new(Setting::new("until_stop")).await;
    let asked = AskedOptions { width: Some(640), ..AskedOptions::default() };
    let id = world.handle.start(Identity::Room, room(), asked).await.unwrap().egress_id;
    let other = AskedOptions { width: Some(1920), ..AskedOptions::default() };
    assert_eq!(world.handle.start(Identity::Room, room(), other).await.unwrap().egress_id, id);
    let expected = RecordingOptions { width: 640, ..RecordingOptions::default() };
    assert_eq!(world.handle.recording(&id).await.unwrap().unwrap().row.options, expected);
}

#[tokio::test]
async fn a_watermark_that_nobody_configured_starts_nothing() {
    let world = World::new(Setting::new("until_stop")).await;
    let on = AskedWatermark::On { corner: None, opacity: None };
    let asked = AskedOptions { watermark: Some(on), ..AskedOptions::default() };
    let started = world.handle.start(Identity::Room, room(), asked).await;
    assert!(matches!(started, Err(ControlError::NoWatermark(_))), "{started:?}");
    assert_eq!(world.handle.active(&room()).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_of_view_is_written_down_and_reaches_the_worker() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.start_recording().await;
    let look = ViewChange { look: Look::from_word("speaker-light"), fit: None };
    let changed = world.handle.change_view(&room(), look).await.unwrap();
    assert_eq!(changed.egress_id, id);
    assert_eq!(world.until_warned(&id).await, "speaker light by-shape");

    let fit = ViewChange { look: None, fit: Some(FitChoice::Contain) };
    world.handle.change_view(&room(), fit).await.unwrap();
    world.handle.stop(&room()).await.unwrap();
    let row = world.ended(&id).await;
    assert_eq!(world.until_warned(&id).await, "speaker light contain");
    let view = View { layout: Layout::Speaker, theme: Theme::Light, fit: FitChoice::Contain };
    assert_eq!(row.options.view, view);
}

#[tokio::test]
async fn every_change_of_a_recording_is_told_in_its_order() {
    let world = World::new(Setting::new("until_stop")).await;
    let hook = world.webhook_for(&["*"]).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    let light = ViewChange { look: Look::from_word("grid-light"), fit: None };
    for change in [light, light, ViewChange { look: None, fit: Some(FitChoice::Cover) }] {
        world.handle.change_view(&room(), change).await.unwrap();
    }
    world.handle.stop(&room()).await.unwrap();
    world.ended(&id).await;
    let told = world.told_to(&hook).await;
    let events: Vec<_> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let updated = "egress_updated";
    let expected = [updated, "egress_started", updated, updated, updated, updated, "egress_ended"];
    assert_eq!(events, expected);
    let updates = told.iter().filter(|event| event["event"] == updated);
    let views: Vec<_> = updates
        .map(|event| {
            [&event["status"], &event["layout"], &event["fit"]].map(|word| word.as_str().unwrap_or("null"))
        })
        .collect();
    let expected = [
        ["active", "grid", "null"],
        ["active", "grid-light", "null"],
        ["active", "grid-light", "cover"],
        ["stopping", "grid-light", "cover"],
        ["uploading", "grid-light", "cover"],
    ];
    assert_eq!(views, expected, "a view that is there already is no change");
}

#[tokio::test]
async fn a_room_that_livekit_has_closed_ends_its_own_recording_and_no_later_one() {
    let world = World::new(Setting::new("until_stop")).await;
    let finished =
        async |sid: &str| world.handle.room_finished(&room(), &RoomSid(sid.to_owned())).await.unwrap();
    assert!(!finished("RM_fake").await, "nothing is recorded");
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    assert!(!finished("RM_earlier").await);
    assert!(!finished("").await);
    assert!(world.handle.active(&room()).await.unwrap().is_some());

    assert!(finished("RM_fake").await);
    assert!(!finished("RM_fake").await, "it has ended by now");
    let row = world.ended(&id).await;
    assert_eq!((row.phase, row.error), (Phase::Complete, None));
}

#[tokio::test]
async fn the_view_of_nothing_cannot_be_changed() {
    let world = World::new(Setting::new("until_stop")).await;
    let change = async || world.handle.change_view(&room(), ViewChange::default()).await;
    assert!(matches!(change().await, Err(ControlError::NothingToChange)));
    world.record().await;
    assert!(matches!(change().await, Err(ControlError::NothingToChange)));
}

#[tokio::test]
async fn racing_starts_make_one_recording() {
    let world = World::new(Setting { max_recordings: Some(1), ..Setting::new("until_stop") }).await;
    let (a, b) = tokio::join!(
        world.handle.start(Identity::Room, room(), AskedOptions::default()),
        world.handle.start(Identity::Room, room(), AskedOptions::default())
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((&a.egress_id, a.started_at), (&b.egress_id, b.started_at));
    assert_eq!([a.created, b.created].iter().filter(|created| **created).count(), 1);
    world.until(&a.egress_id, |row| row.phase == Phase::Active).await;
    let again = world.handle.start(Identity::Room, room(), AskedOptions::default()).await.unwrap();
    assert_eq!((again.egress_id, again.status), (a.egress_id, StartStatus::Active));
}

#[tokio::test]
async fn a_stop_of_nothing_is_refused_and_a_second_stop_answers_as_the_first() {
    let faulty = |world: &std::path::Path| Arc::new(Faulty::new(Folder::new(world), usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting { storage: Some(faulty(folder.path())), ..Setting::new("until_stop") };
    let world = World::new(setting).await;
    assert!(matches!(world.handle.stop(&room()).await, Err(ControlError::NothingToStop)));
    let id = world.start_recording().await;
    for _ in 0..2 {
        assert_eq!(world.handle.stop(&room()).await.unwrap(), id);
        assert_eq!(world.handle.active(&room()).await.unwrap(), None);
    }
    world.until(&id, |row| row.phase == Phase::Uploading).await;
    assert_eq!(world.handle.stop(&room()).await.unwrap(), id);
}

#[tokio::test]
async fn a_start_says_what_is_wrong_with_livekit() {
    let unknown = World::new(Setting { livekit_rooms: Some("{}"), ..Setting::new("until_stop") }).await;
    assert!(matches!(
        unknown.handle.start(Identity::Room, room(), AskedOptions::default()).await,
        Err(ControlError::RoomNotFound)
    ));
    let gone = World::new(Setting { livekit_rooms: None, ..Setting::new("until_stop") }).await;
    assert!(matches!(
        gone.handle.start(Identity::Room, room(), AskedOptions::default()).await,
        Err(ControlError::Livekit(_))
    ));
}

#[tokio::test]
async fn a_full_service_refuses_a_start_until_a_worker_is_gone() {
    let rooms = r#"{"rooms":[{"name":"room"},{"name":"other"}]}"#;
    let setting =
        Setting { max_recordings: Some(1), livekit_rooms: Some(rooms), ..Setting::new("until_stop") };
    let world = World::new(setting).await;
    world.start_recording().await;
    let other: crate::ids::RoomName = "other".parse().unwrap();
    assert!(is_full(&world.handle.start(Identity::Room, other.clone(), AskedOptions::default()).await));
    world.handle.stop(&room()).await.unwrap();
    let mut started = world.handle.start(Identity::Room, other.clone(), AskedOptions::default()).await;
    while is_full(&started) {
        started = world.handle.start(Identity::Room, other.clone(), AskedOptions::default()).await;
    }
    assert!(started.unwrap().created);
}

#[tokio::test]
async fn a_store_that_comes_back_gets_the_whole_file() {
    for recorded in [spool(90, 200), large_spool()] {
        let folder = tempfile::tempdir().unwrap();
        let storage = Faulty::new(Folder::new(folder.path()), 5);
        let setting =
            Setting { storage: Some(Arc::new(storage)), spool: recorded, ..Setting::new("until_stop") };
        let world = World::new(setting).await;
        let row = world.record().await;
        assert_eq!(row.phase, Phase::Complete);
        let file = std::fs::read(folder.path().join(row.saved.unwrap().key)).unwrap();
        assert!(file == world.expected_file(), "the file is not the spool's");
    }
}

#[tokio::test]
async fn a_recording_whose_store_stays_away_waits_and_says_why_and_a_restart_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(Faulty::new(Folder::new(folder.path()), usize::MAX));
    let setting = || Setting { storage: Some(storage.clone()), ..Setting::new("until_stop") };
    let world = World::new(setting()).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.handle.stop(&room()).await.unwrap();
    world.until(&id, |row| row.phase == Phase::Uploading).await;
    let trouble = world.trouble(&id, 30).await;
    assert_eq!(trouble.reason, "the store does not answer");

    let world = world.killed_and_started_again(setting()).await;
    world.trouble(&id, 3).await;
    storage.recover();
    let row = world.ended(&id).await;
    let file = std::fs::read(folder.path().join(row.saved.unwrap().key)).unwrap();
    assert!(file == world.expected_file(), "the file is not the spool's");
    world.until_forgotten(&id).await;
}

#[tokio::test]
async fn an_object_that_is_there_already_is_not_overwritten() {
    for recorded in [spool(90, 200), large_spool()] {
        let world = World::new(Setting { spool: recorded, ..Setting::new("until_stop") }).await;
        let id = world.start_recording().await;
        let key = world.until(&id, |_| true).await.key;
        let (taken, free) = (world.recordings.join(&key), key.replace(".mp4", "-2.mp4"));
        std::fs::create_dir_all(taken.parent().unwrap()).unwrap();
        std::fs::write(&taken, "somebody else's").unwrap();
        world.until(&id, |row| row.first_media_at.is_some()).await;
        world.handle.stop(&room()).await.unwrap();
        let row = world.ended(&id).await;
        assert_eq!(row.saved.as_ref().unwrap().key, free);
        assert!(world.file(&row) == world.expected_file(), "the file is not the spool's");
        assert_eq!(std::fs::read(taken).unwrap(), b"somebody else's");
    }
}

#[tokio::test]
async fn a_restart_finishes_what_the_killed_service_was_recording() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    let world = world.killed_and_started_again(Setting::new("until_stop")).await;
    assert_eq!(world.handle.active(&room()).await.unwrap(), None);
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The service was restarted while recording. The file holds what was recorded until then."
    );
    assert_eq!(world.file(&row), world.expected_file());
    assert_eq!(world.told().await.len(), 1);
}

#[tokio::test]
async fn a_restart_recognises_a_file_that_was_stored_just_before_the_service_was_killed() {
    for recorded in [spool(90, 200), large_spool()] {
        let setting = || Setting { spool: recorded.clone(), ..Setting::new("until_stop") };
        let world = World::new(setting()).await;
        let id = world.start_recording().await;
        let key = world.until(&id, |row| row.first_media_at.is_some()).await.key;
        let stored = world.recordings.join(&key);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(&stored, world.expected_file()).unwrap();
        let world = world.killed_and_started_again(setting()).await;
        let row = world.ended(&id).await;
        assert_eq!(row.saved.unwrap().key, key);
    }
}

/// Returns whether any upload below the folder has its second part.
fn part_below(folder: &std::path::Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == "00002" || part_below(&entry.path()))
}
