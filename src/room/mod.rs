//! One LiveKit room as a hidden participant hears and sees it: signalling, the subscriber's peer
//! connection, and every track's frames on the recording's timeline.
//!
//! Not here: decoding, layout, and what a recording is. The types of LiveKit's crates and of str0m do
//! not leave this folder.
//!
//! Contract: [`join`] answers once this participant is in the room, or says why not. From then on the
//! session tells by [`RoomEvent`] what happens, the last one being [`RoomEvent::Ended`].

mod absent;
mod access_unit;
mod arrivals;
mod bandwidth;
mod connection;
mod error;
mod framing;
#[cfg(fuzzing)]
pub mod fuzzing;
mod keyframes;
mod media_path;
mod observer;
mod peer;
mod pieces;
pub mod publisher;
mod received;
mod reconnect;
mod roster;
mod sdp;
mod session;
mod signalling;
mod sockets;
mod speakers;
mod subscription;
mod tcp;
mod tcp_candidates;
/// Open to the simulation in `tests`, which has no network.
pub mod timeline;
mod tls;
mod track;
mod websocket;

pub use error::RoomError;
pub use roster::PublishedTrack;
pub use session::{Joined, Session, join};
pub use tls::is_tls_fault;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::ids::{RoomName, TrackSid};
use crate::media::{Codec, EncodedFrame, MediaTime, Participant, Size, Speaker, Streams};

/// Where and as whom to join.
pub struct RoomOptions {
    /// `ws://` or `wss://`.
    pub url: String,
    pub api_key: String,
    pub api_secret: String,
    pub room: RoomName,
    /// The egress id: it tells apart the recorders of one room.
    pub identity: String,
    /// What can be decoded here. LiveKit is offered nothing else, so that it picks a publisher's backup
    /// codec where there is one.
    pub codecs: Vec<Codec>,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long the server may be out of reach before the room counts as lost.
    pub give_up_after: Duration,
    /// Tracks that go into none of these are not asked for.
    pub streams: Streams,
    /// Zero of the timeline; the moment of joining, if it is left out.
    pub epoch: Option<Instant>,
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
    /// Somebody who is not hidden is there.
    ParticipantJoined {
        participant: Participant,
        at: MediaTime,
    },
    /// His tracks were unpublished before.
    ParticipantLeft {
        identity: String,
        at: MediaTime,
    },
    /// How many participants there are, hidden ones left out.
    Participants(usize),
    /// Everybody who speaks now, the loudest first.
    Speakers {
        speakers: Vec<Speaker>,
        at: MediaTime,
    },
    /// The server is out of reach, no media comes. What was published is as it was until it is known better.
    Interrupted {
        at: MediaTime,
        reason: String,
    },
    /// Media comes again. Who and what has gone in the meantime is told as usual; but after a new session with the
    /// server only when there was time to come back, and a track that has a successor goes with its first picture.
    Restored {
        at: MediaTime,
    },
    /// Figures of a track since it was negotiated: every second while it changes, and at its end.
    Received {
        sid: TrackSid,
        figures: ReceiveFigures,
    },
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
    /// The track is not shown: the SFU need not send it.
    Hidden(TrackSid),
}

/// What the network did to a track, and what its clock needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveFigures {
    pub packets: u64,
    pub bytes: u64,
    /// Missing in the end: not repaired by a retransmission or by redundancy.
    pub packets_lost: u64,
    /// Retransmissions asked for.
    pub nacks: u64,
    /// Keyframes asked for.
    pub plis: u64,
    /// Frames that were complete but of no use before the next keyframe.
    pub frames_dropped: u64,
    /// How far the track was moved in all against its first placing: its clock's error as far as it was corrected.
    pub clock_correction_nanos: i64,
    /// How often it was moved at once and not little by little.
    pub clock_steps: u64,
}
