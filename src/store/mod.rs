//! Owns the database: everything that outlives a restart. All SQL is in this folder.
//!
//! Decides nothing: phases, retry times and webhook bodies come from the callers (`control`, `webhook`), and
//! are stored as they are.
//!
//! Contract: when a method has returned `Ok`, its change is on the disk (WAL, synchronous=FULL). Everything
//! that one method changes is one transaction. Times are stored in whole milliseconds.

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

/// A handle to the database. Clones share the connection.
///
/// There is one connection behind a mutex, for reads and writes. SQLite allows only one writer at a time
/// anyway. A recording writes about five times in its life, and its report every ten seconds. With a single
/// connection, no call can meet a lock of another call. The mutex is held only on blocking threads.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    deliveries_added: Arc<Notify>,
}

impl Store {
    /// Opens the database, and migrates its schema. If there is none, creates it, readable only by its owner,
    /// as it contains secrets of webhooks. Blocks, so it is for start-up only.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: Arc::new(Mutex::new(schema::open(path)?)), deliveries_added: Arc::default() })
    }

    /// Returns an error unless there is a database that this version can use. Changes nothing. Blocks.
    pub fn look(path: &Path) -> Result<(), StoreError> {
        schema::look(path)
    }

    /// Returns an error if the database cannot be read, for health checks.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |tx| tx.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    /// Waits until deliveries were added since the last call. For one listener, the deliverer.
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

    /// Runs a write that changes one row. Returns whether there was that row.
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
            // A panic inside a transaction rolls it back, so the connection is still usable.
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
    /// Locks the database like another program. Until the result is dropped, writes of this store fail at
    /// once.
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
