//! Writes one recording to the database.
//!
//! Contract: each method tries once and returns whether it has written. (The database itself waits for a lock
//! that another program holds.) Notes are kept until they are written. They are always written before
//! anything later.

use std::collections::VecDeque;
use std::mem::discriminant;

use jiff::Timestamp;

use crate::control::failure::EndStatus;
use crate::control::updates;
use crate::report::QualityReport;
use crate::store::{EndResult, Ending, Outcome, Phase, RecordingRow, Store, StoreError};
use crate::webhook::event;

/// One recording's access to the database.
pub struct Records {
    store: Store,
    /// The notes that are not written yet, in the order of their events, one of each kind at most.
    notes: VecDeque<Note>,
}

/// A fact that is true whether it is written or not, with its time.
#[derive(Debug, Clone, Copy)]
pub enum Note {
    /// The zero of the timeline. Without it, no successor can resume the recording after a restart.
    Zero(Timestamp),
    /// The worker is in the room.
    Active(Timestamp),
    /// The first media of the recording. It is noted once, whatever the number of workers.
    MediaStarted(Timestamp),
}

/// The database could not be written. The log has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWritten;

impl Records {
    pub fn new(store: Store) -> Self {
        Self { store, notes: VecDeque::new() }
    }

    pub async fn note(&mut self, row: &RecordingRow, note: Note) -> Result<(), NotWritten> {
        if self.notes.iter().all(|other| discriminant(other) != discriminant(&note)) {
            self.notes.push_back(note);
        }
        self.write_notes(row).await
    }

    /// Writes the notes that are not written yet.
    pub async fn write_notes(&mut self, row: &RecordingRow) -> Result<(), NotWritten> {
        while let Some(note) = self.notes.front() {
            self.write(row, *note).await?;
            self.notes.pop_front();
        }
        Ok(())
    }

    async fn write(&self, row: &RecordingRow, note: Note) -> Result<(), NotWritten> {
        let id = &row.egress_id;
        match note {
            Note::Zero(zero) => written(self.store.set_zero(id, zero).await, "zero"),
            Note::Active(at) => {
                let update = updates::of(row, Phase::Active, at);
                written(self.store.set_phase(id, Phase::Active, Some(update)).await, "active")
            }
            Note::MediaStarted(at) => {
                let event = event::egress_started(id, &row.room, row.started_at);
                let first = self.store.media_started(id, at, event).await;
                match first.map_err(|error| not_written(&error, "first media"))? {
                    true => tracing::info!("first media"),
                    false => tracing::debug!("media again"),
                }
                Ok(())
            }
        }
    }

    /// Writes that the recording is being stopped.
    pub async fn stop(&mut self, row: &RecordingRow) -> Result<(), NotWritten> {
        self.write_notes(row).await?;
        let update = updates::of(row, Phase::Stopping, Timestamp::now());
        written(self.store.set_phase(&row.egress_id, Phase::Stopping, Some(update)).await, "stopping")
    }

    /// Writes how the recording is to end, and that it takes in no more media.
    pub async fn end_status(&mut self, row: &RecordingRow, end_status: &EndStatus) -> Result<(), NotWritten> {
        self.write_notes(row).await?;
        let text = serde_json::to_string(end_status).expect("words and numbers always serialize");
        let update = updates::of(row, Phase::Uploading, Timestamp::now());
        written(self.store.set_verdict(&row.egress_id, text, Some(update)).await, "uploading")
    }

    /// Writes the view of this row, with the event of a recording in this phase. Returns whether the
    /// recording takes in media.
    pub async fn view(&mut self, row: &RecordingRow, phase: Phase) -> Result<bool, NotWritten> {
        self.write_notes(row).await?;
        let update = updates::of(row, phase, Timestamp::now());
        let changed = self.store.set_options(&row.egress_id, row.options.clone(), Some(update)).await;
        changed.map_err(|error| not_written(&error, "view"))
    }

    pub async fn keep(&self, row: &RecordingRow, report: QualityReport) {
        if let Err(error) = self.store.keep_report(&row.egress_id, report).await {
            tracing::error!(%error, "the quality report cannot be written down");
        }
    }

    /// Returns the last quality report in the database.
    pub async fn kept(&self, row: &RecordingRow) -> Option<QualityReport> {
        self.store.report(&row.egress_id).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the quality report so far cannot be read");
            None
        })
    }

    pub async fn end(&mut self, row: &RecordingRow, outcome: Outcome) -> Result<(), NotWritten> {
        self.write_notes(row).await?;
        let RecordingRow { egress_id, room, .. } = row;
        let event = event::egress_ended(egress_id, room, &outcome);
        let ending = Ending { outcome, ended_at: Timestamp::now() };
        let ended = self.store.end_recording(egress_id, ending.clone(), event).await;
        match ended.map_err(|error| not_written(&error, "end"))? {
            EndResult::Ended => log_end(&ending.outcome),
            EndResult::AlreadyEnded => tracing::warn!("had ended before"),
        }
        Ok(())
    }
}

fn written(result: Result<bool, StoreError>, what: &'static str) -> Result<(), NotWritten> {
    match result.map_err(|error| not_written(&error, what))? {
        true => {}
        false => tracing::warn!(what, "not in the database any more"),
    }
    Ok(())
}

fn not_written(error: &StoreError, what: &'static str) -> NotWritten {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, what, "cannot be written down");
    NotWritten
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
