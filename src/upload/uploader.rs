//! The upload of one recording, from its first final byte to the object in the store.
//!
//! Decides when the engine sends what. Owns neither the deletion of the spool nor the end of the recording.
//! Contract: the future never blocks the recording, reads the spool in any state of the store, and is
//! complete only when the object was read back from the store (or nothing was recorded).

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::engine::Engine;
use super::error::UploadError;
use super::ledger::Ledger;
use super::plan::Plan;
use super::release;
use super::retry::RetryPolicy;
use super::spool::{Condition, Extent, Spool, WholeSpool};
use super::status::StatusTeller;
use super::transfer::{Stores, Transfer};
use crate::admission::Space;
use crate::ids::EgressId;
use crate::mp4::Index;
use crate::storage::parts::PartPlanner;
use crate::store::{SavedFile, Store};

/// What an upload needs.
pub struct UploadOptions {
    pub stores: Stores,
    /// Keeps the state of the upload across restarts.
    pub database: Store,
    pub egress_id: EgressId,
    /// The key that was reserved for the recording.
    pub key: String,
    pub spool: PathBuf,
    /// How far the spool may be read. The last value is [`Extent::Whole`].
    pub extent: watch::Receiver<Extent>,
    pub retry: RetryPolicy,
    /// How much room the disk with the spool has.
    pub space: watch::Receiver<Space>,
    pub status: StatusTeller,
}

/// The result of an upload. All of the spool that could be parsed is in the store.
#[derive(Debug, PartialEq)]
pub struct Uploaded {
    /// `None` if there was no media.
    pub saved: Option<SavedFile>,
    pub condition: Condition,
}

impl Uploaded {
    const NOTHING: Self = Self { saved: None, condition: Condition::Sound };
}

pub struct Uploader {
    spool: Spool,
    /// Cuts the growing media into parts, in the way of the store in use.
    planner: PartPlanner,
    engine: Engine,
    extent: watch::Receiver<Extent>,
    space: watch::Receiver<Space>,
}

impl Uploader {
    pub fn new(options: UploadOptions) -> Self {
        let ledger = Ledger { store: options.database, egress_id: options.egress_id };
        let transfer = Transfer::new(options.stores, ledger, options.key);
        Self {
            spool: Spool::new(options.spool),
            planner: PartPlanner::new(transfer.cutting()),
            engine: Engine { transfer, backoff: Backoff::new(options.retry), status: options.status },
            extent: options.extent,
            space: options.space,
        }
    }

    pub async fn run(mut self) -> Result<Uploaded, UploadError> {
        self.restore().await?;
        match self.follow().await {
            Ok(()) => self.finish().await,
            Err(UploadError::Abandoned) => Err(UploadError::Abandoned),
            // This upload has failed for good. The recording goes on, as its spool is of use without an
            // upload.
            Err(error) => {
                self.engine.tell(self.spool.media().len());
                let whole = self.extent.wait_for(|extent| *extent == Extent::Whole).await;
                whole.map_err(|_closed| UploadError::Abandoned)?;
                Err(error)
            }
        }
    }

    async fn restore(&mut self) -> Result<(), UploadError> {
        while let Err(error) = self.engine.transfer.restore().await {
            self.engine.fault(error)?;
            self.engine.backoff.wait().await;
        }
        self.planner = PartPlanner::new(self.engine.transfer.cutting());
        Ok(())
    }

    /// Reads the spool to its end. Meanwhile sends the media that is final.
    async fn follow(&mut self) -> Result<(), UploadError> {
        loop {
            let extent = *self.extent.borrow_and_update();
            let read = self.spool.parse_next(extent).await;
            match (read, extent) {
                (Ok(Some(grown)), _) => self.plan(grown),
                (Ok(None), Extent::Whole) => return Ok(()),
                (Ok(None), Extent::Growing(_)) => self.wait(extent).await?,
                (Err(error), _) => {
                    self.engine.fault(UploadError::Spool(error))?;
                    self.wait(extent).await?;
                }
            }
            self.engine.settle()?;
            match extent {
                Extent::Growing(_) => self.engine.launch(self.spool.media())?,
                // If the recording was stored just before a crash, that must be noticed before a part is sent
                // again.
                Extent::Whole => {}
            }
            self.release().await?;
            self.engine.tell(self.spool.media().len());
        }
    }

    fn plan(&mut self, grown: u64) {
        for part in self.planner.add(grown) {
            self.engine.transfer.add(part.number, part.into());
        }
    }

    /// Waits for the next event. `read` is the extent up to which the spool was read. If there is a newer one
    /// already, returns at once.
    async fn wait(&mut self, read: Extent) -> Result<(), UploadError> {
        let pausing = self.engine.backoff.is_waiting(Instant::now());
        let growing = matches!(read, Extent::Growing(_));
        tokio::select! {
            biased;
            changed = self.extent.changed(), if growing => {
                changed.map_err(|_closed| UploadError::Abandoned)?;
                if *self.extent.borrow() == Extent::Whole {
                    self.engine.backoff.hurry();
                }
            }
            Some(landed) = self.engine.transfer.land() => self.engine.landed(landed)?,
            () = self.engine.backoff.wait(), if pausing => {}
            // An error means that the monitor has ended; then this branch is disabled.
            Ok(()) = self.space.changed() => {}
        }
        Ok(())
    }

    /// Removes uploaded media from the spool if the disk is short of room.
    async fn release(&mut self) -> Result<(), UploadError> {
        if !self.space.borrow().is_wanted() {
            return Ok(());
        }
        match release::release(&mut self.engine.transfer, &self.spool).await {
            Ok(()) => Ok(()),
            Err(error) => self.engine.fault(error),
        }
    }

    async fn finish(self) -> Result<Uploaded, UploadError> {
        let Self { spool, mut engine, .. } = self;
        let nothing = spool.media().len() == 0;
        let WholeSpool { index, condition, media } = match spool.finish() {
            Ok(whole) => whole,
            // The worker ended before it wrote the setup of its streams.
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
        let plan_for = |transfer: &Transfer| Plan::new(transfer.cutting(), found, |len| head(&index, len));
        let size = engine.store(&media, plan_for).await?;
        let saved = SavedFile {
            key: engine.transfer.key()?.to_string(),
            duration_s: rounded_seconds(&index),
            size,
            store: engine.transfer.destination(),
        };
        Ok(Uploaded { saved: Some(saved), condition })
    }
}

fn head(index: &Index, len: Option<u64>) -> Option<Bytes> {
    match len {
        None => Some(index.head().into()),
        Some(len) => index.head_of(len).map(Bytes::from),
    }
}

fn rounded_seconds(index: &Index) -> u64 {
    const HALF: Duration = Duration::from_millis(500);
    (index.duration() + HALF).as_secs()
}

#[cfg(test)]
mod tests;
