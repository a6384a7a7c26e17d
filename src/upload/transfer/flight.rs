//! The background requests of a transfer: to begin or resume an upload, to send a part, to remove an upload.

use std::sync::Arc;

use tokio::task::JoinError;

use crate::failpoint::FailPoint;
use crate::storage::{Body, Checksum, ObjectKey, Source, Storage, StorageError, Upload};
use crate::store::Location;
use crate::upload::error::UploadError;
use crate::upload::ledger::Ledger;

pub enum Landed {
    /// An error comes with the id of the upload that the store may still have.
    Opened(Result<Arc<dyn Upload>, (UploadError, Option<String>)>),
    Part {
        number: u32,
        result: Result<Checksum, UploadError>,
    },
}

/// A multipart upload that is to be begun; or resumed, if it has an `id`.
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

    /// Checks first whether the key is taken. Otherwise that would be noticed only at the end.
    async fn begin(&self) -> Result<Arc<dyn Upload>, UploadError> {
        if self.storage.find(&self.key).await?.is_some() {
            return Err(StorageError::AlreadyExists { key: self.key.clone() }.into());
        }
        self.ledger.intend(self.place).await?;
        // An earlier process may have begun an upload and been killed before it could note the id.
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

/// Returns the checksum of a part whose media is not in the spool any more, as the store holds it.
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

/// Returns the result of a task. A panic of the task continues here: nothing else ends a task early.
pub fn arrived<T>(joined: Result<T, JoinError>) -> T {
    joined.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}
