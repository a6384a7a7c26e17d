//! Owns the `quality_reports` table. A report of a recording that does not exist is an error: reports are
//! deleted with their recordings.

use rusqlite::{OptionalExtension, params};

use super::columns::{Json, from_json};
use super::{Store, StoreError};
use crate::ids::EgressId;
use crate::report::QualityReport;

impl Store {
    /// Stores the report. It replaces the last one.
    pub async fn keep_report(&self, id: &EgressId, report: QualityReport) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("keep_report", move |tx| {
            tx.execute(
                "INSERT INTO quality_reports (egress_id, report) VALUES (?1, ?2)
                 ON CONFLICT (egress_id) DO UPDATE SET report = excluded.report",
                params![id.as_str(), Json(&report)],
            )?;
            Ok(())
        })
        .await
    }

    /// Returns the last report of a recording, if it has one.
    pub async fn report(&self, id: &EgressId) -> Result<Option<QualityReport>, StoreError> {
        let id = id.clone();
        self.read("report", move |tx| {
            let mut query = tx.prepare_cached("SELECT report FROM quality_reports WHERE egress_id = ?1")?;
            query.query_row([id.as_str()], |row| from_json(row, "report")).optional()
        })
        .await
    }
}
