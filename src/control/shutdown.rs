//! How a service is told to end: first it takes in nothing new, then it ends what runs.

use tokio_util::sync::CancellationToken;

/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    at_once: CancellationToken,
}

impl Shutdown {
    /// No new recordings; those that run may go on for the time of grace.
    pub fn begin(&self) {
        self.drain.cancel();
    }

    /// The time of grace is over.
    pub fn hurry(&self) {
        self.drain.cancel();
        self.at_once.cancel();
    }

    pub async fn begun(&self) {
        self.drain.cancelled().await;
    }

    pub async fn hurried(&self) {
        self.at_once.cancelled().await;
    }
}
