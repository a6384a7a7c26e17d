//! Owns the `recordings` table. Does not decide when a phase changes: `control` does.
//!
//! Contract: a room has at most one live recording that is exclusive, an object key belongs to one recording.
//! A recording ends once, in one transaction with the deliveries of its end.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, named_params, params};

use super::columns::{Count, Json, Millis, from_json, parsed};
use super::deliveries::{OutboxEvent, add_deliveries};
use super::phase::Phase;
use super::uploads::forget_upload_in_use;
use super::{Destination, Store, StoreError};
use crate::ids::{EgressId, RoomName};
use crate::options::RecordingOptions;

/// A recording that was just accepted.
#[derive(Debug, Clone)]
pub struct NewRecording {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub exclusivity: Exclusivity,
    pub started_at: Timestamp,
    /// The wanted object key. If it is taken, the recording gets it with a number before its extension.
    pub key: String,
    pub options: RecordingOptions,
}

/// Whether a room may have another recording at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusivity {
    /// At most one of the room's live recordings is exclusive. The room may have others that are not.
    Exclusive,
    /// Any number of the room's recordings may be shared.
    Shared,
}

/// The result of inserting a [`NewRecording`].
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted {
    New(RecordingRow),
    /// The room has an exclusive recording already, or a recording of this room has the id. Nothing was
    /// inserted.
    Existing(RecordingRow),
    /// A recording of another room has the id. Nothing was inserted.
    IdTaken,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RecordingRow {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub phase: Phase,
    pub started_at: Timestamp,
    /// The object key that is reserved for this recording. The object may exist or not.
    pub key: String,
    /// The present options: the view may change while a recording runs.
    pub options: RecordingOptions,
    /// The zero of the timeline, once a worker has reported it.
    pub zero: Option<Timestamp>,
    pub first_media_at: Option<Timestamp>,
    /// The end status as JSON; `None` while the recording takes in media.
    pub end_status: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// The stored file, once the recording has ended.
    pub saved: Option<SavedFile>,
    pub error: Option<String>,
}

/// The event of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusUpdate {
    pub event: OutboxEvent,
    pub at: Timestamp,
}

/// How a recording ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    pub outcome: Outcome,
    pub ended_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Complete(SavedFile),
    /// `error` is a sentence for users. `saved` is the stored file, if there is one.
    Failed {
        error: String,
        saved: Option<SavedFile>,
    },
}

/// A complete object in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    pub key: String,
    /// The duration of the media, in seconds, rounded.
    pub duration_s: u64,
    /// The size of the object in bytes.
    pub size: u64,
    pub store: Destination,
}

/// Whether [`Store::end_recording`] has ended the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndResult {
    Ended,
    /// It had ended before (or never existed). Nothing was changed, and no event is sent twice.
    AlreadyEnded,
}

impl Store {
    /// Inserts the recording as `Starting`, unless it exists or its room has an exclusive recording already.
    pub async fn insert_recording(&self, new: NewRecording) -> Result<Inserted, StoreError> {
        self.write("insert_recording", move |tx| insert(tx, &new)).await
    }

    /// Sets a phase that is no end. Adds the deliveries of `update` if the phase has changed. Returns whether
    /// there is such a recording that has not ended.
    pub async fn set_phase(
        &self,
        id: &EgressId,
        phase: Phase,
        update: Option<StatusUpdate>,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let changed = self
            .changes_one("set_phase", move |tx| {
                tell_of_phase(tx, &id, phase, update.as_ref())?;
                tx.execute(
                    "UPDATE recordings SET phase = ?2 WHERE egress_id = ?1 AND ended_at IS NULL",
                    params![id.as_str(), phase.as_str()],
                )
            })
            .await?;
        self.deliveries_added.notify_one();
        Ok(changed)
    }

    /// Notes that a recording takes in no more media, and how it is to end. Adds the deliveries of `update`
    /// if the phase has changed. Returns whether there is such a recording that has not ended.
    pub async fn set_verdict(
        &self,
        id: &EgressId,
        end_status: String,
        update: Option<StatusUpdate>,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let changed = self
            .changes_one("set_verdict", move |tx| {
                tell_of_phase(tx, &id, Phase::Uploading, update.as_ref())?;
                tx.execute(
                    "UPDATE recordings SET phase = ?2, verdict = ?3 WHERE egress_id = ?1 AND ended_at IS NULL",
                    params![id.as_str(), Phase::Uploading.as_str(), end_status],
                )
            })
            .await?;
        self.deliveries_added.notify_one();
        Ok(changed)
    }

    /// Notes the zero of a recording's timeline. Returns whether there is such a recording that has not
    /// ended.
    pub async fn set_zero(&self, id: &EgressId, zero: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        self.changes_one("set_zero", move |tx| {
            tx.execute(
                "UPDATE recordings SET zero = ?2 WHERE egress_id = ?1 AND ended_at IS NULL",
                params![id.as_str(), Millis(zero)],
            )
        })
        .await
    }

    /// Changes the options of a recording that takes in media, or is about to, and adds the deliveries of
    /// `update`. Returns whether there was such a recording.
    pub async fn set_options(
        &self,
        id: &EgressId,
        options: RecordingOptions,
        update: Option<StatusUpdate>,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let changed = self
            .changes_one("set_options", move |tx| {
                let changed = tx.execute(
                    "UPDATE recordings SET options = ?2 WHERE egress_id = ?1 AND phase IN ('starting', 'active')",
                    params![id.as_str(), Json(&options)],
                )?;
                if let (1, Some(StatusUpdate { event, at })) = (changed, &update) {
                    add_deliveries(tx, &id, event, *at)?;
                }
                Ok(changed)
            })
            .await?;
        self.deliveries_added.notify_one();
        Ok(changed)
    }

    /// Notes the first media of a recording, once, and adds a delivery for each webhook that subscribes to
    /// `event`. Returns whether it was not noted before.
    pub async fn media_started(
        &self,
        id: &EgressId,
        at: Timestamp,
        event: OutboxEvent,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let first = self
            .write("media_started", move |tx| {
                let changed = tx.execute(
                    "UPDATE recordings SET first_media_at = ?2
                     WHERE egress_id = ?1 AND first_media_at IS NULL AND ended_at IS NULL",
                    params![id.as_str(), Millis(at)],
                )?;
                if changed == 1 {
                    add_deliveries(tx, &id, &event, at)?;
                }
                Ok(changed == 1)
            })
            .await?;
        self.deliveries_added.notify_one();
        Ok(first)
    }

    /// Ends a recording, once, and adds a delivery for each webhook that subscribes to the event, in the same
    /// transaction.
    pub async fn end_recording(
        &self,
        id: &EgressId,
        ending: Ending,
        event: OutboxEvent,
    ) -> Result<EndResult, StoreError> {
        let id = id.clone();
        let result = self.write("end_recording", move |tx| end(tx, &id, &ending, &event)).await?;
        self.deliveries_added.notify_one();
        Ok(result)
    }

    /// Returns the exclusive recording of a room that takes in media (or is about to).
    pub async fn live_recording(&self, room: &RoomName) -> Result<Option<RecordingRow>, StoreError> {
        let room = room.clone();
        self.read("live_recording", move |tx| live(tx, &room)).await
    }

    /// Returns all recordings of a room that take in media (or are about to), oldest first.
    pub async fn live_recordings(&self, room: &RoomName) -> Result<Vec<RecordingRow>, StoreError> {
        let room = room.clone();
        self.read("live_recordings", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT * FROM recordings WHERE room = ?1 AND phase IN ('starting', 'active') ORDER BY started_at",
            )?;
            query.query_map([room.as_str()], recording_row)?.collect()
        })
        .await
    }

    /// Returns the newest exclusive recording of a room that takes in no more media but has not ended.
    pub async fn finishing_recording(&self, room: &RoomName) -> Result<Option<RecordingRow>, StoreError> {
        let room = room.clone();
        self.read("finishing_recording", move |tx| {
            optional_row(
                tx,
                "SELECT * FROM recordings WHERE exclusive_room = ?1 AND phase IN ('stopping', 'uploading')
                 ORDER BY started_at DESC LIMIT 1",
                room.as_str(),
            )
        })
        .await
    }

    /// Returns every recording that has not ended, oldest first. The next start continues them.
    pub async fn unfinished(&self) -> Result<Vec<RecordingRow>, StoreError> {
        self.read("unfinished", |tx| {
            let mut query = tx.prepare(
                "SELECT * FROM recordings WHERE phase IN ('starting', 'active', 'stopping', 'uploading')
                 ORDER BY started_at",
            )?;
            query.query_map([], recording_row)?.collect()
        })
        .await
    }

    pub async fn recording(&self, id: &EgressId) -> Result<Option<RecordingRow>, StoreError> {
        let id = id.clone();
        self.read("recording", move |tx| by_id(tx, &id)).await
    }
}

fn insert(tx: &Transaction<'_>, new: &NewRecording) -> rusqlite::Result<Inserted> {
    if let Some(same_id) = by_id(tx, &new.egress_id)? {
        return Ok(if same_id.room == new.room { Inserted::Existing(same_id) } else { Inserted::IdTaken });
    }
    let exclusive_room = match new.exclusivity {
        Exclusivity::Exclusive => Some(&new.room),
        Exclusivity::Shared => None,
    };
    if let Some(room) = exclusive_room
        && let Some(existing) = live(tx, room)?
    {
        return Ok(Inserted::Existing(existing));
    }
    let key = free_key(tx, &new.key)?;
    let row = tx.query_row(
        "INSERT INTO recordings (egress_id, room, exclusive_room, phase, started_at, object_key, options)
         VALUES (:egress_id, :room, :exclusive_room, :phase, :started_at, :key, :options) RETURNING *",
        named_params! {
            ":egress_id": new.egress_id.as_str(),
            ":room": new.room.as_str(),
            ":exclusive_room": exclusive_room.map(RoomName::as_str),
            ":phase": Phase::Starting.as_str(),
            ":started_at": Millis(new.started_at),
            ":key": key,
            ":options": Json(&new.options),
        },
        recording_row,
    )?;
    Ok(Inserted::New(row))
}

/// Adds the deliveries of a change of phase. Called before the change.
fn tell_of_phase(
    tx: &Transaction<'_>,
    id: &EgressId,
    phase: Phase,
    update: Option<&StatusUpdate>,
) -> rusqlite::Result<()> {
    let Some(StatusUpdate { event, at }) = update else { return Ok(()) };
    let mut other = tx.prepare_cached(
        "SELECT 1 FROM recordings WHERE egress_id = ?1 AND ended_at IS NULL AND phase <> ?2",
    )?;
    match other.exists([id.as_str(), phase.as_str()])? {
        true => add_deliveries(tx, id, event, *at),
        false => Ok(()),
    }
}

/// Returns the wanted key, or the first free one with `-2`, `-3`... if it is taken.
fn free_key(tx: &Transaction<'_>, wanted: &str) -> rusqlite::Result<String> {
    let mut taken = tx.prepare_cached("SELECT 1 FROM recordings WHERE object_key = ?1")?;
    let mut key = wanted.to_owned();
    let mut number = 2_u32;
    while taken.exists([&key])? {
        key = with_suffix(wanted, number);
        number += 1;
    }
    Ok(key)
}

/// Returns `room/time-2.mp4` for `room/time.mp4`. The room's name may contain dots.
fn with_suffix(key: &str, number: u32) -> String {
    let name_at = key.rfind('/').map_or(0, |slash| slash + 1);
    match key[name_at..].rfind('.') {
        Some(dot) => {
            let (stem, extension) = key.split_at(name_at + dot);
            format!("{stem}-{number}{extension}")
        }
        None => format!("{key}-{number}"),
    }
}

fn end(
    tx: &Transaction<'_>,
    id: &EgressId,
    ending: &Ending,
    event: &OutboxEvent,
) -> rusqlite::Result<EndResult> {
    let (phase, saved, error) = match &ending.outcome {
        Outcome::Complete(saved) => (Phase::Complete, Some(saved), None),
        Outcome::Failed { error, saved } => (Phase::Failed, saved.as_ref(), Some(error)),
    };
    let changed = tx.execute(
        "UPDATE recordings SET phase = :phase, ended_at = :ended_at, file = :file,
                duration_s = :duration_s, size = :size, store = :store, error = :error
         WHERE egress_id = :egress_id AND ended_at IS NULL",
        named_params! {
            ":egress_id": id.as_str(),
            ":phase": phase.as_str(),
            ":ended_at": Millis(ending.ended_at),
            ":file": saved.map(|saved| &saved.key),
            ":duration_s": Count(saved.map_or(0, |saved| saved.duration_s)),
            ":size": Count(saved.map_or(0, |saved| saved.size)),
            ":store": saved.map(|saved| saved.store).unwrap_or_default().as_str(),
            ":error": error,
        },
    )?;
    if changed == 0 {
        return Ok(EndResult::AlreadyEnded);
    }
    if let Some(saved) = saved {
        forget_upload_in_use(tx, id, saved.store)?;
    }
    add_deliveries(tx, id, event, ending.ended_at)?;
    Ok(EndResult::Ended)
}

fn live(tx: &Transaction<'_>, room: &RoomName) -> rusqlite::Result<Option<RecordingRow>> {
    optional_row(
        tx,
        "SELECT * FROM recordings WHERE exclusive_room = ?1 AND phase IN ('starting', 'active')",
        room.as_str(),
    )
}

fn by_id(tx: &Transaction<'_>, id: &EgressId) -> rusqlite::Result<Option<RecordingRow>> {
    optional_row(tx, "SELECT * FROM recordings WHERE egress_id = ?1", id.as_str())
}

fn optional_row(tx: &Transaction<'_>, sql: &str, key: &str) -> rusqlite::Result<Option<RecordingRow>> {
    let mut query = tx.prepare_cached(sql)?;
    let mut rows = query.query_map([key], recording_row)?;
    rows.next().transpose()
}

pub(super) fn recording_row(row: &Row<'_>) -> rusqlite::Result<RecordingRow> {
    let optional_time = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<Millis>>(column)?.map(|Millis(time)| time))
    };
    let Millis(started_at) = row.get("started_at")?;
    let Count(duration_s) = row.get("duration_s")?;
    let Count(size) = row.get("size")?;
    let file: Option<String> = row.get("file")?;
    let store = parsed(row, "store")?;
    Ok(RecordingRow {
        egress_id: parsed(row, "egress_id")?,
        room: parsed(row, "room")?,
        phase: parsed(row, "phase")?,
        started_at,
        key: row.get("object_key")?,
        options: from_json(row, "options")?,
        zero: optional_time("zero")?,
        first_media_at: optional_time("first_media_at")?,
        end_status: row.get("verdict")?,
        ended_at: optional_time("ended_at")?,
        saved: file.map(|key| SavedFile { key, duration_s, size, store }),
        error: row.get("error")?,
    })
}
