//! Starts, watches and ends recordings. Joins workers, uploads, the database and webhooks.
//!
//! Knows no HTTP, no media and no SQL. Does not upload (`upload`), does not decide whether there is room
//! (`admission`), and does not probe (`health`). Contract: persist, then act, then tell. Each phase of a
//! recording is in the database before anything acts on it, and a recording ends once.

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
