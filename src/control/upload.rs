//! The upload of one recording, from its first final byte to the object in the store.
//!
//! Owns when what is uploaded and what happens after a fault. Does not own the spool's deletion nor
//! the recording's end. Contract: the future never blocks the recording, holds one part in memory, and
//! is done only when the object's size was read back from the store (or nothing was recorded).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::retry::{Remedy, RetryPolicy, Stage};
use super::space::Space;
use super::spool::{Condition, Extent, MediaSource, Spool, WholeSpool};
use super::transfer::Transfer;
use super::upload_status::{StatusTeller, UploadStatus};
use crate::mp4::{Index, Mp4Error};
use crate::storage::parts::{FinalParts, PartPlanner};
use crate::storage::{InvalidKey, Storage, StorageError};
use crate::store::SavedFile;

#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the recording's key is none")]
    Key(#[from] InvalidKey),
    #[error("cannot read the spool")]
    Spool(#[source] io::Error),
    #[error("the spool has no usable beginning")]
    Index(#[source] Mp4Error),
    #[error("the spool's index is of {indexed} bytes of media, its fragments hold {found}")]
    Inconsistent { indexed: u64, found: u64 },
    #[error("the store holds {found:?} bytes of {expected}")]
    WrongSize { expected: u64, found: Option<u64> },
    #[error("nobody waits for the upload any more")]
    Abandoned,
}

impl UploadError {
    /// Whether the same call may succeed later without anybody's hand.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_transient(),
            Self::Spool(_) => true,
            Self::Key(_)
            | Self::Index(_)
            | Self::Inconsistent { .. }
            | Self::WrongSize { .. }
            | Self::Abandoned => false,
        }
    }
}

/// What an upload is made of.
pub struct UploadOptions {
    pub storage: Arc<dyn Storage>,
    /// The key that was reserved for the recording.
    pub key: String,
    pub spool: PathBuf,
    /// How much of the spool may be read; its last value is [`Extent::Whole`].
    pub extent: watch::Receiver<Extent>,
    pub retry: RetryPolicy,
    /// What the disk with the spool allows.
    #[expect(dead_code, reason = "nothing is released from a spool yet")]
    pub space: watch::Receiver<Space>,
    pub status: StatusTeller,
}

/// What became of a spool that was uploaded as far as it could be read.
#[derive(Debug, PartialEq)]
pub struct Uploaded {
    /// `None`: there was no media in it.
    pub saved: Option<SavedFile>,
    pub condition: Condition,
}

impl Uploaded {
    const NOTHING: Self = Self { saved: None, condition: Condition::Sound };
}

pub struct Uploader {
    spool: Spool,
    planner: PartPlanner,
    transfer: Transfer,
    extent: watch::Receiver<Extent>,
    patience: Patience,
    status: StatusTeller,
}

/// Counts faults in a row.
struct Patience {
    policy: RetryPolicy,
    faults: u32,
}

impl Uploader {
    pub fn new(options: UploadOptions) -> Self {
        Self {
            spool: Spool::new(options.spool),
            planner: PartPlanner::new(),
            transfer: Transfer::new(options.storage, options.key),
            extent: options.extent,
            patience: Patience { policy: options.retry, faults: 0 },
            status: options.status,
        }
    }

    pub async fn run(mut self) -> Result<Uploaded, UploadError> {
        while let Extent::Growing(end) = self.available() {
            match self.follow(end).await {
                Ok(()) => {
                    self.patience.faults = 0;
                    self.news().await?;
                }
                Err(error) => self.wait_after(error).await?,
            }
        }
        self.patience.faults = 0;
        self.read_to_the_end().await?;
        self.finish().await
    }

    fn available(&mut self) -> Extent {
        *self.extent.borrow_and_update()
    }

    /// Uploads what became final up to `end`.
    async fn follow(&mut self, end: u64) -> Result<(), UploadError> {
        loop {
            self.transfer.put_parts(self.spool.media()).await?;
            if !self.parse_next(Extent::Growing(end)).await? {
                return Ok(());
            }
        }
    }

    /// Without uploading: a recording that was stored just before a crash must be recognised as such
    /// by its size, before a part of it is sent again.
    async fn read_to_the_end(&mut self) -> Result<(), UploadError> {
        loop {
            match self.parse_next(Extent::Whole).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    let remedy = self.patience.after(&error, Stage::Finishing);
                    pause_or_give_up(remedy, error).await?;
                }
            }
        }
    }

    async fn parse_next(&mut self, extent: Extent) -> Result<bool, UploadError> {
        let parsed = self.spool.parse_next(extent).await;
        let Some(grown) = parsed.map_err(UploadError::Spool)? else {
            return Ok(false);
        };
        self.transfer.plan(self.planner.add(grown));
        let waiting_bytes = self.spool.media().len();
        self.status.tell(UploadStatus { waiting_bytes, ..UploadStatus::default() });
        Ok(true)
    }

    async fn news(&mut self) -> Result<(), UploadError> {
        let changed = self.extent.changed().await;
        changed.map_err(|_closed| UploadError::Abandoned)
    }

    /// Waits after a fault, at most until the recording ends: then it is worth another try.
    async fn wait_after(&mut self, error: UploadError) -> Result<(), UploadError> {
        let pause = match self.patience.after(&error, Stage::Recording) {
            Remedy::NextKey => {
                self.transfer.next_key().await;
                return Ok(());
            }
            Remedy::BeginAnew(pause) => {
                self.transfer.begin_anew();
                pause
            }
            Remedy::TryAgain(pause) => pause,
            Remedy::GiveUp => return Err(error),
        };
        let whole = self.extent.wait_for(|extent| *extent == Extent::Whole);
        match tokio::time::timeout(pause, whole).await {
            Ok(Err(_closed)) => Err(UploadError::Abandoned),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    async fn finish(self) -> Result<Uploaded, UploadError> {
        let nothing = self.spool.media().len() == 0;
        let WholeSpool { index, condition, media } = match self.spool.finish() {
            Ok(whole) => whole,
            // The worker did not even come to describe its streams.
            Err(_) if nothing => return Ok(Uploaded::NOTHING),
            Err(error) => return Err(UploadError::Index(error)),
        };
        if index.is_empty() {
            return Ok(Uploaded { saved: None, condition });
        }
        let (indexed, found) = (index.media_len(), media.len());
        if indexed != found {
            return Err(UploadError::Inconsistent { indexed, found });
        }
        let mut finisher = Finisher {
            head: index.head(),
            rest: self.planner.finish(),
            transfer: self.transfer,
            patience: self.patience,
        };
        let size = finisher.head.len() as u64 + index.media_len();
        finisher.store(size, &media).await?;
        let saved = Some(SavedFile {
            key: finisher.transfer.key()?.to_string(),
            duration_s: rounded_seconds(&index),
            size,
        });
        Ok(Uploaded { saved, condition })
    }
}

/// The last stretch: all media is known, the object is to appear.
struct Finisher {
    head: Vec<u8>,
    rest: FinalParts,
    transfer: Transfer,
    patience: Patience,
}

impl Finisher {
    async fn store(&mut self, size: u64, media: &MediaSource) -> Result<(), UploadError> {
        loop {
            let Err(error) = self.attempt(size, media).await else {
                return Ok(());
            };
            match self.patience.after(&error, Stage::Finishing) {
                Remedy::NextKey => self.transfer.next_key().await,
                Remedy::BeginAnew(pause) => {
                    self.transfer.begin_anew();
                    tokio::time::sleep(pause).await;
                }
                Remedy::TryAgain(pause) => tokio::time::sleep(pause).await,
                Remedy::GiveUp => {
                    self.transfer.abort().await;
                    return Err(error);
                }
            }
        }
    }

    async fn attempt(&mut self, expected: u64, media: &MediaSource) -> Result<(), UploadError> {
        match self.transfer.complete(&self.head, &self.rest, media).await {
            Ok(()) => match self.transfer.size().await? {
                Some(size) if size == expected => Ok(()),
                found => Err(UploadError::WrongSize { expected, found }),
            },
            Err(error) if self.is_ours(&error, expected).await? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the object that stands in the way is this very recording: the answer to an earlier
    /// attempt was lost, or the service was killed before it could note the end. The key is reserved
    /// for this recording by the database, so an object of exactly its size is taken for it.
    async fn is_ours(&mut self, error: &UploadError, expected: u64) -> Result<bool, UploadError> {
        match error {
            UploadError::Storage(StorageError::AlreadyExists { .. } | StorageError::UnknownUpload { .. }) => {
                Ok(self.transfer.size().await? == Some(expected))
            }
            UploadError::Storage(_)
            | UploadError::Key(_)
            | UploadError::Spool(_)
            | UploadError::Index(_)
            | UploadError::Inconsistent { .. }
            | UploadError::WrongSize { .. }
            | UploadError::Abandoned => Ok(false),
        }
    }
}

impl Patience {
    fn after(&mut self, error: &UploadError, stage: Stage) -> Remedy {
        self.faults += 1;
        let remedy = self.policy.remedy(error, stage, self.faults);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, ?remedy, "upload fault");
        remedy
    }
}

async fn pause_or_give_up(remedy: Remedy, error: UploadError) -> Result<(), UploadError> {
    match remedy {
        Remedy::GiveUp => Err(error),
        Remedy::TryAgain(pause) | Remedy::BeginAnew(pause) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Remedy::NextKey => Ok(()),
    }
}

fn rounded_seconds(index: &Index) -> u64 {
    const HALF: Duration = Duration::from_millis(500);
    (index.duration() + HALF).as_secs()
}
