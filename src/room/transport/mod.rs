//! The subscriber's peer connection: str0m, its sockets, and the estimate of the bandwidth.
//!
//! Not here: signalling, when to look for another path, and what a frame means to its track.

mod arrivals;
mod bandwidth;
mod framing;
mod peer;
mod sdp;
mod sockets;
mod tcp;
mod tcp_candidates;

#[cfg(fuzzing)]
pub use framing::{has_datagram, next_datagram, put_datagram};
pub use peer::{Answered, Peer, PeerEvent};
#[cfg(fuzzing)]
pub use sdp::{MediaSection, as_sent_to_a_subscriber, candidates, ice_ufrag, is_recycled, media_sections};
pub use sockets::{Path, Ready, Received, Sockets};
