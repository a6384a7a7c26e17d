//! Carries an upload on: sends parts, takes their results, handles faults, and publishes the upload status.
//!
//! Knows neither the growth of the spool nor its end. Contract: an error that it returns is final.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::error::UploadError;
use super::plan::{Piece, Plan};
use crate::storage::{Body, Checksum, StorageError};
use crate::upload::retry::Remedy;
use crate::upload::spool::MediaSource;
use crate::upload::status::{StatusTeller, UploadStatus};
use crate::upload::transfer::{Progress, Transfer};

pub struct Engine {
    pub transfer: Transfer,
    pub backoff: Backoff,
    pub status: StatusTeller,
}

impl Engine {
    /// Sends the parts that may be sent now.
    pub fn launch(&mut self, media: &MediaSource) -> Result<(), UploadError> {
        match self.backoff.is_waiting(Instant::now()) {
            true => Ok(()),
            false => self.transfer.launch(media),
        }
    }

    /// Takes the results that have come since the last call.
    pub fn settle(&mut self) -> Result<(), UploadError> {
        while let Some(landed) = self.transfer.land_now() {
            self.landed(landed)?;
        }
        Ok(())
    }

    pub fn landed(&mut self, landed: Result<Progress, UploadError>) -> Result<(), UploadError> {
        match landed {
            Ok(Progress::PartHeld) => self.backoff.succeeded(),
            // This does not show yet that the store takes parts.
            Ok(Progress::Opened) => {}
            Err(error) => self.fault(error)?,
        }
        Ok(())
    }

    /// Handles a fault. Returns it as an error if nothing helps against it.
    pub fn fault(&mut self, error: UploadError) -> Result<(), UploadError> {
        let remedy = self.backoff.failed(&error, Instant::now());
        let released = self.transfer.released();
        match remedy {
            Remedy::NextKey | Remedy::BeginAnew(_) if released > 0 => {
                let forgotten = UploadError::Forgotten { released };
                self.backoff.failed(&forgotten, Instant::now());
                return Err(forgotten);
            }
            Remedy::NextKey => self.transfer.next_key(),
            Remedy::PlainKey(_) if released == 0 => self.transfer.plain_key(),
            Remedy::BeginAnew(_) => self.transfer.begin_anew(),
            Remedy::Prepare(_) => self.transfer.prepare(),
            // The store holds media under this key, so it did not refuse the key itself.
            Remedy::PlainKey(_) | Remedy::TryAgain(_) => {}
            Remedy::GiveUp => return Err(error),
        }
        Ok(())
    }

    /// Stores the whole file, however long that takes; returns its size in bytes. `plan_for` makes the plan
    /// for the store in use.
    pub async fn store(
        &mut self,
        media: &MediaSource,
        plan_for: impl Fn(&Transfer) -> Plan,
    ) -> Result<u64, UploadError> {
        let mut plan = plan_for(&self.transfer);
        self.transfer.follow(&plan)?;
        loop {
            self.tell(media.len());
            self.backoff.wait().await;
            let Err(error) = self.attempt(&plan, media).await else { break };
            if self.is_ours(&error, &plan, media).await {
                break;
            }
            self.fault(error)?;
            if self.switch_if_due() {
                plan = plan_for(&self.transfer);
                self.transfer.follow(&plan)?;
            }
        }
        self.backoff.succeeded();
        self.tell(media.len());
        Ok(plan.len())
    }

    async fn attempt(&mut self, plan: &Plan, media: &MediaSource) -> Result<(), UploadError> {
        let sent = match plan {
            Plan::Single(piece) => self.transfer.put(piece, media).await?,
            Plan::Parts(_) => {
                self.send_all(media).await?;
                self.transfer.complete().await?
            }
        };
        match self.transfer.find().await? {
            Some(found) if found.is(sent) => Ok(()),
            found => {
                Err(UploadError::NotAsSent { expected: sent.size(), found: found.map(|found| found.size) })
            }
        }
    }

    async fn send_all(&mut self, media: &MediaSource) -> Result<(), UploadError> {
        loop {
            self.transfer.launch(media)?;
            if self.transfer.is_whole() {
                return Ok(());
            }
            match self.transfer.land().await {
                Some(Ok(Progress::PartHeld)) => self.backoff.succeeded(),
                Some(Ok(Progress::Opened)) | None => {}
                Some(Err(error)) => return Err(error),
            }
            self.tell(media.len());
        }
    }

    /// Returns whether the object that exists already is this recording: the response to an earlier attempt
    /// was lost, or the service was killed before it could note the end. The database reserves the key for
    /// this recording. So an object of the same size is taken for it, if its checksum is the same or the
    /// store has none.
    async fn is_ours(&mut self, error: &UploadError, plan: &Plan, media: &MediaSource) -> bool {
        let UploadError::Storage(StorageError::AlreadyExists { .. } | StorageError::UnknownUpload { .. }) =
            error
        else {
            return false;
        };
        match self.transfer.find().await {
            Ok(Some(found)) if found.size == plan.len() => {
                found.crc64.is_none() || self.sum(plan, media).await.is_some_and(|sum| found.is(sum))
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Returns the checksum of the whole file; `None` if a part of the file is not in the spool any more.
    async fn sum(&self, plan: &Plan, media: &MediaSource) -> Option<Checksum> {
        if let (Plan::Parts(_), Some(sum)) = (plan, self.transfer.checksum()) {
            return Some(sum);
        }
        if self.transfer.released() > 0 {
            return None;
        }
        let mut sum = Checksum::default();
        for Piece { front, media: range } in plan.pieces() {
            let body = Body::new(media.part(front.clone(), range)).await.ok()?;
            sum = sum.followed_by(body.checksum());
        }
        Some(sum)
    }

    /// Switches to the other store if that is due; returns whether it has. A recording whose spool is not
    /// complete any more cannot change its store.
    fn switch_if_due(&mut self) -> bool {
        let away = self.backoff.away(Instant::now());
        let due = self.transfer.fallback_after().is_some_and(|after: Duration| away >= after);
        if !due || self.transfer.released() > 0 || !self.transfer.switch() {
            return false;
        }
        let store = self.transfer.destination().as_str();
        tracing::warn!(store, ?away, "the store stays away, the other one takes the recording");
        self.backoff.forget();
        true
    }

    pub fn tell(&self, media: u64) {
        let (stored_bytes, stored_media) = self.transfer.stored();
        self.status.tell(UploadStatus {
            stored_bytes,
            waiting_bytes: media.saturating_sub(stored_media),
            since: self.transfer.oldest_waiting(),
            trouble: self.backoff.trouble(),
            store: self.transfer.destination(),
        });
    }
}
