//! Owns the `uploads` table: the multipart uploads that may exist in a store. Does not make requests to a
//! store.
//!
//! Contract: an upload is in the table before it can exist in a store, and is deleted only when it cannot
//! exist any more.

use rusqlite::{Row, Transaction, params};

use super::columns::{Count, parsed};
use super::{Destination, Store, StoreError};
use crate::ids::EgressId;

/// Where an upload goes: the store, and which of the recording's possible keys in it, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    pub store: Destination,
    pub choice: u32,
}

impl Default for Location {
    fn default() -> Self {
        Self { store: Destination::Primary, choice: 1 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    pub egress_id: EgressId,
    pub place: Location,
    /// `None` if it may not have begun.
    pub upload_id: Option<String>,
    /// How many bytes from the beginning of the media may be removed from the spool.
    pub released: u64,
    /// The key that is reserved for the recording, its first choice.
    pub key: String,
}

impl Store {
    /// Notes that an upload is about to begin. It is the one in use from now on.
    pub async fn intend_upload(&self, id: &EgressId, place: Location) -> Result<(), StoreError> {
        self.upload_changed("intend_upload", id, place, |tx, id, place| {
            let sql = "INSERT OR REPLACE INTO uploads (egress_id, store, choice) VALUES (?1, ?2, ?3)";
            tx.execute(sql, params![id.as_str(), place.store.as_str(), place.choice])
        })
        .await
    }

    pub async fn upload_begun(
        &self,
        id: &EgressId,
        place: Location,
        upload_id: &str,
    ) -> Result<(), StoreError> {
        let upload_id = upload_id.to_owned();
        self.upload_changed("upload_begun", id, place, move |tx, id, place| {
            let sql = "UPDATE uploads SET upload_id = ?4 WHERE egress_id = ?1 AND store = ?2 AND choice = ?3";
            tx.execute(sql, params![id.as_str(), place.store.as_str(), place.choice, upload_id])
        })
        .await
    }

    /// Notes that so many bytes of the media are about to be removed from the spool.
    pub async fn media_released(&self, id: &EgressId, place: Location, bytes: u64) -> Result<(), StoreError> {
        self.upload_changed("media_released", id, place, move |tx, id, place| {
            let sql = "UPDATE uploads SET released = ?4 WHERE egress_id = ?1 AND store = ?2 AND choice = ?3";
            tx.execute(sql, params![id.as_str(), place.store.as_str(), place.choice, Count(bytes)])
        })
        .await
    }

    /// Notes that the upload does not exist in its store any more.
    pub async fn upload_gone(&self, id: &EgressId, place: Location) -> Result<(), StoreError> {
        self.upload_changed("upload_gone", id, place, |tx, id, place| {
            let sql = "DELETE FROM uploads WHERE egress_id = ?1 AND store = ?2 AND choice = ?3";
            tx.execute(sql, params![id.as_str(), place.store.as_str(), place.choice])
        })
        .await
    }

    /// Returns the upload in use of a recording, if it has one.
    pub async fn upload_in_use(&self, id: &EgressId) -> Result<Option<UploadRow>, StoreError> {
        let id = id.clone();
        self.read("upload_in_use", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT uploads.*, object_key FROM uploads JOIN recordings USING (egress_id)
                 WHERE egress_id = ?1 ORDER BY number DESC LIMIT 1",
            )?;
            query.query_map([id.as_str()], upload_row)?.next().transpose()
        })
        .await
    }

    /// Returns the uploads that recordings which have ended may have left in the stores.
    pub async fn orphaned_uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        self.read("orphaned_uploads", |tx| {
            let mut query = tx.prepare_cached(
                "SELECT uploads.*, object_key FROM uploads JOIN recordings USING (egress_id)
                 WHERE ended_at IS NOT NULL ORDER BY number",
            )?;
            query.query_map([], upload_row)?.collect()
        })
        .await
    }

    async fn upload_changed(
        &self,
        what: &'static str,
        id: &EgressId,
        place: Location,
        change: impl FnOnce(&Transaction<'_>, &EgressId, Location) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(what, move |tx| change(tx, &id, place).map(drop)).await
    }
}

/// Deletes the upload in use, as the object is complete.
pub(super) fn forget_upload_in_use(
    tx: &Transaction<'_>,
    id: &EgressId,
    store: Destination,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM uploads WHERE store = ?2
               AND number = (SELECT max(number) FROM uploads WHERE egress_id = ?1)";
    tx.execute(sql, [id.as_str(), store.as_str()]).map(drop)
}

fn upload_row(row: &Row<'_>) -> rusqlite::Result<UploadRow> {
    let Count(released) = row.get("released")?;
    Ok(UploadRow {
        egress_id: parsed(row, "egress_id")?,
        place: Location { store: parsed(row, "store")?, choice: row.get("choice")? },
        upload_id: row.get("upload_id")?,
        released,
        key: row.get("object_key")?,
    })
}
