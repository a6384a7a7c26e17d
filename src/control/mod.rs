//! Starts, watches, finishes and stores recordings: the one place that joins workers, spool, store
//! and storage.
//!
//! Does not know HTTP, media or SQL. Contract: persist, then act, then tell. Each phase of a
//! recording is in the database before it is acted upon, and a recording ends once.

mod capacity;
mod catalogue;
mod error;
mod failure;
mod handle;
mod key;
mod livekit;
mod lookout;
mod machine;
mod media_map;
mod meter;
mod monitor;
mod news;
mod overview;
mod process;
mod readiness;
mod recording;
mod recovery;
mod retry;
mod running;
mod shared;
mod shutdown;
mod space;
mod spool;
mod standing;
mod state;
mod succession;
mod supervisor;
mod transfer;
mod upload;
mod upload_status;
mod vigil;
mod workforce;

pub use capacity::{Load, Pool, Shortage};
pub use catalogue::{FileUrl, ListedRecording, Listing, RecordingState};
pub use error::ControlError;
pub use handle::{ActiveRecording, Handle, StartStatus, Started};
pub use livekit::{Answered, Livekit, LivekitError};
pub use lookout::{EncoderLookout, LivekitLookout, TRIAL_COMMAND};
pub use machine::{free_bytes, sample};
pub use meter::{Meter, Sample};
pub use monitor::{Monitor, Outlook};
pub use overview::Overview;
pub use process::WorkerProgram;
pub use readiness::{Places, Readiness};
pub use retry::RetryPolicy;
pub use running::{ProcessCost, Running, RunningRecording, Vitals};
pub use shared::{Limits, LivekitAccess, Shared};
pub use shutdown::Shutdown;
pub use space::Space;
pub use standing::{Known, Standing};
pub use supervisor::Supervisor;
pub use transfer::{Fallback, PART_RETRIES, Stores};
pub use upload_status::{Trouble, UploadStatus, Uploads};
pub use vigil::Patience;
pub use workforce::Workforce;

pub use crate::storage::{Reading, UrlTerms};
