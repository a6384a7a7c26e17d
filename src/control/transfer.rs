//! One object on its way into the store: parts while its media grows, the head at the end.
//!
//! Does not wait and does not try again (`upload` does). Contract: every call may be repeated after
//! an error; what the store holds already is not sent a second time, and at most one part is in memory.

use std::sync::Arc;

use super::key;
use super::spool::MediaSource;
use super::upload::UploadError;
use crate::storage::parts::{FinalParts, PlannedPart};
use crate::storage::{ObjectKey, Storage, StorageError, Upload};

pub struct Transfer {
    storage: Arc<dyn Storage>,
    /// The key that was reserved for the recording.
    reserved: String,
    /// The key in use is this choice, counted from 1.
    choice: u32,
    parts: Vec<PlannedPart>,
    multipart: Multipart,
}

enum Multipart {
    None,
    Open(Box<dyn Upload>),
    /// A call that consumed the upload has failed; the store may still know it by this id.
    Interrupted {
        id: String,
    },
}

impl Transfer {
    pub fn new(storage: Arc<dyn Storage>, reserved: String) -> Self {
        Self { storage, reserved, choice: 1, parts: Vec::new(), multipart: Multipart::None }
    }

    pub fn key(&self) -> Result<ObjectKey, UploadError> {
        Ok(key::nth_choice(&self.reserved, self.choice)?)
    }

    /// Parts that are ready to be uploaded from now on.
    pub fn plan(&mut self, parts: Vec<PlannedPart>) {
        self.parts.extend(parts);
    }

    /// Goes on under the next key; whatever was uploaded is uploaded again from the spool.
    pub async fn next_key(&mut self) {
        self.abort().await;
        self.choice += 1;
    }

    /// Forgets what was uploaded.
    pub fn begin_anew(&mut self) {
        self.multipart = Multipart::None;
    }

    /// Uploads the planned parts that the store does not hold yet.
    pub async fn put_parts(&mut self, media: &MediaSource) -> Result<(), UploadError> {
        for at in 0..self.parts.len() {
            let part = self.parts[at].clone();
            self.put_part(&part, &[], media).await?;
        }
        Ok(())
    }

    /// Stores what is missing and makes the object appear.
    pub async fn complete(
        &mut self,
        head: &[u8],
        rest: &FinalParts,
        media: &MediaSource,
    ) -> Result<(), UploadError> {
        match rest {
            FinalParts::SinglePut { media: all } => {
                let bytes = media.read(all, head).await.map_err(UploadError::Spool)?;
                Ok(self.storage.put(&self.key()?, bytes).await?)
            }
            FinalParts::Multipart { last, first_media } => {
                self.put_parts(media).await?;
                if let Some(last) = last {
                    self.put_part(last, &[], media).await?;
                }
                let first = PlannedPart { number: 1, media: first_media.clone() };
                self.put_part(&first, head, media).await?;
                self.join().await
            }
        }
    }

    /// Size of the object under the key in use.
    pub async fn size(&mut self) -> Result<Option<u64>, UploadError> {
        Ok(self.storage.size(&self.key()?).await?)
    }

    /// Removes the parts from the store, as far as it can be reached.
    pub async fn abort(&mut self) {
        if let Multipart::Open(upload) = std::mem::replace(&mut self.multipart, Multipart::None)
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "parts of an unfinished upload stay in the store");
        }
    }

    async fn put_part(
        &mut self,
        part: &PlannedPart,
        front: &[u8],
        media: &MediaSource,
    ) -> Result<(), UploadError> {
        let size = front.len() as u64 + (part.media.end - part.media.start);
        let mut upload = self.take_upload().await?;
        if upload.part_size(part.number) == Some(size) {
            self.multipart = Multipart::Open(upload);
            return Ok(());
        }
        let bytes = media.read(&part.media, front).await;
        let put = match bytes {
            Ok(bytes) => upload.put_part(part.number, bytes).await.map_err(UploadError::Storage),
            Err(error) => Err(UploadError::Spool(error)),
        };
        self.multipart = Multipart::Open(upload);
        put?;
        tracing::debug!(part = part.number, size, "part uploaded");
        Ok(())
    }

    /// The upload in parts, begun or resumed if it must be. The caller puts it back.
    async fn take_upload(&mut self) -> Result<Box<dyn Upload>, UploadError> {
        let key = self.key()?;
        match std::mem::replace(&mut self.multipart, Multipart::None) {
            Multipart::Open(upload) => Ok(upload),
            Multipart::Interrupted { id } => {
                let resumed = self.storage.resume(&key, &id).await;
                if resumed.as_ref().is_err_and(StorageError::is_transient) {
                    self.multipart = Multipart::Interrupted { id };
                }
                Ok(resumed?)
            }
            Multipart::None => Ok(self.begin(&key).await?),
        }
    }

    /// Looks before it begins: a key that is taken would otherwise show only at the end.
    async fn begin(&mut self, key: &ObjectKey) -> Result<Box<dyn Upload>, StorageError> {
        match self.storage.size(key).await? {
            Some(_) => Err(StorageError::AlreadyExists { key: key.clone() }),
            None => self.storage.begin(key).await,
        }
    }

    async fn join(&mut self) -> Result<(), UploadError> {
        let upload = self.take_upload().await?;
        self.multipart = Multipart::Interrupted { id: upload.id().to_owned() };
        upload.complete().await?;
        self.multipart = Multipart::None;
        Ok(())
    }
}
