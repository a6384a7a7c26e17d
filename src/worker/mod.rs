//! One recording, in a process of its own: joins room, decoders, composer, encoders, MP4 fragments and
//! the spool file in one event loop.
//!
//! Not here: what becomes of the file. The service reads the spool, uploads and finishes it.
//!
//! Contract: [`run`] writes one [`messages::Event::Ended`] as its last line, whatever happens, and ends
//! its file properly when it is told to stop, when the room ends, and when the service is gone. Only a
//! crash leaves the spool without its last fragment.

mod error;
mod feed;
mod file;
mod idle;
mod layers;
mod limits;
pub mod messages;
mod pace;
mod predecessor;
mod quality;
mod recording;
mod spool;
mod stdio;

pub use error::WorkerError;
pub use stdio::{ProtocolError, run};
