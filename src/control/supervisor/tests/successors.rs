//! Recordings whose worker or service dies.

use super::*;

/// The death of a worker costs nothing here, as the fake worker has its whole recording from the start.
async fn is_one_whole_recording(world: &World, id: &crate::ids::EgressId) {
    let row = world.ended(id).await;
    assert_eq!(row.phase, Phase::Complete, "{row:?}");
    assert!(world.file(&row) == world.expected_file(), "the file is not the spool's");
    assert_eq!(world.told().await.len(), 1);
    world.appears(|| !world.spool_path(id).exists()).await;
}

#[tokio::test]
async fn a_killed_worker_is_followed_by_another_in_the_same_file() {
    for recorded in [spool(90, 200), large_spool()] {
        let world = World::new(Setting { spool: recorded, ..Setting::new("crash_once") }).await;
        let id = world.start_recording().await;
        // It begins after the last whole fragment, with the last report.
        let warned = world.until_warned_of(&id, "after").await;
        assert!(warned.ends_with(" after first"), "{warned}");
        assert!(world.handle.active(&room()).await.unwrap().is_some());
        world.handle.stop(&room()).await.unwrap();
        is_one_whole_recording(&world, &id).await;
    }
}

#[tokio::test]
async fn a_worker_without_progress_is_killed_and_followed_by_another() {
    let mut setting = Setting::new("freeze_once");
    setting.limits.worker.progress = Duration::from_millis(500);
    let world = World::new(setting).await;
    let id = world.start_recording().await;
    world.until_warned_of(&id, "after").await;
    world.handle.stop(&room()).await.unwrap();
    is_one_whole_recording(&world, &id).await;
}

#[tokio::test]
async fn a_worker_that_always_dies_fails_the_recording_and_what_it_wrote_is_stored() {
    let world = World::new(Setting::new("crash")).await;
    let id = world.start_recording().await;
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The recorder ended unexpectedly by signal 9, for the third time within a minute. \
         The file holds what was recorded until then."
    );
    let spool = &world.expected_file();
    let file = world.file(&row);
    // All but the last fragment of half a second.
    assert!(file.len() < spool.len() && file.len() > spool.len() / 2, "{} bytes", file.len());
    assert!(world.told().await[0].contains(r#""error":"The recorder ended"#));
}

#[tokio::test]
async fn a_worker_that_exits_at_once_fails_the_recording() {
    let mut setting = Setting::new("no such plan");
    setting.spool = Vec::new();
    let world = World::new(setting).await;
    let id = world.start_recording().await;
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The recorder ended unexpectedly with exit code 1, for the third time within a minute. \
         Nothing was recorded."
    );
}

#[tokio::test]
async fn a_room_that_is_gone_gets_no_other_worker() {
    let world = World::new(Setting::new("crash_once")).await;
    let id = world.start_recording().await;
    world.livekit.knows("{}");
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The recorder ended unexpectedly by signal 9. The file holds what was recorded until then."
    );
}

#[tokio::test]
async fn a_recording_goes_on_after_its_service_was_killed() {
    for recorded in [spool(90, 200), large_spool()] {
        let setting = || Setting {
            spool: recorded.clone(),
            resume_within: Duration::from_secs(300),
            ..Setting::new("go_on")
        };
        let world = World::new(setting()).await;
        let id = world.start_recording().await;
        world.until(&id, |row| row.first_media_at.is_some()).await;
        let world = world.killed_and_started_again(setting()).await;
        let active = world.handle.active(&room()).await.unwrap();
        assert_eq!(active.map(|active| active.egress_id), Some(id.clone()));
        world.appears(|| world.spool_is_whole(&id)).await;
        world.handle.stop(&room()).await.unwrap();
        is_one_whole_recording(&world, &id).await;
    }
}

#[tokio::test]
async fn a_recording_that_was_only_accepted_when_the_service_was_killed_is_made() {
    let setting = || Setting { resume_within: Duration::from_secs(300), ..Setting::new("until_stop") };
    let world = World::new(setting()).await;
    let id = world.accept_only().await;
    let world = world.killed_and_started_again(setting()).await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.handle.stop(&room()).await.unwrap();
    is_one_whole_recording(&world, &id).await;
}

#[tokio::test]
async fn a_recording_whose_end_is_too_long_ago_does_not_go_on() {
    let setting = |within| Setting { resume_within: within, ..Setting::new("go_on") };
    let world = World::new(setting(Duration::from_secs(300))).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    let longer_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(3600);
    world.store.set_zero(&id, longer_ago).await.unwrap();
    let world = world.killed_and_started_again(setting(Duration::from_secs(300))).await;
    let row = world.ended(&id).await;
    assert!(error_of(&row).starts_with("The service was restarted while recording."), "{row:?}");
}

#[tokio::test]
async fn a_recording_that_had_ended_well_is_complete_though_the_service_was_killed_before_it_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(Faulty::new(Folder::new(folder.path()), usize::MAX));
    let setting = Setting { storage: Some(storage), ..Setting::new("until_stop") };
    let world = World::new(setting).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.handle.stop(&room()).await.unwrap();
    world.until(&id, |row| row.phase == Phase::Uploading).await;
    let world = world.killed_and_started_again(Setting::new("until_stop")).await;
    is_one_whole_recording(&world, &id).await;
}

#[tokio::test]
async fn a_spool_that_was_to_be_removed_when_the_service_was_killed_is_removed_and_no_other() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.record().await.egress_id;
    world.appears(|| !world.spool_path(&id).exists()).await;
    let strange = world.spools.join("strange.mp4");
    for spool in [&world.spool_path(&id), &strange] {
        std::fs::write(spool, "left").unwrap();
    }
    let world = world.killed_and_started_again(Setting::new("until_stop")).await;
    assert!(!world.spool_path(&id).exists());
    assert!(strange.exists());
}
