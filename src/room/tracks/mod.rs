//! The media of the room's tracks after the network: whole frames, held back until a decoder can use them,
//! and placed on the recording's timeline. Pure: arrival times and sender reports are arguments.
//!
//! Not here: the list of tracks (`people`), and the packets (`transport`).

mod access_unit;
mod keyframes;
mod pieces;
mod received;
pub mod timeline;
mod track;

#[cfg(fuzzing)]
pub use access_unit::can_start_decoder;
pub use keyframes::GateDecision;
#[cfg(fuzzing)]
pub use keyframes::KeyframeGate;
pub use pieces::Pieces;
pub use received::{IngressCounts, ReceivedFrame, received};
pub use track::Track;
