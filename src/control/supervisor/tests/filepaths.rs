//! Recordings whose starts name their files.

use super::world::{Setting, World, room};
use crate::control::{ControlError, Identity};
use crate::options::AskedOptions;
use crate::store::RecordingRow;

impl World {
    async fn record_to(&self, filepath: &str) -> RecordingRow {
        let asked = AskedOptions { filepath: Some(filepath.parse().unwrap()), ..AskedOptions::default() };
        let id = self.handle.start(Identity::Room, room(), asked).await.unwrap().egress_id;
        self.until(&id, |row| row.first_media_at.is_some()).await;
        self.handle.stop(&room()).await.unwrap();
        self.ended(&id).await
    }
}

#[tokio::test]
async fn a_file_is_where_its_start_wanted_it_and_takes_nobodys_place() {
    let world = World::new(Setting::new("until_stop")).await;
    let keys = ["meetings/RM_1/x.mp4", "meetings/RM_1/x-2.mp4", "meetings/RM_1/x-3.mp4"];
    for key in keys {
        let row = world.record_to("meetings/{room_id}/x").await;
        assert_eq!(row.saved.as_ref().map(|saved| saved.key.as_str()), Some(key));
        assert_eq!(world.file(&row), world.expected_file());
    }
}

#[tokio::test]
async fn what_somebody_else_has_put_there_stays() {
    let world = World::new(Setting::new("until_stop")).await;
    let taken = world.recordings.join("x.mp4");
    std::fs::write(&taken, "not ours").unwrap();
    let row = world.record_to("x.mp4").await;
    assert_eq!(row.saved.as_ref().map(|saved| saved.key.as_str()), Some("x-2.mp4"));
    assert_eq!(std::fs::read(&taken).unwrap(), b"not ours");
}

#[tokio::test]
async fn a_filepath_that_becomes_too_long_starts_nothing() {
    let world = World::new(Setting::new("until_stop")).await;
    let template = vec!["{room_id}-{egress_id}-{time}-{room_id}-{egress_id}-{time}"; 17].join("/");
    let filepath = Some(template.parse().unwrap());
    let started = world
        .handle
        .start(Identity::Room, room(), AskedOptions { filepath, ..AskedOptions::default() })
        .await;
    assert!(matches!(started, Err(ControlError::Filepath(_))), "{started:?}");
    assert_eq!(world.handle.active(&room()).await.unwrap(), None);
}
