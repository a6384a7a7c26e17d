//! The status of what every recording needs and what can fail: LiveKit and the encoders.
//!
//! The part that notices a change sets it here; health checks read it. Pure, except for the channel.
//! Contract: a reason may be shown to strangers: no address, no path, no secret.

use std::sync::Arc;

use tokio::sync::watch;

/// The status of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Status {
    /// No probe has returned yet.
    #[default]
    Unknown,
    Good,
    Bad {
        reason: String,
    },
}

/// The last known status of one thing. Clones share it.
#[derive(Debug, Clone)]
pub struct SharedStatus {
    /// The name of the thing, for the log.
    what: &'static str,
    told: Arc<watch::Sender<Status>>,
}

impl SharedStatus {
    /// Returns an unknown status.
    pub fn of(what: &'static str) -> Self {
        Self { what, told: Arc::default() }
    }

    pub fn now(&self) -> Status {
        self.told.borrow().clone()
    }

    pub fn is_good(&self) -> bool {
        *self.told.borrow() == Status::Good
    }

    pub fn good(&self) {
        self.tell(Status::Good);
    }

    pub fn bad(&self, reason: impl Into<String>) {
        self.tell(Status::Bad { reason: reason.into() });
    }

    /// Returns once the status is bad.
    pub async fn until_bad(&self) {
        let mut told = self.told.subscribe();
        let bad = told.wait_for(|status| matches!(status, Status::Bad { .. }));
        // The sender lives as long as `self`.
        let _bad = bad.await;
    }

    fn tell(&self, status: Status) {
        let what = self.what;
        let is_news = self.told.send_if_modified(|told| std::mem::replace(told, status.clone()) != status);
        match status {
            Status::Bad { reason } if is_news => {
                tracing::error!(what, reason, "no recording can be started")
            }
            Status::Good if is_news => tracing::info!(what, "is as it should be"),
            Status::Unknown | Status::Good | Status::Bad { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_that_was_told_is_known_to_all() {
        let known = SharedStatus::of("an encoder");
        assert_eq!(known.now(), Status::Unknown);
        let same = known.clone();
        same.bad("it is broken");
        known.until_bad().await;
        assert_eq!(known.now(), Status::Bad { reason: "it is broken".into() });
        same.good();
        assert!(known.is_good());
    }
}
