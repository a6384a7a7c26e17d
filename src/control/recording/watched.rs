//! Makes previews: the worker writes one to a file beside the spool, and it is read from there.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Recording;
use super::previews::{Next, NoPreview, Preview, give};
use crate::control::state::{Reached, State};
use crate::worker::messages::PreviewOutcome;

impl Recording {
    pub(super) async fn show(&mut self, asking: oneshot::Sender<Preview>) {
        match self.state {
            State::Active { .. } => {}
            State::Starting { reached: Reached::Nothing, .. } => {
                return give(asking, Err(NoPreview::NoFrame));
            }
            // A successor is about to start.
            State::Starting { reached: Reached::Room, .. }
            | State::Frozen { .. }
            | State::Restarting { .. } => return give(asking, Err(NoPreview::Failed)),
            State::Stopping { .. }
            | State::Killing { .. }
            | State::Uploading { .. }
            | State::Unwritten { .. }
            | State::Ended { .. } => {
                return give(asking, Err(NoPreview::NotActive));
            }
        }
        match self.previews.ask(asking, Instant::now()) {
            Next::AskWorker => self.worker.preview(preview_file(&self.spool)).await,
            Next::Nothing => {}
        }
    }

    pub(super) async fn shown(&mut self, outcome: PreviewOutcome) {
        let preview = match outcome {
            PreviewOutcome::Written => {
                take(&preview_file(&self.spool)).await.map(Into::into).map_err(|error| {
                    tracing::warn!(%error, "a preview cannot be read");
                    NoPreview::Failed
                })
            }
            PreviewOutcome::NoFrame => Err(NoPreview::NoFrame),
            PreviewOutcome::Failed { reason } => {
                tracing::warn!(reason, "a preview cannot be made");
                Err(NoPreview::Failed)
            }
        };
        self.previews.answered(preview, Instant::now());
    }

    /// Called when the worker has exited: there will be no preview.
    pub(super) fn not_shown(&mut self) {
        self.previews.answered(Err(NoPreview::Failed), Instant::now());
    }
}

/// Returns the file of a preview, which exists only for a moment. If the worker dies then, the file stays.
pub fn preview_file(spool: &Path) -> PathBuf {
    spool.with_extension("jpg")
}

/// Reads the file of a preview and deletes it. It has some hundred kilobytes and was written just now.
async fn take(file: &Path) -> io::Result<Vec<u8>> {
    let bytes = tokio::fs::read(file).await?;
    tokio::fs::remove_file(file).await?;
    Ok(bytes)
}
