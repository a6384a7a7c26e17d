//! What a running recording shows of itself: the worker puts a picture into a file beside the spool, from where it is
//! handed to whoever asked.

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
            // Another worker is on its way.
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

    /// The worker that was asked has gone.
    pub(super) fn not_shown(&mut self) {
        self.previews.answered(Err(NoPreview::Failed), Instant::now());
    }
}

/// Where a preview is for a moment. A worker that dies over it leaves it there.
pub fn preview_file(spool: &Path) -> PathBuf {
    spool.with_extension("jpg")
}

/// Some hundred kilobytes that were written just now.
async fn take(file: &Path) -> io::Result<Vec<u8>> {
    let bytes = tokio::fs::read(file).await?;
    tokio::fs::remove_file(file).await?;
    Ok(bytes)
}
