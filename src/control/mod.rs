//! Starts, watches and ends recordings: the one place that joins workers, uploads, the database and webhooks.
//!
//! Does not know HTTP, media or SQL, nor how a file is uploaded (`upload`), whether there is room (`admission`) or what
//! the machine lacks (`health`). Contract: persist, then act, then tell. Each phase of a recording is in the database
//! before it is acted upon, and a recording ends once.

mod error;

mod failure;

mod state;

mod watchdog;

mod process;

mod running;

mod updates;

mod shared;

mod recovery;

mod successor;

mod recording;

mod overview;

mod shutdown;

mod identity;

mod handle;

mod catalogue;

mod recorder;

mod supervisor;

pub use catalogue::{FileUrl, ListedRecording, Listing, RecordingState};
pub use error::ControlError;
pub use handle::{ActiveRecording, Handle, StartStatus, Started};
pub use identity::Identity;
pub use overview::Overview;
pub use process::WorkerProgram;
pub use recorder::{CallFuture, Recorder};
pub use running::{ProcessCost, Running, RunningRecording, Vitals};
pub use shared::{Limits, Shared};
pub use shutdown::Shutdown;
pub use supervisor::Supervisor;
pub use watchdog::WorkerTimeouts;

pub use crate::storage::{Reading, UrlTerms};
