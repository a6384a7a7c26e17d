//! What is known of those that every recording needs and that can fail: LiveKit and the encoders.
//!
//! Whoever notices something tells it here; health checks read it. Pure, but for the channel. Contract: a reason is fit for
//! strangers: no address, no path, no secret.

use std::sync::Arc;

use tokio::sync::watch;

/// How something stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    Good,
    Bad {
        reason: String,
    },
}

/// The last that is known of one thing. Clones share it.
#[derive(Debug, Clone)]
pub struct Known {
    /// For the log.
    what: &'static str,
    told: Arc<watch::Sender<Standing>>,
}

impl Known {
    /// Nothing, so far.
    pub fn of(what: &'static str) -> Self {
        Self { what, told: Arc::default() }
    }

    pub fn now(&self) -> Standing {
        self.told.borrow().clone()
    }

    pub fn is_good(&self) -> bool {
        *self.told.borrow() == Standing::Good
    }

    pub fn good(&self) {
        self.tell(Standing::Good);
    }

    pub fn bad(&self, reason: impl Into<String>) {
        self.tell(Standing::Bad { reason: reason.into() });
    }

    /// Returns once it is bad.
    pub async fn until_bad(&self) {
        let mut told = self.told.subscribe();
        let bad = told.wait_for(|standing| matches!(standing, Standing::Bad { .. }));
        // The sender lives as long as this.
        let _bad = bad.await;
    }

    fn tell(&self, standing: Standing) {
        let what = self.what;
        let is_news =
            self.told.send_if_modified(|told| std::mem::replace(told, standing.clone()) != standing);
        match standing {
            Standing::Bad { reason } if is_news => {
                tracing::error!(what, reason, "no recording can be started")
            }
            Standing::Good if is_news => tracing::info!(what, "is as it should be"),
            Standing::Unknown | Standing::Good | Standing::Bad { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_that_was_told_is_known_to_all() {
        let known = Known::of("an encoder");
        assert_eq!(known.now(), Standing::Unknown);
        let same = known.clone();
        same.bad("it is broken");
        known.until_bad().await;
        assert_eq!(known.now(), Standing::Bad { reason: "it is broken".into() });
        same.good();
        assert!(known.is_good());
    }
}
