//! MP4 (ISO/IEC 14496-12), pure: fragments while recording, an ordinary head at the end.
//!
//! The worker's [`FragmentWriter`] turns samples into a fragmented file, the spool. The service's
//! [`SpoolReader`] reads that file while it grows and collects an [`Index`], of which [`Index::head`] makes
//! the beginning of a regular, faststart MP4: the object is that head and all the media ranges after it.
//! Media bytes are never touched. No I/O here.
//!
//! Contract: a spool cut off anywhere is as good as one that ended after its last whole fragment.

mod error;
mod fragment;
mod head;
mod index;
mod spool;
mod tracks;

#[cfg(test)]
mod tests;

pub use error::Mp4Error;
pub use fragment::FragmentWriter;
pub use index::Index;
pub use spool::{MediaRange, SpoolReader};

use crate::media::{Size, StreamSetup};

/// What the file's header must say.
#[derive(Clone, Debug)]
pub struct MovieConfig {
    pub size: Size,
    /// Pictures per second, constant.
    pub frame_rate: u32,
    pub setup: StreamSetup,
}
