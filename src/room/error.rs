//! The errors between the recorder and LiveKit, in the server's own words where it gave any.

use std::io;
use std::path::PathBuf;

use livekit_signaling::SignalError;
use tokio_rustls::rustls;

#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    #[error("cannot use the certificates in {file}: {reason}")]
    CaFile { file: PathBuf, reason: String },
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("another file of certificates is in use in this process")]
    TrustIsSettled,
    #[error("cannot join the room at {url}")]
    Join { url: String, source: Box<SignalError> },
    #[error("no usable network address towards {host}")]
    NoAddress { host: String },
    #[error("cannot open a media socket on {address}")]
    Socket { address: std::net::IpAddr, source: io::Error },
    #[error("cannot set up the peer connection: {reason}")]
    Peer { reason: String },
}
