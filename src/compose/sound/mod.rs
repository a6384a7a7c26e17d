//! The voices of a recording on its sample grid, added up to one stereo sound that stays within full scale.
//! Knows nothing of pictures, and no clock.

mod mixer;

mod voice;

mod resample;

mod drift;

mod limiter;

pub(super) use mixer::Mixer;
pub use voice::VoiceCounters;
