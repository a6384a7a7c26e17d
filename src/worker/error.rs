//! What ends a recording early. Nothing here is handled further: it becomes the sentence in the
//! worker's last event.

use std::error::Error;
use std::fmt::Write;

use super::spool::SpoolError;
use crate::compose::ComposeError;
use crate::encode::EncodeError;
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
    #[error("going on with a spool is not possible yet")]
    CannotResume,
    #[error("the encoder did not finish in time")]
    EncoderStuck,
    #[error("the encoder gave out a sample before its stream's setup")]
    SampleBeforeSetup,
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
