//! The end of a service.

use super::*;

fn is_refused<T: std::fmt::Debug>(started: &Result<T, ControlError>) -> bool {
    matches!(started, Err(ControlError::ShuttingDown { .. }))
}

#[tokio::test]
async fn a_service_that_ends_stops_its_recordings_and_stores_them() {
    let mut world = World::new(Setting::new("until_stop")).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.shutdown.begin();
    world.gone().await;
    let row = world.store.recording(&id).await.unwrap().unwrap();
    assert_eq!(row.phase, Phase::Complete);
    assert!(is_refused(&world.handle.start(Identity::Room, room(), AskedOptions::default()).await));
}

#[tokio::test]
async fn within_the_time_of_grace_recordings_go_on_and_new_ones_are_refused() {
    let rooms = r#"{"rooms":[{"name":"room"},{"name":"other"}]}"#;
    let setting = Setting {
        livekit_rooms: Some(rooms),
        shutdown_grace: Duration::from_secs(600),
        ..Setting::new("until_stop")
    };
    let mut world = World::new(setting).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.shutdown.begin();
    let other = "other".parse().unwrap();
    let refused = async || {
        is_refused(
            &world.handle.start(Identity::Room, "other".parse().unwrap(), AskedOptions::default()).await,
        )
    };
    world.comes_true(refused).await;
    // A running recording is returned, changed and stopped as ever.
    assert_eq!(
        world.handle.start(Identity::Room, room(), AskedOptions::default()).await.unwrap().egress_id,
        id
    );
    assert_eq!(world.handle.active(&other).await.unwrap(), None);
    world.handle.change_view(&room(), ViewChange::default()).await.unwrap();
    assert_eq!(world.handle.stop(&room()).await.unwrap(), id);
    world.gone().await;
    assert_eq!(world.store.recording(&id).await.unwrap().unwrap().phase, Phase::Complete);
}

#[tokio::test]
async fn a_service_in_a_hurry_does_not_wait_for_the_time_of_grace() {
    let setting = Setting { shutdown_grace: Duration::from_secs(600), ..Setting::new("until_stop") };
    let mut world = World::new(setting).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.shutdown.begin();
    world.shutdown.hurry();
    world.gone().await;
    assert_eq!(world.store.recording(&id).await.unwrap().unwrap().phase, Phase::Complete);
}
