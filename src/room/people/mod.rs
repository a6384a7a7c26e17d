//! The participants in the room, what they publish and who of them speaks, from LiveKit's updates. Pure: an
//! update in, the changes out.
//!
//! Not here: the media of the published tracks (`tracks`).

mod absent;
mod published;
mod roster;
mod speakers;

pub use published::PublishedTrack;
pub use roster::{Change, Roster};
pub use speakers::Speakers;
