//! What keeps an upload going: launches parts, takes in what became of them, does what a fault asks for, and tells
//! how it stands.
//!
//! Does not know the spool's growth nor its end. Contract: an error that it returns is final.

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
    /// Sends what may be sent now.
    pub fn launch(&mut self, media: &MediaSource) -> Result<(), UploadError> {
        match self.backoff.is_waiting(Instant::now()) {
            true => Ok(()),
            false => self.transfer.launch(media),
        }
    }

    /// What has landed meanwhile.
    pub fn settle(&mut self) -> Result<(), UploadError> {
        while let Some(landed) = self.transfer.land_now() {
            self.landed(landed)?;
        }
        Ok(())
    }

    pub fn landed(&mut self, landed: Result<Progress, UploadError>) -> Result<(), UploadError> {
        match landed {
            Ok(Progress::PartHeld) => self.backoff.succeeded(),
            // That the store takes parts is not said yet.
            Ok(Progress::Opened) => {}
            Err(error) => self.fault(error)?,
        }
        Ok(())
    }

    /// Does what helps against a fault; its error is one against which nothing does.
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
            // A key under which the store holds media was not refused for what it is.
            Remedy::PlainKey(_) | Remedy::TryAgain(_) => {}
            Remedy::GiveUp => return Err(error),
        }
        Ok(())
    }

    /// Stores the whole file, however long that takes. `plan_for` makes the plan for the store in use.
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

    /// Whether the object that stands in the way is this very recording: the answer to an earlier attempt was
    /// lost, or the service was killed before it could note the end. The key is reserved for this recording by
    /// the database, so an object of its size, and with its checksum where the store has one, is taken for it.
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

    /// Checksum of the whole file; `None` where it cannot be known any more.
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

    /// Whether the other store is to be taken from now on. What is gone from the spool can be nowhere else.
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
