//! A database that another program has locked for longer than a call waits.

use super::*;
use crate::admission::Space;

/// Long enough for some failed attempts.
const LOCKED_FOR: Duration = Duration::from_millis(400);

fn not_written<T: std::fmt::Debug>(result: &Result<T, ControlError>) -> bool {
    matches!(result, Err(ControlError::NotWritten { .. }))
}

async fn recording(setting: Setting) -> (World, crate::ids::EgressId) {
    let world = World::new(setting).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    (world, id)
}

#[tokio::test]
async fn a_stop_that_cannot_be_written_down_is_refused_and_the_recording_goes_on() {
    let (world, id) = recording(Setting::new("until_stop")).await;
    let lock = world.unwritable();
    assert!(not_written(&world.handle.stop(&room()).await));
    drop(lock);
    assert_eq!(world.handle.active(&room()).await.unwrap().unwrap().egress_id, id);
    assert_eq!(world.handle.stop(&room()).await.unwrap(), id);
    let row = world.ended(&id).await;
    assert_eq!((row.phase, world.file(&row)), (Phase::Complete, world.expected_file()));
}

#[tokio::test]
async fn only_a_stop_that_was_refused_is_resumed_after_the_service_was_killed() {
    let setting = || Setting { resume_within: Duration::from_secs(300), ..Setting::new("go_on") };
    let (world, id) = recording(setting()).await;
    let lock = world.unwritable();
    assert!(not_written(&world.handle.stop(&room()).await));
    drop(lock);
    let world = world.killed_and_started_again(setting()).await;
    world.appears(|| world.spool_is_whole(&id)).await;
    world.handle.stop(&room()).await.unwrap();
    let world = world.killed_and_started_again(setting()).await;
    assert!(world.handle.active(&room()).await.unwrap().is_none());
    world.ended(&id).await;
}

#[tokio::test]
async fn a_view_that_cannot_be_written_down_is_not_changed() {
    let (world, id) = recording(Setting::new("until_stop")).await;
    let look = |word| ViewChange { look: Look::from_word(word), fit: None };
    let lock = world.unwritable();
    assert!(not_written(&world.handle.change_view(&room(), look("speaker-light")).await));
    drop(lock);
    let fit = ViewChange { look: None, fit: Some(FitChoice::Contain) };
    world.handle.change_view(&room(), fit).await.unwrap();
    assert_eq!(world.until_warned(&id).await, "grid dark contain", "the worker was told otherwise");
}

#[tokio::test]
async fn a_room_that_closes_while_nothing_can_be_written_ends_its_recording_later() {
    let (world, id) = recording(Setting::new("until_stop")).await;
    let lock = world.unwritable();
    let finished = async || world.handle.room_finished(&room(), &RoomSid("RM_fake".into())).await;
    assert!(not_written(&finished().await));
    assert!(not_written(&finished().await), "LiveKit is to tell it again");
    drop(lock);
    let row = world.ended(&id).await;
    assert_eq!((row.phase, world.file(&row)), (Phase::Complete, world.expected_file()));
}

#[tokio::test]
async fn a_disk_that_fills_up_while_nothing_can_be_written_ends_a_recording_later() {
    let (world, id) = recording(Setting::new("until_stop")).await;
    let lock = world.unwritable();
    world.space.send_replace(Space::Exhausted);
    tokio::time::sleep(LOCKED_FOR).await;
    drop(lock);
    let row = world.ended(&id).await;
    assert!(error_of(&row).starts_with("The recorder's disk had no more room."), "{row:?}");
    assert_eq!(world.file(&row), world.expected_file());
}

#[tokio::test]
async fn a_whole_life_that_cannot_be_written_is_told_in_its_order_once_it_can() {
    let world = World::new(Setting::new("room_closes")).await;
    let hook = world.webhook_for(&["*"]).await;
    let id = world.start_recording().await;
    let lock = world.unwritable();
    world.appears(|| world.spool_is_whole(&id)).await;
    tokio::time::sleep(LOCKED_FOR).await;
    let row = world.until(&id, |_| true).await;
    assert_eq!((row.phase, row.first_media_at), (Phase::Starting, None));
    drop(lock);
    let row = world.ended(&id).await;
    assert_eq!((row.phase, world.file(&row)), (Phase::Complete, world.expected_file()));
    let told = world.told_to(&hook).await;
    let told: Vec<_> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["egress_updated", "egress_started", "egress_updated", "egress_ended"]);
}

#[tokio::test]
async fn an_end_that_cannot_be_written_keeps_its_spool_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(Faulty::new(Folder::new(folder.path()), usize::MAX));
    let (world, id) =
        recording(Setting { storage: Some(storage.clone()), ..Setting::new("until_stop") }).await;
    world.handle.stop(&room()).await.unwrap();
    world.until(&id, |row| row.phase == Phase::Uploading).await;
    let lock = world.unwritable();
    storage.recover();
    let key = world.until(&id, |_| true).await.key;
    world.appears(|| folder.path().join(&key).exists()).await;
    tokio::time::sleep(LOCKED_FOR).await;
    assert!(world.spool_is_whole(&id));
    assert_eq!(world.until(&id, |_| true).await.ended_at, None);
    drop(lock);
    assert_eq!(world.ended(&id).await.phase, Phase::Complete);
    world.appears(|| !world.spool_path(&id).exists()).await;
    assert_eq!(world.told().await.len(), 1);
}
