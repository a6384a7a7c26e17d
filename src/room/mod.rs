//! One LiveKit room as a hidden participant hears and sees it: signalling, the subscriber's peer
//! connection, and every track's frames on the recording's timeline.
//!
//! Not here: decoding, layout, and what a recording is. The types of LiveKit's crates and of str0m do
//! not leave this folder.
//!
//! Contract: [`join`] returns once this participant is in the room, or with the error. From then on the
//! session sends [`RoomEvent`]s; the last one is [`RoomEvent::Ended`].

mod session;

mod reconnect;

mod observer;

mod connection;

mod media_path;

mod subscription;

mod signalling;

mod transport;

mod people;

mod tracks;

mod error;

pub mod publisher;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use error::RoomError;
pub use people::PublishedTrack;
pub use session::{Joined, Session, join};
pub use signalling::is_tls_fault;
/// Open to the simulation in `tests`, which has no network.
pub use tracks::timeline;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::watch;

use crate::ids::TrackSid;
use crate::media::{Codec, EncodedFrame, MediaTime, Participant, Size, Speaker, Streams};

/// Where and as whom to join.
pub struct RoomOptions {
    /// `ws://` or `wss://`.
    pub url: String,
    /// The access token to join with, which says the room and the identity. Another may be sent at any time: it is
    /// for the next time that the room is joined.
    pub token: watch::Receiver<SecretString>,
    /// The codecs that can be decoded here. LiveKit is offered no others, so that it picks a publisher's
    /// backup codec if there is one.
    pub codecs: Vec<Codec>,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long the server may be out of reach before the room counts as lost.
    pub give_up_after: Duration,
    /// The recorder subscribes to no track that is in none of these.
    pub streams: Streams,
    /// Zero of the timeline. If it is left out, zero is the moment of joining.
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
    /// A participant who is not hidden is in the room.
    ParticipantJoined {
        participant: Participant,
        at: MediaTime,
    },
    /// The tracks of this participant were unpublished before.
    ParticipantLeft {
        identity: String,
        at: MediaTime,
    },
    /// How many participants there are, hidden ones left out.
    Participants(usize),
    /// Everybody who speaks now, loudest first.
    Speakers {
        speakers: Vec<Speaker>,
        at: MediaTime,
    },
    /// The server is out of reach, and no media comes. Participants and tracks stay as they were until the
    /// server says otherwise.
    Interrupted {
        at: MediaTime,
        reason: String,
    },
    /// Media comes again. Participants and tracks that have gone in the meantime follow as usual events.
    /// After a rejoin these events come only when everybody had time to come back, and a track that has a
    /// successor is unpublished when the successor has its first picture.
    Restored {
        at: MediaTime,
    },
    /// Figures of a track since it was negotiated: sent every second while they change, and at the track's
    /// end.
    Received {
        sid: TrackSid,
        figures: ReceiveFigures,
    },
    /// The last event.
    Ended(RoomEnd),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEnd {
    /// The recorder left.
    Left,
    /// The room was closed or deleted.
    Closed,
    /// The connection to the server is lost; the sentence says how.
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

/// What the network did to a track, and how its clock was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveFigures {
    pub packets: u64,
    pub bytes: u64,
    /// Packets that neither a retransmission nor redundancy repaired.
    pub packets_lost: u64,
    /// Retransmissions that the recorder asked for.
    pub nacks: u64,
    /// Keyframes that the recorder asked for.
    pub plis: u64,
    /// Complete frames that could not be decoded, as they came between a loss and the next keyframe.
    pub frames_dropped: u64,
    /// How far the track was moved in all from its first place on the timeline: its clock's error, as far as
    /// it was corrected.
    pub clock_correction_nanos: i64,
    /// How often the track was moved at once instead of little by little.
    pub clock_steps: u64,
}
