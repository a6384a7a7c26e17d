//! What a recording waits for besides its worker, its upload and commands: the disk, a deadline.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::Space;

/// There is no more room on the disk.
pub async fn exhausted(space: &mut watch::Receiver<Space>) {
    if space.wait_for(|space| *space == Space::Exhausted).await.is_err() {
        // Nobody looks at the disk any more.
        std::future::pending().await
    }
}

/// Never where there is no deadline.
pub async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
