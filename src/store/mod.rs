//! Owns the database: what egressd remembers across a restart. All SQL is in this folder.
//!
//! Does not own any decision: phases, retry times and webhook bodies are given by the callers
//! (`control`, `webhook`) and written down here as they are.
//!
//! Contract: a method that has returned `Ok` has its change on the disk (WAL, synchronous=FULL), and
//! everything one method changes is one transaction. Times are kept in whole milliseconds.

mod census;
mod columns;
mod deliveries;
mod delivery;
mod delivery_log;
mod destination;
mod error;
mod listing;
mod phase;
mod recordings;
mod reports;
mod schema;
mod uploads;
mod webhooks;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Notify;

pub use census::Census;
pub use deliveries::{DueDelivery, FailedAttempt, OutboxEvent, Timing};
pub use delivery::{
    AttemptRow, DeliveryId, DeliveryRow, DeliveryState, DeliveryStatus, InvalidDeliveryId, UnknownStatus,
};
pub use delivery_log::{DeliveryPage, DeliveryQuery};
pub use destination::Destination;
pub use error::StoreError;
pub use listing::{Position, RecordingPage, RecordingQuery};
pub use phase::{Phase, Phases};
pub use recordings::{
    EndResult, Ending, Exclusivity, Inserted, NewRecording, Outcome, RecordingRow, SavedFile, StatusUpdate,
};
pub use uploads::{Location, UploadRow};
pub use webhooks::{ForgottenWebhook, UnknownSource, WebhookRow, WebhookSource, WebhookUpdate};

/// A handle to the database; clones share the connection.
///
/// One connection behind a mutex, for reads and writes: SQLite lets only one writer through at a
/// time anyway, a recording writes about five times in its life and its report every ten seconds, and
/// with a single connection no call of ours can meet a lock of ours. The mutex is only ever held on a blocking thread.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    deliveries_added: Arc<Notify>,
}

impl Store {
    /// Opens the database, creates it (readable by its owner only, as it holds webhook secrets) if
    /// there is none, and brings its schema up to date. Blocks: for start-up.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: Arc::new(Mutex::new(schema::open(path)?)), deliveries_added: Arc::default() })
    }

    /// Whether there is a database that this version can use. Changes nothing. Blocks.
    pub fn look(path: &Path) -> Result<(), StoreError> {
        schema::look(path)
    }

    /// Whether the database answers, for health checks.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |tx| tx.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    /// Returns once deliveries were added since the last call. For one listener: the deliverer.
    pub async fn deliveries_added(&self) {
        self.deliveries_added.notified().await;
    }

    async fn read<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.transact(what, TransactionBehavior::Deferred, work).await
    }

    async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.transact(what, TransactionBehavior::Immediate, work).await
    }

    /// A write that is about one row; returns whether there was that row.
    async fn changes_one<F>(&self, what: &'static str, work: F) -> Result<bool, StoreError>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<usize> + Send + 'static,
    {
        self.write(what, move |tx| Ok(work(tx)? == 1)).await
    }

    async fn transact<T, F>(
        &self,
        what: &'static str,
        behavior: TransactionBehavior,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            // A panic inside a transaction rolls it back, so the connection stays usable.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = connection.transaction_with_behavior(behavior)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        });
        match done.await {
            Ok(result) => result.map_err(|source| StoreError::Query { what, source }),
            Err(source) => Err(StoreError::Aborted { what, source }),
        }
    }
}

#[cfg(test)]
impl Store {
    /// Nobody but the other can write until it is dropped, and this store's writes fail at once.
    pub fn locked_from_outside(&self, path: &Path) -> impl Send + use<> {
        let ours = self.connection.lock().unwrap();
        ours.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
        let other = Connection::open(path).unwrap();
        other.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        drop(ours);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }
}

#[cfg(test)]
mod tests;
