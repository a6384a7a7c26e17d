//! Two of the events that a recording waits for: the disk is exhausted, a deadline has passed.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::Space;

/// Waits until the disk is exhausted.
pub async fn exhausted(space: &mut watch::Receiver<Space>) {
    if space.wait_for(|space| *space == Space::Exhausted).await.is_err() {
        // The monitor has ended.
        std::future::pending().await
    }
}

/// Waits for the deadline; forever, if there is none.
pub async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
