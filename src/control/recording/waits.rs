//! What a recording waits for besides its worker and its upload: wishes, the disk, a deadline.

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::previews::Preview;
use crate::control::space::Space;
use crate::options::ViewChange;

/// What somebody asks of a running recording. A change is answered once it is in the database.
pub enum Wish {
    Preview(oneshot::Sender<Preview>),
    Stop(oneshot::Sender<Noted>),
    View { change: ViewChange, noted: oneshot::Sender<Noted> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Done,
    /// It takes in no more media.
    TooLate,
}

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
