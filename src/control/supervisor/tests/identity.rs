//! Recordings that are known by their id, beside one that is known by its room.

use super::*;
use crate::control::Started;
use crate::ids::EgressId;

impl World {
    async fn start_as(&self, id: &EgressId, room: &str) -> Result<Started, ControlError> {
        self.handle.start(Identity::Id(id.clone()), room.parse().unwrap(), AskedOptions::default()).await
    }
}

#[tokio::test]
async fn recordings_with_ids_from_outside_run_beside_that_of_the_room() {
    let world = World::new(Setting::new("until_stop")).await;
    let ids = [EgressId::random(), EgressId::random()];
    for id in &ids {
        let started = world.start_as(id, "room").await.unwrap();
        assert_eq!((&started.egress_id, started.created), (id, true));
    }
    assert_eq!(world.handle.active(&room()).await.unwrap(), None, "neither is the room's");
    let of_room = world.start_recording().await;
    assert_eq!(world.start_recording().await, of_room);
    for id in ids.iter().chain([&of_room]) {
        world.until(id, |row| row.first_media_at.is_some()).await;
    }

    world.handle.stop_recording(&ids[0]).await.unwrap();
    let first = world.ended(&ids[0]).await;
    assert_eq!(world.handle.stop(&room()).await.unwrap(), of_room);
    let second = world.ended(&of_room).await;
    world.handle.stop_recording(&of_room).await.unwrap();
    assert_eq!(
        world.store.recording(&ids[1]).await.unwrap().unwrap().phase,
        Phase::Active,
        "nobody stopped it"
    );
    assert!(world.handle.room_finished(&room(), &RoomSid("RM_fake".into())).await.unwrap());
    let third = world.ended(&ids[1]).await;
    for row in [first, second, third] {
        assert_eq!(row.phase, Phase::Complete);
        assert_eq!(world.file(&row), world.expected_file());
    }
}

#[tokio::test]
async fn a_start_with_an_id_that_is_there_returns_its_recording() {
    let rooms = r#"{"rooms":[{"name":"room"},{"name":"other"}]}"#;
    let world = World::new(Setting { livekit_rooms: Some(rooms), ..Setting::new("until_stop") }).await;
    let id = EgressId::random();
    let (a, b) = tokio::join!(world.start_as(&id, "room"), world.start_as(&id, "room"));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!([a.created, b.created].iter().filter(|created| **created).count(), 1);
    assert!(matches!(world.start_as(&id, "other").await, Err(ControlError::IdTaken)));
    world.until(&id, |row| row.first_media_at.is_some()).await;
    world.handle.stop_recording(&id).await.unwrap();
    world.ended(&id).await;
    assert!(!world.start_as(&id, "room").await.unwrap().created, "nor once it is over");
    let unknown = world.handle.stop_recording(&EgressId::random()).await;
    assert!(matches!(unknown, Err(ControlError::NoSuchRecording)));
}

#[tokio::test]
async fn a_full_service_refuses_an_id_that_it_does_not_have() {
    let world = World::new(Setting { max_recordings: Some(1), ..Setting::new("until_stop") }).await;
    let id = EgressId::random();
    assert!(world.start_as(&id, "room").await.unwrap().created);
    assert!(!world.start_as(&id, "room").await.unwrap().created);
    assert!(is_full(&world.start_as(&EgressId::random(), "room").await));
}
