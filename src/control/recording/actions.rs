//! Carries out the actions of the state machine, in their order.
//!
//! Contract: if an action cannot be written to the database, the actions after it are not carried out.

use std::path::Path;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Recording;
use super::records::{NotWritten, Note};
use super::worker::Worker;
use crate::control::state::{self, Action, Input, State};
use crate::control::successor::{Predecessor, SuccessorSearch};
use crate::failpoint::FailPoint;
use crate::upload::Extent;

/// Whether the actions of an input are in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Yes,
    No,
}

impl Recording {
    /// Applies an input that nobody waits for.
    pub(super) async fn hears(&mut self, input: Input) {
        let _held_where_it_is_not_written = self.apply(input).await;
    }

    pub(super) async fn apply(&mut self, input: Input) -> Written {
        let (after, actions) = state::step(self.state.clone(), input.clone());
        let (after, written) = match self.carry_out(actions).await {
            Ok(()) => (after, Written::Yes),
            Err(NotWritten) => {
                self.rewriting.failed(Instant::now());
                let (as_before, _none) = state::step(self.state.clone(), Input::NotWritten(Box::new(input)));
                (as_before, Written::No)
            }
        };
        self.state = after;
        written
    }

    async fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), NotWritten> {
        for action in actions {
            self.act(action).await?;
        }
        Ok(())
    }

    async fn act(&mut self, action: Action) -> Result<(), NotWritten> {
        match action {
            Action::NoteActive => self.note(Note::Active(Timestamp::now())).await,
            Action::NoteMediaStarted => self.note(Note::MediaStarted(Timestamp::now())).await,
            Action::PersistStop => self.records.stop(&self.row).await?,
            Action::PersistEndStatus(end_status) => self.records.end_status(&self.row, &end_status).await?,
            Action::OfferBytes(end) => self.offer(end),
            Action::FinishUpload => drop(self.extent.send_replace(Extent::Whole)),
            Action::StopWorker => {
                self.stopped = Instant::now();
                self.worker.stop().await;
            }
            Action::KillWorker => self.worker.kill(),
            Action::PrepareSuccessor => self.prepare_successor(Predecessor::Gone),
            Action::StartSuccessor => {
                if let SuccessorSearch::Answered(beginning) = self.successor.take() {
                    self.start_worker(beginning).await;
                }
            }
            Action::DropSuccessorSearch => self.successor = SuccessorSearch::None,
            Action::ReleaseSlot => {
                self.worker = std::mem::replace(&mut self.worker, Worker::None).without_successor();
            }
            Action::End(outcome) => {
                FailPoint::Completed.reached();
                self.records.end(&self.row, outcome).await?;
                FailPoint::RowCommitted.reached();
            }
            Action::DeleteSpool => delete(&self.spool).await,
        }
        Ok(())
    }

    /// Writes a note to the database, now or as soon as it can be written.
    pub(super) async fn note(&mut self, note: Note) {
        if let Err(NotWritten) = self.records.note(&self.row, note).await {
            self.rewriting.failed(Instant::now());
        }
    }

    /// Tries again to write what could not be written.
    pub(super) async fn write_again(&mut self) {
        while let State::Unwritten { .. } = self.state {
            if self.apply(Input::RetryWrite).await == Written::No {
                return;
            }
        }
        match self.records.write_notes(&self.row).await {
            Ok(()) => self.rewriting.succeeded(),
            Err(NotWritten) => self.rewriting.failed(Instant::now()),
        }
    }

    /// The final bytes never decrease: a successor resumes after them.
    fn offer(&self, end: u64) {
        self.extent.send_if_modified(|extent| match extent {
            Extent::Growing(known) if *known < end => {
                *known = end;
                true
            }
            Extent::Growing(_) | Extent::Whole => false,
        });
    }
}

pub async fn delete(file: &Path) {
    match tokio::fs::remove_file(file).await {
        Ok(()) => {}
        // The worker ended before it created the file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "what is not needed any more cannot be deleted");
        }
    }
}
