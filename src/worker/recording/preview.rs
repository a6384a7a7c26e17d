//! Pictures of the recording for those who watch it: made beside its loop, one at a time.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;

use super::Recording;
use crate::encode;
use crate::media::Size;
use crate::worker::error::report;
use crate::worker::messages::PreviewOutcome;

/// The picture that is being made, if one is.
#[derive(Default)]
pub struct Previews(JoinSet<PreviewOutcome>);

impl Recording {
    /// Of the frame that was made last.
    pub(super) fn preview(&mut self, file: PathBuf) {
        if !self.previews.0.is_empty() {
            // The answer to the first request is that to this one.
            return tracing::warn!("a preview is asked for while one is being made");
        }
        if self.pace.made() == 0 {
            self.previews.0.spawn(async { PreviewOutcome::NoFrame });
            return;
        }
        let (width, height) = (self.spec.options.width, self.spec.options.height);
        let canvas = self.composer.canvas().to_vec();
        self.previews.0.spawn_blocking(move || write(&canvas, Size { width, height }, &file));
    }
}

impl Previews {
    /// What became of the picture; none is being made if there is no answer.
    pub(super) async fn next(&mut self) -> Option<PreviewOutcome> {
        let failed = |error: tokio::task::JoinError| PreviewOutcome::Failed { reason: error.to_string() };
        Some(self.0.join_next().await?.unwrap_or_else(failed))
    }
}

fn write(canvas: &[u8], size: Size, file: &Path) -> PreviewOutcome {
    let written = match encode::jpeg(canvas, size) {
        Ok(jpeg) => fs::write(file, jpeg).map_err(|error| error.to_string()),
        Err(error) => Err(report(&error)),
    };
    written.map_or_else(|reason| PreviewOutcome::Failed { reason }, |()| PreviewOutcome::Written)
}
