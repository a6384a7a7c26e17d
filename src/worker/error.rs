//! What ends a recording early. Nothing here is handled further: it becomes the sentence in the
//! worker's last event.

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use super::messages::EndReason;
use super::spool::SpoolError;
use crate::compose::ComposeError;
use crate::encode::EncodeError;
use crate::mp4::Mp4Error;
use crate::room::RoomError;

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Room(#[from] RoomError),
    #[error("cannot compose")]
    Compose(#[from] ComposeError),
    #[error("cannot encode")]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("cannot read the spool file {path}")]
    ReadSpool { path: PathBuf, source: io::Error },
    #[error("the spool is damaged")]
    DamagedSpool(#[from] Mp4Error),
    #[error("the encoders set up their streams in another way than those in the spool")]
    OtherSetup,
    #[error("the spool has {audio_frames} AAC frames beside {ticks} pictures: they do not belong together")]
    OutOfStep { ticks: u64, audio_frames: u64 },
    #[error("the recording is said to have begun at {zero_unix_ms} ms, which no clock here can reach")]
    Zero { zero_unix_ms: i64 },
    #[error("the encoder did not finish in time")]
    EncoderStuck,
    #[error("the encoder gave out a sample before its stream's setup")]
    SampleBeforeSetup,
    #[error("the encoder gave out a second setup of its streams")]
    SecondSetup,
}

impl WorkerError {
    /// What the service is to make of it.
    pub fn reason(&self) -> EndReason {
        match self {
            Self::Spool(error) if error.is_disk_full() => EndReason::DiskFull,
            Self::Encode(_) | Self::EncoderStuck | Self::SampleBeforeSetup | Self::SecondSetup => {
                EndReason::EncodersFailed
            }
            Self::Room(_)
            | Self::Compose(_)
            | Self::Spool(_)
            | Self::ReadSpool { .. }
            | Self::DamagedSpool(_)
            | Self::OtherSetup
            | Self::OutOfStep { .. }
            | Self::Zero { .. } => EndReason::Failed,
        }
    }
}

/// An error and its causes in one sentence.
pub fn report(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = write!(sentence, ": {source}");
        cause = source.source();
    }
    sentence
}
