//! Previews of running recordings.

use std::time::Duration;

use super::world::{Setting, World, room};
use crate::control::{ControlError, Limits};
use crate::ids::EgressId;

#[tokio::test]
async fn a_picture_is_the_workers_and_leaves_nothing_behind() {
    let world = World::new(Setting::new("until_stop")).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    assert_eq!(world.handle.preview(&id).await.unwrap(), "picture 1");
    let file = world.spool_path(&id).with_extension("jpg");
    assert!(!file.exists());

    // A worker that dies while it makes a preview leaves its file.
    std::fs::write(&file, "half a pict").unwrap();
    world.handle.stop(&room()).await.unwrap();
    world.ended(&id).await;
    world.appears(|| !file.exists()).await;
    assert!(matches!(world.handle.preview(&id).await, Err(ControlError::NotActive)));
    assert!(matches!(world.handle.preview(&EgressId::random()).await, Err(ControlError::NoSuchRecording)));
}

#[tokio::test]
async fn a_picture_that_cannot_be_made_harms_no_recording() {
    let world = World::new(Setting::new("blind")).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    assert!(matches!(world.handle.preview(&id).await, Err(ControlError::NoFrame)));
    assert!(matches!(world.handle.preview(&id).await, Err(ControlError::NoPreview)));
    world.handle.stop(&room()).await.unwrap();
    let row = world.ended(&id).await;
    assert_eq!((row.error.clone(), world.file(&row)), (None, world.expected_file()));
}

#[tokio::test]
async fn nobody_waits_long_for_a_worker_that_does_not_answer() {
    let limits =
        Limits { preview: Duration::from_millis(1), stop: Duration::from_millis(1), ..Limits::default() };
    let world = World::new(Setting { limits, ..Setting::new("silent") }).await;
    let id = world.start_recording().await;
    world.until(&id, |row| row.first_media_at.is_some()).await;
    assert!(matches!(world.handle.preview(&id).await, Err(ControlError::NoPreview)));
    world.handle.stop(&room()).await.unwrap();
    world.ended(&id).await;
}
