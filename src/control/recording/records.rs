//! What of a recording is written down, and how often that is tried.

use std::time::Duration;

use jiff::Timestamp;

use crate::control::failure::Verdict;
use crate::control::news;
use crate::report::QualityReport;
use crate::store::{EndResult, Ending, Outcome, Phase, RecordingRow, Store, StoreError};
use crate::webhook::event;

/// Tries to write a phase down before the recording goes on without: what a phase decides after a
/// restart is less than a recording that nobody can stop.
const PHASE_ATTEMPTS: u32 = 3;
/// The pause before the database is tried again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// The database, as one recording sees it.
pub struct Records {
    store: Store,
}

impl Records {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    pub async fn phase(&self, row: &RecordingRow, phase: Phase) {
        let news = news::of(row, phase, Timestamp::now());
        persist(|| self.store.set_phase(&row.egress_id, phase, Some(news.clone())), phase.as_str()).await;
    }

    /// How it is to end, and that it takes in no more media.
    pub async fn verdict(&self, row: &RecordingRow, verdict: &Verdict) {
        let text = serde_json::to_string(verdict).expect("words and numbers always serialize");
        let news = news::of(row, Phase::Uploading, Timestamp::now());
        let write = || self.store.set_verdict(&row.egress_id, text.clone(), Some(news.clone()));
        persist(write, "uploading").await;
    }

    /// When the timeline began: without it no other worker can go on.
    pub async fn zero(&self, row: &RecordingRow, zero: Timestamp) {
        persist(|| self.store.set_zero(&row.egress_id, zero), "zero").await;
    }

    /// The view of a recording in this phase has changed.
    pub async fn view(&self, row: &RecordingRow, phase: Phase) {
        let (id, options) = (&row.egress_id, row.options.clone());
        if let Err(error) =
            self.store.set_options(id, options, Some(news::of(row, phase, Timestamp::now()))).await
        {
            // What is seen matters more than what is written about it.
            tracing::error!(%error, "the view cannot be written down");
        }
    }

    pub async fn keep(&self, row: &RecordingRow, report: QualityReport) {
        if let Err(error) = self.store.keep_report(&row.egress_id, report).await {
            tracing::error!(%error, "the quality report cannot be written down");
        }
    }

    /// The last report that was kept.
    pub async fn kept(&self, row: &RecordingRow) -> Option<QualityReport> {
        self.store.report(&row.egress_id).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the quality report so far cannot be read");
            None
        })
    }

    /// Told once, however many workers see media for the first time.
    pub async fn media_started(&self, row: &RecordingRow) {
        let RecordingRow { egress_id, room, started_at, .. } = row;
        let event = event::egress_started(egress_id, room, *started_at);
        match self.store.media_started(egress_id, Timestamp::now(), event).await {
            Ok(true) => tracing::info!("first media"),
            Ok(false) => tracing::debug!("media again"),
            Err(error) => {
                tracing::error!(%error, "the first media cannot be written down, nobody is told of it");
            }
        }
    }

    /// Does not give up: as long as it is not written down nobody may believe that it has ended.
    pub async fn end(&self, row: &RecordingRow, outcome: Outcome) {
        let RecordingRow { egress_id, room, .. } = row;
        let event = event::egress_ended(egress_id, room, &outcome);
        let ending = Ending { outcome, ended_at: Timestamp::now() };
        loop {
            match self.store.end_recording(egress_id, ending.clone(), event.clone()).await {
                Ok(EndResult::Ended) => break log_end(&ending.outcome),
                Ok(EndResult::AlreadyEnded) => break tracing::warn!("had ended before"),
                Err(error) => tracing::error!(%error, "the end cannot be written down"),
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }
}

async fn persist<F>(mut write: impl FnMut() -> F, what: &str)
where
    F: Future<Output = Result<bool, StoreError>>,
{
    for _ in 0..PHASE_ATTEMPTS {
        match write().await {
            Ok(true) => return,
            Ok(false) => return tracing::warn!(what, "not in the database any more"),
            Err(error) => tracing::error!(%error, what, "cannot be written down"),
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
}

fn log_end(outcome: &Outcome) {
    match outcome {
        Outcome::Complete(saved) => {
            tracing::info!(
                key = saved.key,
                seconds = saved.duration_s,
                size = saved.size,
                "recording complete"
            );
        }
        Outcome::Failed { error, saved } => {
            let key = saved.as_ref().map(|saved| &saved.key);
            tracing::error!(error, key, "recording failed");
        }
    }
}
