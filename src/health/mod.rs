//! The status of everything that every recording needs: LiveKit, the encoders, the disk, the store.
//!
//! Does not act on it: `control` refuses starts, and the doors show it. Contract: a reason may be shown to
//! strangers; it holds no address, no path and no secret.

mod status;

mod probe;

mod readiness;

pub use probe::{EncoderProbe, LivekitProbe, TRIAL_COMMAND};
pub use readiness::{Admission, Readiness};
pub use status::{SharedStatus, Status};
