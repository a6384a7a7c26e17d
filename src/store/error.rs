//! The errors of the database. Owns no SQL.

use std::io;
use std::path::PathBuf;

/// Every error is a fault of the host (disk, file, schema), never of a caller. Trying again can help if the
/// disk was full or slow.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot create the database file {path}")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the database {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the database {path} has schema version {found}, this egressd knows up to {known}")]
    FromTheFuture { path: PathBuf, found: usize, known: usize },
    #[error("database call {what} failed")]
    Query {
        what: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("database call {what} was aborted")]
    Aborted {
        what: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },
}
