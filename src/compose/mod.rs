//! Composes the participants' pictures and voices into one canvas and one stereo sound, tick by tick.
//!
//! Owns who is seen and where, how a picture is fitted and scaled into its cell, when a track is in the
//! frame, and how voices are placed on the sample grid and added up. Owns no clock, no thread, no socket and
//! no codec: every time is an argument, and the caller passes in all media. Only two things are read from
//! disk: the watermark at the start, and fonts with the first text.
//!
//! Contract: the caller announces tracks, passes in pictures and sound with their capture times, and calls
//! [`Composer::tick`] whenever it decides that the next tick is due. Each call makes exactly one tick,
//! whatever has or has not arrived by then. Ticks are never skipped and never repeated.

mod composer;

mod room_state;

mod scene;

mod active_speaker;

mod plan;

mod layout;

mod video;

mod figures;

mod rotate;

mod fit;

mod filter;

mod scale;

mod canvas;

mod looks;

mod frame;

mod hold;

mod tile;

mod decor;

mod sound;

#[cfg(test)]
mod fakes;

#[cfg(test)]
mod tests;

pub use composer::{ComposeError, ComposeOptions, Composer, Tick, VideoTrack};
pub use decor::{WatermarkFault, installed_fonts};
pub use figures::{Freeze, VideoCounters, VideoFigures};
pub use sound::VoiceCounters;
