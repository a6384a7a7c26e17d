//! Why there is no complete recording, for whoever ran the command.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigErrors;
use crate::control::ControlError;
use crate::ids::RoomName;
use crate::livekit::LivekitError;
use crate::storage::StorageError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("--width times --height must be at most {max} pixels (3840 x 2160)")]
    TooLarge { max: u32 },
    #[error("--watermark: EGRESSD_WATERMARK_FILE is not set, which says what picture to show")]
    NoWatermark,
    #[error("--out: {file} is no name of a file")]
    NoFile { file: PathBuf },
    #[error("--out: cannot use the folder {folder}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{file} exists already; --force replaces it")]
    Exists { file: PathBuf },
    #[error(
        "an earlier recording to {file} was not finished: --resume goes on with it if its room is still there, --finish \
         makes a file of what there is; or remove {folder}"
    )]
    Unfinished { file: PathBuf, folder: PathBuf },
    #[error("nothing was left of a recording to {file}: there is no {folder}")]
    NothingLeft { file: PathBuf, folder: PathBuf },
    #[error("another egressd records to {file}")]
    Busy { file: PathBuf },
    #[error("cannot make {folder}")]
    Workplace { folder: PathBuf, source: io::Error },
    #[error("cannot take signals")]
    Signals(#[source] io::Error),
    #[error("LiveKit has no room {room}")]
    NoRoom { room: RoomName },
    #[error("cannot ask LiveKit")]
    Livekit(#[source] LivekitError),
    #[error("cannot find this program's own file")]
    Program(#[source] io::Error),
    #[error("cannot keep a database beside the file")]
    Store(#[from] StoreError),
    #[error("cannot write beside the file")]
    Storage(#[from] StorageError),
    #[error("cannot record")]
    Control(#[source] ControlError),
    #[error("the recording is whole, but cannot be put under its name; it is {file}")]
    Publish { file: PathBuf, source: io::Error },
    /// What could be saved is under its name.
    #[error("{error}")]
    Failed { error: String },
    #[error("{error} It is in {folder}; --finish tries again")]
    Kept { error: String, folder: PathBuf },
    #[error("ended before the file was finished; the same command with --finish instead of --room makes it")]
    Abandoned,
}

impl RecordError {
    /// Whether running it again, with `--finish`, gives a file.
    pub fn leaves_work(&self) -> bool {
        matches!(self, Self::Abandoned | Self::Kept { .. })
    }
}

impl From<ControlError> for RecordError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Livekit(error) => Self::Livekit(error),
            ControlError::NoWatermark(_) => Self::NoWatermark,
            other => Self::Control(other),
        }
    }
}
