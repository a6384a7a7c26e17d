//! Owns the tables, and the migrations of older databases. Has no queries of the other files.
//!
//! Contract: `MIGRATIONS[n]` leads from `user_version` n to n + 1 and is never edited once released.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
];

/// How long a call waits for the lock of another program (an operator's `sqlite3`, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens or creates the database at `path` and migrates it.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    create_private(path).map_err(|source| StoreError::Create { path: path.to_owned(), source })?;
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let found = user_version(&connection).map_err(failed)?;
    check_version(path, found)?;
    migrate(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

/// Returns an error unless there is a database at `path` that this version can use. Changes nothing, not even
/// its schema.
pub fn look(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    check_version(path, user_version(&connection).map_err(failed)?)
}

fn check_version(path: &Path, found: usize) -> Result<(), StoreError> {
    match MIGRATIONS.len() {
        known if found > known => Err(StoreError::FromTheFuture { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}

/// Creates the file for its owner only. SQLite would create it by the umask. It gives the WAL the permissions
/// of the file.
fn create_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    file.map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // `journal_mode` returns a row, the others do not.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn migrate(connection: &mut Connection, found: usize) -> rusqlite::Result<()> {
    for (version, sql) in (1_u32..).zip(MIGRATIONS).skip(found) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

fn user_version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_database_is_current_private_and_durable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("egressd.db");
        let connection = open(&path).unwrap();

        assert_eq!(user_version(&connection).unwrap(), MIGRATIONS.len());
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pragma = |name: &str| -> rusqlite::types::Value {
            connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma("synchronous"), 2.into());
        assert_eq!(pragma("foreign_keys"), 1.into());
    }

    #[test]
    fn a_database_that_is_current_is_opened_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("egressd.db");
        drop(open(&path).unwrap());
        assert_eq!(user_version(&open(&path).unwrap()).unwrap(), MIGRATIONS.len());
    }

    #[test]
    fn a_recording_of_the_first_version_has_no_options_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("egressd.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let insert = "INSERT INTO recordings (egress_id, room, phase, started_at, object_key)
                      VALUES ('EG_abcdefghijkl', 'room', 'active', 1, 'room/1.mp4')";
        connection.execute(insert, []).unwrap();
        migrate(&mut connection, 1).unwrap();
        let options = "SELECT options FROM recordings";
        assert_eq!(connection.query_row(options, [], |row| row.get::<_, String>(0)).unwrap(), "{}");
    }

    #[test]
    fn deliveries_of_before_their_order_was_kept_are_taken_over_with_their_recordings() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(dir.path().join("egressd.db")).unwrap();
        configure(&connection).unwrap();
        MIGRATIONS[..5].iter().for_each(|sql| connection.execute_batch(sql).unwrap());
        let old = r#"
            INSERT INTO webhooks (id, url, secret, created_at) VALUES ('wh_1', 'https://x/', 's', 1);
            INSERT INTO deliveries (id, webhook_id, event, body, state, attempts, next_attempt_at, last_status, last_error)
            VALUES ('dl_1', 'wh_1', 'egress_started', '{"egressId":"EG_1"}', 'failed', 4, 70, 500, 'it answered 500'),
                   ('dl_2', 'wh_1', 'egress_ended', '{"egressId":"EG_1"}', 'pending', 1, 80, 502, 'it answered 502');"#;
        connection.execute_batch(old).unwrap();
        migrate(&mut connection, 5).unwrap();
        let row = |sql: &str| -> String { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        let all =
            "SELECT group_concat(concat_ws(' ', number, id, egress_id, state, failures, finished_at), ', ')
                   FROM deliveries";
        assert_eq!(row(all), "1 dl_1 EG_1 failed 4 70, 2 dl_2 EG_1 pending 1");
        let attempts = "SELECT group_concat(concat_ws(' ', delivery, number, at, status, reason)) FROM delivery_attempts";
        assert_eq!(row(attempts), "1 4 70 500 it answered 500");
        connection.execute("DELETE FROM webhooks", []).unwrap();
        assert_eq!(row("SELECT COUNT(*) || '' FROM delivery_attempts"), "0", "what hangs on it goes with it");
    }

    #[test]
    fn recordings_of_before_other_doors_keep_their_room_to_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(dir.path().join("egressd.db")).unwrap();
        configure(&connection).unwrap();
        MIGRATIONS[..6].iter().for_each(|sql| connection.execute_batch(sql).unwrap());
        let insert = |connection: &Connection, id: &str| {
            let sql =
                "INSERT INTO recordings (egress_id, room, exclusive_room, phase, started_at, object_key)
                       VALUES (?1, 'room', 'room', 'active', 1, ?1)";
            connection.execute(sql, [id])
        };
        let old = "INSERT INTO recordings (egress_id, room, phase, started_at, object_key)
                   VALUES ('EG_1', 'room', 'active', 1, 'room/1.mp4')";
        connection.execute(old, []).unwrap();
        migrate(&mut connection, 6).unwrap();
        assert!(insert(&connection, "EG_2").is_err());
        connection.execute("UPDATE recordings SET phase = 'stopping'", []).unwrap();
        insert(&connection, "EG_2").unwrap();
    }

    #[test]
    fn a_database_of_a_newer_egressd_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("egressd.db");
        let connection = open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        assert!(matches!(open(&path), Err(StoreError::FromTheFuture { found: 99, .. })));
    }
}
