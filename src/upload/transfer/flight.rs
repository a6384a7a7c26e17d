//! What a transfer does while nobody waits for it: opening an upload, sending a part, removing what is left.

use std::sync::Arc;

use tokio::task::JoinError;

use crate::failpoint::FailPoint;
use crate::storage::{Body, Checksum, ObjectKey, Source, Storage, StorageError, Upload};
use crate::store::Location;
use crate::upload::error::UploadError;
use crate::upload::ledger::Ledger;

pub enum Landed {
    /// With a fault, the id of the upload that the store may still know.
    Opened(Result<Arc<dyn Upload>, (UploadError, Option<String>)>),
    Part {
        number: u32,
        result: Result<Checksum, UploadError>,
    },
}

/// An upload in parts about to be begun, or taken up again.
pub struct Opening {
    pub storage: Arc<dyn Storage>,
    pub ledger: Ledger,
    pub place: Location,
    pub key: ObjectKey,
    pub id: Option<String>,
}

impl Opening {
    pub async fn run(self) -> Landed {
        Landed::Opened(match &self.id {
            Some(id) => {
                let resumed = self.storage.resume(&self.key, id).await;
                resumed.map_err(|error| (error.into(), Some(id.clone())))
            }
            None => self.begin().await.map_err(|error| (error, None)),
        })
    }

    /// Looks before it begins: a key that is taken would otherwise show only at the end.
    async fn begin(&self) -> Result<Arc<dyn Upload>, UploadError> {
        if self.storage.find(&self.key).await?.is_some() {
            return Err(StorageError::AlreadyExists { key: self.key.clone() }.into());
        }
        self.ledger.intend(self.place).await?;
        // Somebody may have begun one for us and been killed before he could write down which.
        if let Err(error) = self.storage.abort_all(&self.key, None).await {
            tracing::warn!(%error, "it is not known whether parts of an earlier upload are in the store");
        }
        let upload = self.storage.begin(&self.key).await?;
        self.ledger.begun(self.place, upload.id()).await?;
        Ok(upload)
    }
}

pub async fn send(upload: Arc<dyn Upload>, number: u32, source: Arc<dyn Source>) -> Landed {
    let sent = async {
        let body = Body::new(source).await.map_err(UploadError::Spool)?;
        upload.put_part(number, body.clone()).await?;
        tracing::debug!(part = number, size = body.size(), "part uploaded");
        FailPoint::PartUploaded.reached();
        Ok(body.checksum())
    };
    Landed::Part { number, result: sent.await }
}

/// A part whose media is gone from the spool: what the store holds is all there is.
pub fn kept(upload: &Arc<dyn Upload>, number: u32, len: u64, released: u64) -> Result<Checksum, UploadError> {
    match upload.held(number) {
        // A store that keeps no checksum asks for none.
        Some(held) if held.size == len => Ok(Checksum::new(held.crc64.unwrap_or_default(), len)),
        Some(_) | None => Err(UploadError::Forgotten { released }),
    }
}

pub async fn remove(storage: Arc<dyn Storage>, ledger: Ledger, place: Location, key: ObjectKey) {
    let removed = storage.abort_all(&key, None).await.map_err(UploadError::from);
    let noted = match removed {
        Ok(_) => ledger.gone(place).await,
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        tracing::warn!(%error, "parts of an unfinished upload stay in the store for now");
    }
}

/// What a task has brought. A panic goes on where the flight was sent from: nothing else ends one before its time.
pub fn arrived<T>(joined: Result<T, JoinError>) -> T {
    joined.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}
