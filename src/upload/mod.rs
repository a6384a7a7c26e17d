//! Uploads a recording from its spool to a store, while the spool grows and whatever the store does.
//!
//! Owns neither the recording's phases (`control`) nor the store's protocol (`storage`) nor the container
//! (`mp4`). Contract: no byte is uploaded twice, an object is never overwritten, and an upload is complete
//! only when the object's size was read back.

mod status;

mod retry;

mod key;

mod media_map;

mod spool;

mod plan;

mod error;

mod ledger;

mod transfer;

mod release;

mod backoff;

mod engine;

mod uploader;

mod orphans;

pub use error::{Left, UploadError};
pub use key::{nth_choice, wanted};
pub use orphans::Orphans;
pub use retry::RetryPolicy;
pub use spool::{Condition, Extent, read_up_to};
pub use status::{Trouble, UploadStatus, Uploads};
pub use transfer::{Fallback, PART_RETRIES, Stores};
pub use uploader::{UploadOptions, Uploaded, Uploader};
