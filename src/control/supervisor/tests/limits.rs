//! Recordings that are refused or ended because the machine is short of something.

use super::*;
use crate::admission::Pool;
use crate::admission::{Load, Shortage, Space};

async fn refused(world: &World) -> Option<Shortage> {
    match world.handle.start(Identity::Room, "other".parse().unwrap(), AskedOptions::default()).await {
        Err(ControlError::NoCapacity { shortage, .. }) => Some(shortage),
        other => panic!("{other:?}"),
    }
}

fn two_rooms() -> Setting {
    Setting {
        livekit_rooms: Some(r#"{"rooms":[{"name":"room"},{"name":"other"}]}"#),
        ..Setting::new("until_stop")
    }
}

#[tokio::test]
async fn a_machine_that_is_busy_refuses_a_second_recording_and_the_first_goes_on() {
    let world = World::new(two_rooms()).await;
    let busy = Load { processors: vec![Pool { total: 2.0, used: 1.7 }], ..Load::default() };
    world.load.send_replace(Arc::new(busy));
    let id = world.start_recording().await;
    assert_eq!(refused(&world).await, Some(Shortage::Processors));
    // Not refused, as it exists already.
    assert_eq!(world.start_recording().await, id);
    assert_eq!(world.record().await.phase, Phase::Complete);
}

#[tokio::test]
async fn a_disk_that_is_short_of_room_refuses_a_start_and_ends_nothing() {
    let world = World::new(two_rooms()).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.space.send_replace(Space::Short);
    assert_eq!(refused(&world).await, Some(Shortage::Disk));
    assert!(world.handle.active(&room()).await.unwrap().is_some());
    world.space.send_replace(Space::Ample);
    assert_eq!(world.record().await.phase, Phase::Complete);
}

#[tokio::test]
async fn a_disk_that_is_about_to_be_full_ends_a_recording_properly() {
    let world = World::new(two_rooms()).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.space.send_replace(Space::Exhausted);
    let row = world.ended(&id).await;
    assert_eq!(
        error_of(&row),
        "The recorder's disk had no more room. The file holds what was recorded until then."
    );
    assert_eq!(world.file(&row), world.expected_file());
}
