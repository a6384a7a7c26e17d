//! Owns how recordings are listed: newest first, page by page.
//!
//! Contract: a page begins where the last one ended, whatever was started or changed in between. Its cost
//! depends on its own length, not on the pages before it: an index gives both the order and the position.

use jiff::Timestamp;
use rusqlite::{ToSql, Transaction};

use super::columns::{Count, Millis};
use super::phase::Phases;
use super::recordings::{RecordingRow, recording_row};
use super::{Store, StoreError};
use crate::ids::{EgressId, RoomName};

/// Selects recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingQuery {
    /// Only those of this room.
    pub room: Option<RoomName>,
    /// Only those in one of these phases.
    pub phases: Option<Phases>,
    /// Only those that come after this position.
    pub after: Option<Position>,
    /// The most recordings on the page.
    pub limit: u32,
}

/// A recording's position in the list. Recordings that were started in the same millisecond are ordered by
/// their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub started_at: Timestamp,
    pub egress_id: EgressId,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RecordingPage {
    pub rows: Vec<RecordingRow>,
    /// The next page begins after this position; `None` on the last page.
    pub next: Option<Position>,
}

impl Store {
    pub async fn recordings(&self, query: RecordingQuery) -> Result<RecordingPage, StoreError> {
        self.read("recordings", move |tx| page(tx, &query)).await
    }
}

fn page(tx: &Transaction<'_>, query: &RecordingQuery) -> rusqlite::Result<RecordingPage> {
    let limit = query.limit as usize;
    let mut select = tx.prepare_cached(&sql(query))?;
    let mut rows: Vec<RecordingRow> = with_values(query, |values| -> rusqlite::Result<_> {
        select.query_map(values, recording_row)?.collect()
    })?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| Position { started_at: row.started_at, egress_id: row.egress_id.clone() });
    Ok(RecordingPage { rows, next })
}

/// Returns one of sixteen texts, so that each is prepared only once.
fn sql(query: &RecordingQuery) -> String {
    let (mut index, mut conditions) = ("", Vec::new());
    if query.room.is_some() {
        conditions.push("room = :room");
    }
    match query.phases {
        None => {}
        // The plus keeps SQLite from using the index of the phase, which has far more entries than one room.
        Some(Phases::Only(_)) if query.room.is_some() => conditions.push("+phase = :phase"),
        Some(Phases::Only(_)) => conditions.push("phase = :phase"),
        // The same words as in the index of unfinished recordings, which has few entries, also for one room.
        Some(Phases::Unfinished) => {
            index = "INDEXED BY unfinished_recordings";
            conditions.push("phase IN ('starting', 'active', 'stopping', 'uploading')");
        }
        // Few recordings are unfinished, so skipping them costs nothing.
        Some(Phases::Finished) => conditions.push("ended_at IS NOT NULL"),
    }
    if query.after.is_some() {
        conditions.push("(started_at, egress_id) < (:started_at, :egress_id)");
    }
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    format!(
        "SELECT * FROM recordings {index} {conditions} ORDER BY started_at DESC, egress_id DESC LIMIT :limit"
    )
}

/// Runs `run` with the values for [`sql`], by their names.
fn with_values<T>(query: &RecordingQuery, run: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
    // One more than the page has, to know whether there is a next page.
    let limit = Count(u64::from(query.limit) + 1);
    let room = query.room.as_ref().map(RoomName::as_str);
    let phase = match query.phases {
        Some(Phases::Only(phase)) => Some(phase.as_str()),
        Some(Phases::Unfinished | Phases::Finished) | None => None,
    };
    let after = query.after.as_ref();
    let after = after.map(|position| (Millis(position.started_at), position.egress_id.as_str()));
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":limit", &limit)];
    if let Some(room) = &room {
        values.push((":room", room));
    }
    if let Some(phase) = &phase {
        values.push((":phase", phase));
    }
    if let Some((started_at, egress_id)) = &after {
        values.push((":started_at", started_at));
        values.push((":egress_id", egress_id));
    }
    run(&values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Phase;

    const SECOND: i64 = 1_713_693_600_000;

    struct Scene {
        _dir: tempfile::TempDir,
        store: Store,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("egressd.db")).unwrap();
            Self { _dir: dir, store }
        }

        /// Adds a recording that was started so many milliseconds after the first possible moment.
        async fn add(&self, room: &str, phase: Phase, millis: i64) -> String {
            let id = EgressId::random();
            let error = (phase == Phase::Failed).then_some("It failed.");
            let ended = error.map(|_| SECOND + millis);
            let row = (id.to_string(), room.to_owned(), phase.as_str(), SECOND + millis, ended, error);
            let insert = move |tx: &Transaction<'_>| {
                let sql = "INSERT INTO recordings
                           (egress_id, room, phase, started_at, ended_at, error, object_key)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?1)";
                tx.execute(sql, row).map(drop)
            };
            self.store.write("add", insert).await.unwrap();
            id.to_string()
        }

        async fn page(&self, query: RecordingQuery) -> (Vec<String>, Option<Position>) {
            let page = self.store.recordings(query).await.unwrap();
            (page.rows.iter().map(|row| row.egress_id.to_string()).collect(), page.next)
        }
    }

    fn all(limit: u32) -> RecordingQuery {
        RecordingQuery { room: None, phases: None, after: None, limit }
    }

    #[tokio::test]
    async fn every_recording_is_on_one_page_newest_first_while_new_ones_are_started() {
        let scene = Scene::new();
        let mut expected = Vec::new();
        // Three in each millisecond.
        for number in 0..12 {
            expected.push((number / 3, scene.add("room", Phase::Failed, number / 3).await));
        }
        expected.sort_unstable_by(|one, two| two.cmp(one));
        let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();

        let (mut listed, mut query) = (Vec::new(), all(5));
        loop {
            let (ids, next) = scene.page(query.clone()).await;
            listed.extend(ids);
            scene.add("other", Phase::Failed, 1000).await;
            let Some(next) = next else { break };
            query.after = Some(next);
        }
        assert_eq!(listed, expected);
    }

    #[tokio::test]
    async fn a_page_that_is_just_full_is_the_last_one_if_nothing_follows() {
        let scene = Scene::new();
        assert_eq!(scene.page(all(2)).await, (vec![], None));
        scene.add("room", Phase::Failed, 1).await;
        scene.add("room", Phase::Failed, 2).await;
        let (ids, next) = scene.page(all(2)).await;
        assert_eq!((ids.len(), next), (2, None));
    }

    #[tokio::test]
    async fn a_list_holds_what_is_of_the_room_and_in_the_phase() {
        let scene = Scene::new();
        let failed = scene.add("one", Phase::Failed, 1).await;
        let active = scene.add("one", Phase::Active, 2).await;
        let other = scene.add("two", Phase::Active, 3).await;
        let one = Some("one".parse().unwrap());
        let in_phase = |phase| RecordingQuery { phases: Some(Phases::Only(phase)), ..all(9) };
        let of_one = RecordingQuery { room: one.clone(), ..all(9) };
        assert_eq!(scene.page(of_one).await.0, [active.clone(), failed.clone()]);
        assert_eq!(scene.page(in_phase(Phase::Active)).await.0, [other.clone(), active.clone()]);
        let both = RecordingQuery { room: one, ..in_phase(Phase::Active) };
        assert_eq!(scene.page(both).await.0, std::slice::from_ref(&active));
        let of = |phases| RecordingQuery { phases: Some(phases), ..all(9) };
        assert_eq!(scene.page(of(Phases::Unfinished)).await.0, [other, active]);
        assert_eq!(scene.page(of(Phases::Finished)).await.0, [failed]);
    }

    #[tokio::test]
    async fn an_index_gives_the_order_and_the_place_of_every_list() {
        let scene = Scene::new();
        let room = || Some("room".parse().unwrap());
        let after = || {
            let started_at = Timestamp::from_millisecond(SECOND).unwrap();
            Some(Position { started_at, egress_id: EgressId::random() })
        };
        let cases = [
            (None, None, "recordings_by_time"),
            (room(), None, "recordings_of_a_room"),
            (None, Some(Phases::Only(Phase::Complete)), "recordings_of_a_phase"),
            (room(), Some(Phases::Only(Phase::Complete)), "recordings_of_a_room"),
            (None, Some(Phases::Unfinished), "unfinished_recordings"),
            (room(), Some(Phases::Unfinished), "unfinished_recordings"),
            (None, Some(Phases::Finished), "recordings_by_time"),
            (room(), Some(Phases::Finished), "recordings_of_a_room"),
        ];
        for (room, phases, index) in cases {
            let query = RecordingQuery { room, phases, after: after(), limit: 20 };
            let plan = scene.store.read("plan", move |tx| {
                let mut explain = tx.prepare(&format!("EXPLAIN QUERY PLAN {}", sql(&query)))?;
                with_values(&query, |values| -> rusqlite::Result<Vec<String>> {
                    explain.query_map(values, |row| row.get("detail"))?.collect()
                })
            });
            let plan = plan.await.unwrap().join("\n");
            assert!(plan.contains(&format!("SEARCH recordings USING INDEX {index} ")), "{plan}");
            assert!(plan.contains("<"), "the place is not looked up: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "the order is made: {plan}");
        }
    }
}
