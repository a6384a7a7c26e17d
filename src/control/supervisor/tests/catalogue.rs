//! Lists of recordings, and the URLs of their files.

use std::time::Duration;

use super::world::{Setting, World, room};
use crate::control::{ControlError, FileUrl};
use crate::ids::EgressId;
use crate::storage::{Reading, UrlTerms};
use crate::store::{Destination, Ending, OutboxEvent, Outcome, RecordingQuery, SavedFile};

const AN_HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Adds a recording whose file is in this store.
    async fn finished_in(&self, store: Destination) -> EgressId {
        let id = self.accept_only().await;
        let saved = SavedFile { key: "room/a b.mp4".into(), duration_s: 3, size: 7, store };
        let ending = Ending { outcome: Outcome::Complete(saved), ended_at: jiff::Timestamp::now() };
        let event = OutboxEvent { name: "egress_ended", body: "{}".into() };
        self.store.end_recording(&id, ending, event).await.unwrap();
        id
    }

    async fn url(&self, id: &EgressId) -> Result<FileUrl, ControlError> {
        self.handle.file_url(id, UrlTerms { valid_for: AN_HOUR, reading: Reading::Play }).await
    }
}

#[tokio::test]
async fn a_recording_is_listed_while_it_runs_with_how_far_its_upload_is() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    let query = RecordingQuery { room: Some(room()), phases: None, after: None, limit: 20 };
    let listing = world.handle.recordings(query.clone()).await.unwrap();
    assert_eq!(listing.recordings.len(), 1);
    assert!(listing.recordings[0].row.egress_id == id && listing.recordings[0].upload.is_some());
    world.handle.stop(&room()).await.unwrap();
    world.ended(&id).await;
    world.until_forgotten(&id).await;
    assert_eq!(world.handle.recordings(query).await.unwrap().recordings[0].upload, None);
}

#[tokio::test]
async fn a_file_in_a_folder_or_in_a_store_that_is_gone_has_no_url() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.finished_in(Destination::Primary).await;
    assert!(matches!(world.url(&id).await, Err(ControlError::NotInABucket)));
    let id = world.finished_in(Destination::Fallback).await;
    assert!(matches!(world.url(&id).await, Err(ControlError::StoreGone)));
}

#[tokio::test]
async fn a_recording_without_a_finished_file_has_no_url() {
    let world = World::new(Setting::new("refused")).await;
    let id = world.accept_only().await;
    assert!(matches!(world.url(&id).await, Err(ControlError::NotFinished)));
    assert!(matches!(world.url(&EgressId::random()).await, Err(ControlError::NoSuchRecording)));

    let world = World::new(Setting::new("refused")).await;
    let id = world.start_recording().await;
    world.ended(&id).await;
    assert!(matches!(world.url(&id).await, Err(ControlError::NoFile)));
}
