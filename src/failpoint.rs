//! Moments at which a test has the service die as if the power had gone: what it leaves then must be taken up.
//!
//! A process dies at the moment that `EGRESSD_FAIL_AT` names, the first time it gets there. Contract: in a release build
//! nothing of this is there.

/// What has just been done, and nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// The store has acknowledged a part of a recording.
    PartUploaded,
    /// The object is in the store and was read back.
    Completed,
    /// The end of a recording is in the database.
    RowCommitted,
    /// The receiver of a webhook has answered.
    WebhookSent,
}

impl FailPoint {
    #[cfg(debug_assertions)]
    const fn name(self) -> &'static str {
        match self {
            Self::PartUploaded => "part-uploaded",
            Self::Completed => "completed",
            Self::RowCommitted => "row-committed",
            Self::WebhookSent => "webhook-sent",
        }
    }

    /// Does not return where a test wants it so.
    #[cfg(debug_assertions)]
    pub fn reached(self) {
        if std::env::var("EGRESSD_FAIL_AT").is_ok_and(|wanted| wanted == self.name()) {
            tracing::error!(at = self.name(), "dying, as a test wants it");
            let killed =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            tracing::error!(?killed, "not dead");
        }
    }

    #[cfg(not(debug_assertions))]
    pub fn reached(self) {}
}
