//! What can go wrong between the recorder and LiveKit, with the peer's own words where it gave any.

use std::io;

use livekit_signaling::SignalError;

#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    #[error("cannot make an access token for LiveKit")]
    Token(#[source] livekit_token::AccessTokenError),
    #[error("cannot join the room at {url}")]
    Join { url: String, source: Box<SignalError> },
    #[error("no usable network address towards {host}")]
    NoAddress { host: String },
    #[error("cannot open a media socket on {address}")]
    Socket { address: std::net::IpAddr, source: io::Error },
    #[error("cannot set up the peer connection: {reason}")]
    Peer { reason: String },
}
