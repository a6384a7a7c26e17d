//! Tells the service to end: first it starts no more recordings, then it stops those that run.

use tokio_util::sync::CancellationToken;

/// The two steps of ending. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    at_once: CancellationToken,
}

impl Shutdown {
    /// From now on no recording is started. Running recordings may go on for the time of grace.
    pub fn begin(&self) {
        self.drain.cancel();
    }

    /// Ends the time of grace: running recordings are stopped.
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
