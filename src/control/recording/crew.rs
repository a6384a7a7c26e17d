//! The worker that a recording has at the moment, if it has one, and the place that it works in.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::control::failure::Exit;
use crate::control::process::{Output, WorkerProcess};
use crate::control::vigil::{Patience, Vigil};
use crate::control::workforce::Place;
use crate::media::View;

pub enum Crew {
    /// Nobody works here any more.
    Dismissed,
    /// One is to come.
    Waiting {
        place: Place,
    },
    /// One was to come and could not be started.
    Stillborn {
        place: Place,
    },
    Working {
        process: Box<WorkerProcess>,
        vigil: Vigil,
        place: Place,
    },
}

impl Crew {
    /// The next thing that the worker says or does.
    pub async fn next(&mut self) -> Output {
        match self {
            Self::Working { process, .. } => process.next().await,
            Self::Stillborn { .. } => Output::Exited(Exit::Unknown),
            Self::Waiting { .. } | Self::Dismissed => std::future::pending().await,
        }
    }

    /// A worker takes the place that is waiting; `None`: there was to be one. Where none is waiting it is dropped,
    /// and so killed.
    pub fn begin(self, process: Option<WorkerProcess>, patience: Patience) -> Self {
        match (self, process) {
            (Self::Waiting { place }, Some(process)) => {
                place.is_worked_by(process.pid());
                let vigil = Vigil::begin(patience, Instant::now());
                Self::Working { process: Box::new(process), vigil, place }
            }
            (Self::Waiting { place }, None) => Self::Stillborn { place },
            (other, _) => other,
        }
    }

    /// The worker has gone; the place waits for another.
    pub fn gone(self) -> Self {
        match self {
            Self::Working { place, .. } | Self::Stillborn { place } | Self::Waiting { place } => {
                place.is_worked_by(None);
                Self::Waiting { place }
            }
            Self::Dismissed => Self::Dismissed,
        }
    }

    pub fn vigil(&mut self) -> Option<&mut Vigil> {
        match self {
            Self::Working { vigil, .. } => Some(vigil),
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => None,
        }
    }

    pub async fn change_view(&mut self, view: View) {
        match self {
            Self::Working { process, .. } => process.change_view(view).await,
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => {}
        }
    }

    /// Asks for a picture in this file.
    pub async fn preview(&mut self, file: PathBuf) {
        match self {
            Self::Working { process, .. } => process.preview(file).await,
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => {}
        }
    }

    pub async fn stop(&mut self) {
        match self {
            Self::Working { process, .. } => process.stop().await,
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => {}
        }
    }

    pub fn kill(&mut self) {
        match self {
            Self::Working { process, .. } => process.kill(),
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => {}
        }
    }

    /// Sees the worker off that has said its last word.
    pub async fn close(self, patience: Duration) {
        match self {
            Self::Working { process, .. } => process.close(patience).await,
            Self::Stillborn { .. } | Self::Waiting { .. } | Self::Dismissed => {}
        }
    }
}
