//! Finds out whether a recording that has lost its worker can have a successor, and where that begins.
//!
//! Starts nothing, and deletes nothing but an empty spool. Contract: it returns within the time that LiveKit
//! may be out of reach, plus the time that an earlier worker has to finish.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::recovery;
use crate::ids::RoomName;
use crate::livekit::Livekit;
use crate::media::Streams;
use crate::mp4::{self, SpoolPosition};
use crate::upload::read_up_to;

/// The first and the longest pause between two requests whether the room exists.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// What the search needs to know.
pub struct Question {
    pub livekit: Livekit,
    pub room: RoomName,
    pub spool: PathBuf,
    pub streams: Streams,
    pub frame_rate: u32,
    /// The zero of the timeline, if a worker has reported it.
    pub zero: Option<Timestamp>,
    /// How long LiveKit may be out of reach.
    pub give_up_after: Duration,
    pub predecessor: Predecessor,
}

/// The worker before.
#[derive(Debug, Clone, Copy)]
pub enum Predecessor {
    /// A worker of this service. It has exited.
    Gone,
    /// A worker of an earlier service. It has until `timeout` to finish. The recording is resumed only if its
    /// spool ended no longer than `oldest` ago.
    OfEarlierService { accepted_at: Timestamp, timeout: Duration, oldest: Duration },
}

/// Where the successor begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Beginning {
    /// At the start of a recording: no worker was in the room yet.
    Anew,
    /// At the end of the spool, which may still be empty.
    At { zero: Timestamp, position: SpoolPosition },
}

/// Why there is no successor.
#[derive(Debug, thiserror::Error)]
pub enum NoSuccessor {
    #[error("the room is gone")]
    RoomGone,
    #[error("LiveKit did not say within {0:?} whether the room lives")]
    LivekitAway(Duration),
    #[error("the worker before does not let go of the spool")]
    StillWritten,
    #[error("the recording ended {0:?} ago")]
    TooOld(Duration),
    #[error("nobody knows when the recording's timeline began")]
    NoZero,
    #[error("the spool is damaged")]
    Damaged(#[source] mp4::Mp4Error),
    #[error("cannot read the spool")]
    Spool(#[source] io::Error),
}

/// The state of the search.
pub enum SuccessorSearch {
    None,
    Asked(BoxFuture<'static, Result<Beginning, NoSuccessor>>),
    Answered(Beginning),
}

impl SuccessorSearch {
    pub fn ask(question: Question) -> Self {
        Self::Asked(Box::pin(question.answer()))
    }

    /// Waits for the result of the search; forever, if there is none. Nothing is lost when the future is
    /// dropped.
    pub async fn answer(&mut self) -> Result<Beginning, NoSuccessor> {
        match self {
            Self::Asked(answer) => answer.await,
            Self::None | Self::Answered(_) => std::future::pending().await,
        }
    }

    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::None)
    }
}

impl Question {
    async fn answer(self) -> Result<Beginning, NoSuccessor> {
        if let Predecessor::OfEarlierService { timeout, .. } = self.predecessor {
            let let_go = recovery::wait_for_writer(&self.spool, timeout).await;
            let_go.map_err(|_still_written| NoSuccessor::StillWritten)?;
        }
        let beginning = self.beginning().await?;
        self.is_recent(&beginning)?;
        self.room_lives().await?;
        Ok(beginning)
    }

    async fn beginning(&self) -> Result<Beginning, NoSuccessor> {
        let spool = self.spool.clone();
        let scanned = tokio::task::spawn_blocking(move || look(&spool)).await;
        let position = scanned.map_err(|aborted| NoSuccessor::Spool(io::Error::other(aborted)))??;
        match (position, self.zero) {
            (None, _) => Ok(Beginning::Anew),
            (Some(position), Some(zero)) => Ok(Beginning::At { zero, position }),
            (Some(position), None) if position.bytes > 0 => Err(NoSuccessor::NoZero),
            // The worker created the file and ended before it joined. The successor creates its own.
            (Some(_), None) => {
                tokio::fs::remove_file(&self.spool).await.map_err(NoSuccessor::Spool)?;
                Ok(Beginning::Anew)
            }
        }
    }

    fn is_recent(&self, beginning: &Beginning) -> Result<(), NoSuccessor> {
        let Predecessor::OfEarlierService { accepted_at, oldest, .. } = self.predecessor else {
            return Ok(());
        };
        let ended_at = match beginning {
            Beginning::Anew => accepted_at,
            Beginning::At { zero, position } => {
                end(*zero, position.whole_ticks(self.streams, self.frame_rate), self.frame_rate)
            }
        };
        // If the clock was set back, the recording seems younger than it is. That does no harm.
        let age = Duration::try_from(Timestamp::now().duration_since(ended_at)).unwrap_or_default();
        if age > oldest { Err(NoSuccessor::TooOld(age)) } else { Ok(()) }
    }

    async fn room_lives(&self) -> Result<(), NoSuccessor> {
        let begun = Instant::now();
        let (mut pause, longest) = PAUSES;
        loop {
            match self.livekit.room_exists(&self.room).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(NoSuccessor::RoomGone),
                Err(error) => tracing::warn!(%error, "LiveKit does not say whether the room lives"),
            }
            if begun.elapsed() + pause > self.give_up_after {
                return Err(NoSuccessor::LivekitAway(self.give_up_after));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Returns the time of the tick with this number.
fn end(zero: Timestamp, ticks: u64, frame_rate: u32) -> Timestamp {
    let millis = u128::from(ticks) * 1000 / u128::from(frame_rate.max(1));
    let lasted = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    zero.saturating_add(lasted).unwrap_or(Timestamp::MAX)
}

/// Returns where the spool ends; `None` if there is none.
fn look(path: &Path) -> Result<Option<SpoolPosition>, NoSuccessor> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NoSuccessor::Spool(error)),
    };
    let len = file.metadata().map_err(NoSuccessor::Spool)?.len();
    let scan = mp4::scan(len, |at, buffer| read_up_to(&file, at, buffer)).map_err(NoSuccessor::Spool)?;
    if let Some(fault) = scan.fault {
        return Err(NoSuccessor::Damaged(fault));
    }
    Ok(Some(scan.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_ends_where_its_last_tick_does() {
        let zero: Timestamp = "2024-04-21T10:00:00Z".parse().unwrap();
        assert_eq!(end(zero, 90, 30).to_string(), "2024-04-21T10:00:03Z");
        assert_eq!(end(zero, u64::MAX, 1), Timestamp::MAX);
    }

    #[test]
    fn in_a_spool_without_a_whole_beginning_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        assert_eq!(look(&path).unwrap(), None);
        std::fs::write(&path, b"\0\0\0\x18ftyp").unwrap();
        assert_eq!(look(&path).unwrap(), Some(SpoolPosition::default()));
    }

    #[test]
    fn a_spool_that_is_none_has_no_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        std::fs::write(&path, b"\0\0\0\x10mdat12345678").unwrap();
        assert!(matches!(look(&path), Err(NoSuccessor::Damaged(_))));
        assert!(path.exists());
    }
}
