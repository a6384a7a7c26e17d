//! One LiveKit room as a hidden participant hears and sees it: signalling, the subscriber's peer
//! connection, and every track's frames on the recording's timeline.
//!
//! Not here: decoding, layout, and what a recording is. The types of LiveKit's crates and of str0m do
//! not leave this folder.
//!
//! Contract: [`join`] answers once this participant is in the room, or says why not. From then on the
//! session tells by [`RoomEvent`] what happens, the last one being [`RoomEvent::Ended`].

mod error;
mod keyframes;
mod peer;
pub mod publisher;
mod roster;
mod sdp;
mod session;
mod signalling;
mod sockets;
mod timeline;

pub use error::RoomError;
pub use roster::PublishedTrack;
pub use session::{Joined, Session, join};

use crate::ids::{RoomName, TrackSid};
use crate::media::{EncodedFrame, MediaTime, Size};

/// Where and as whom to join.
pub struct RoomOptions {
    /// `ws://` or `wss://`.
    pub url: String,
    pub api_key: String,
    pub api_secret: String,
    pub room: RoomName,
    /// The egress id: it tells apart the recorders of one room.
    pub identity: String,
}

#[derive(Debug)]
pub enum RoomEvent {
    /// The media path is up.
    Connected,
    Published(PublishedTrack),
    Muted {
        sid: TrackSid,
        muted: bool,
        at: MediaTime,
    },
    Unpublished {
        sid: TrackSid,
        at: MediaTime,
    },
    /// A frame that its decoder can use: after a loss, video resumes with a keyframe.
    Frame {
        sid: TrackSid,
        frame: EncodedFrame,
    },
    /// How many participants there are, hidden ones left out.
    Participants(usize),
    /// Nothing follows.
    Ended(RoomEnd),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEnd {
    /// We left.
    Left,
    /// The room was closed or deleted.
    Closed,
    /// The server, or the way to it, is gone; the sentence says how.
    Lost(String),
}

#[derive(Debug)]
pub enum RoomCommand {
    RequestKeyframe(TrackSid),
    /// The track is shown at this size: the SFU may send the smallest layer that fills it.
    ShownAt {
        sid: TrackSid,
        size: Size,
    },
}
