//! Owns the counts for metrics and the console: recordings by phase, deliveries by state.

use rusqlite::Transaction;

use super::columns::{Count, parsed};
use super::phase::Phase;
use super::{Store, StoreError};

/// The numbers of recordings and deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of recordings in each phase that any recording is in, finished ones included.
    pub recordings: Vec<(Phase, u64)>,
    /// The deliveries that are not delivered yet.
    pub pending_deliveries: u64,
    /// The deliveries that were given up.
    pub failed_deliveries: u64,
}

impl Store {
    pub async fn census(&self) -> Result<Census, StoreError> {
        self.read("census", |tx| {
            let mut phases =
                tx.prepare_cached("SELECT phase, COUNT(*) AS n FROM recordings GROUP BY phase")?;
            let recordings = phases.query_map([], |row| {
                let Count(number) = row.get("n")?;
                Ok((parsed(row, "phase")?, number))
            })?;
            Ok(Census {
                recordings: recordings.collect::<Result<_, _>>()?,
                pending_deliveries: deliveries(tx, "pending")?,
                failed_deliveries: deliveries(tx, "failed")?,
            })
        })
        .await
    }
}

fn deliveries(tx: &Transaction<'_>, state: &str) -> rusqlite::Result<u64> {
    let Count(number) =
        tx.query_row("SELECT COUNT(*) FROM deliveries WHERE state = ?1", [state], |row| row.get(0))?;
    Ok(number)
}
