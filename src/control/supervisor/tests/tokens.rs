//! The access tokens of a worker.

use super::*;
use crate::control::Limits;

#[tokio::test]
async fn a_worker_gets_another_token_before_its_own_is_too_old() {
    // A token says in whole seconds until when it is valid.
    let limits = Limits { token: Duration::from_secs(2), ..Limits::default() };
    let world = World::new(Setting { limits, ..Setting::new("until_stop") }).await;
    let id = world.start_recording().await;
    world.until_warned_of(&id, "another token").await;
    world.handle.stop(&room()).await.unwrap();
    assert_eq!(world.ended(&id).await.phase, Phase::Complete);
}
