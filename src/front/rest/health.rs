//! Owns the health check: whether recordings can be started, and the state of each component.
//!
//! Contract: 200 as long as a recording could be started now without losing any of it, 503 otherwise. A store
//! that does not answer is no obstacle: recordings wait for it on the disk. A health check sends no request
//! to LiveKit or the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admission::Space;
use crate::control::Recorder;
use crate::front::http::problem::Problem;
use crate::health::{Readiness, Status};

/// A database that takes longer counts as not answering; its disk may hang.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// It works, but somebody should look at it.
    Degraded,
    Unavailable,
}

#[derive(Serialize, ToSchema)]
pub struct Health {
    status: Level,
    components: Components,
}

#[derive(Serialize, ToSchema)]
struct Components {
    database: Component,
    livekit: Component,
    encoders: Component,
    store: Component,
    disk: Component,
    capacity: Component,
}

#[derive(Serialize, ToSchema)]
struct Component {
    status: Level,
    /// Only where it is not well.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether recordings can be started.
#[utoipa::path(
    get,
    path = "/v1/health",
    operation_id = "showHealth",
    tag = "service",
    responses(
        (status = 200, description = "They can.", body = Health),
        (status = 503, description = "They cannot; the component says why.", body = Health),
    )
)]
pub async fn show(State(recorder): State<Arc<dyn Recorder>>) -> (StatusCode, Json<Health>) {
    let health = match tokio::time::timeout(DATABASE_TIMEOUT, recorder.readiness()).await {
        Ok(Ok(readiness)) => Health::of(&readiness),
        Ok(Err(error)) => {
            // The cause is only logged: the caller has not signed anything.
            let _logged = Problem::internal(&error);
            Health::without_database()
        }
        Err(_elapsed) => Health::without_database(),
    };
    let status = match health.status {
        Level::Ok | Level::Degraded => StatusCode::OK,
        Level::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health))
}

impl Health {
    fn of(readiness: &Readiness) -> Self {
        let store = readiness.store_trouble.as_ref();
        let disk = match readiness.space {
            Space::Ample => None,
            Space::Short => Some("the disk with the spools runs short"),
            Space::Exhausted => Some("the disk with the spools is full"),
        };
        Self::made_of(Components {
            database: Component::ok(),
            livekit: Component::status(&readiness.livekit),
            encoders: Component::status(&readiness.encoders),
            store: store
                .map_or_else(Component::ok, |trouble| Component::bad(Level::Degraded, &trouble.reason)),
            disk: Component::unless(disk),
            capacity: Component::unless(readiness.admission.trouble()),
        })
    }

    /// Without the database, nothing is known of the others. They are not to be suspected.
    fn without_database() -> Self {
        Self::made_of(Components {
            database: Component::unless(Some("the database does not answer")),
            livekit: Component::ok(),
            encoders: Component::ok(),
            store: Component::ok(),
            disk: Component::ok(),
            capacity: Component::ok(),
        })
    }

    fn made_of(components: Components) -> Self {
        let Components { database, livekit, encoders, store, disk, capacity } = &components;
        let all = [database, livekit, encoders, store, disk, capacity].map(|component| component.status);
        Self { status: all.into_iter().max().unwrap_or(Level::Ok), components }
    }
}

impl Component {
    fn ok() -> Self {
        Self { status: Level::Ok, reason: None }
    }

    fn bad(status: Level, reason: &str) -> Self {
        Self { status, reason: Some(reason.to_owned()) }
    }

    fn unless(trouble: Option<&str>) -> Self {
        trouble.map_or_else(Self::ok, |reason| Self::bad(Level::Unavailable, reason))
    }

    fn status(status: &Status) -> Self {
        match status {
            Status::Good => Self::ok(),
            Status::Unknown => Self::bad(Level::Unavailable, "not known yet"),
            Status::Bad { reason } => Self::bad(Level::Unavailable, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::admission::Shortage;
    use crate::health::Admission;
    use crate::upload::Trouble;

    fn ready() -> Readiness {
        Readiness {
            livekit: Status::Good,
            encoders: Status::Good,
            space: Space::Ample,
            admission: Admission::Free,
            store_trouble: None,
        }
    }

    fn shown(readiness: &Readiness) -> serde_json::Value {
        serde_json::to_value(Health::of(readiness)).unwrap()
    }

    #[test]
    fn where_everything_is_well_every_component_says_so() {
        let ok = serde_json::json!({"status": "ok"});
        let shown = shown(&ready());
        assert_eq!(shown["status"], "ok");
        for component in ["database", "livekit", "encoders", "store", "disk", "capacity"] {
            assert_eq!(shown["components"][component], ok, "{component}");
        }
    }

    #[test]
    fn whatever_keeps_a_recording_from_starting_makes_the_service_unavailable() {
        let bad = || Status::Bad { reason: "words".into() };
        let cases = [
            ("livekit", Readiness { livekit: bad(), ..ready() }, "words"),
            ("livekit", Readiness { livekit: Status::Unknown, ..ready() }, "not known yet"),
            ("encoders", Readiness { encoders: bad(), ..ready() }, "words"),
            ("disk", Readiness { space: Space::Short, ..ready() }, "the disk with the spools runs short"),
            (
                "capacity",
                Readiness { admission: Admission::Short(Shortage::Memory), ..ready() },
                "the recorder is short of memory",
            ),
            (
                "capacity",
                Readiness { admission: Admission::Ending, ..ready() },
                "the service is shutting down",
            ),
        ];
        for (component, readiness, reason) in cases {
            let shown = shown(&readiness);
            assert_eq!(shown["status"], "unavailable", "{shown}");
            let expected = serde_json::json!({"status": "unavailable", "reason": reason});
            assert_eq!(shown["components"][component], expected);
        }
    }

    #[test]
    fn a_store_that_is_away_keeps_nobody_from_recording() {
        let trouble = Trouble { reason: "words".into(), since: Timestamp::UNIX_EPOCH, attempts: 1 };
        let shown = shown(&Readiness { store_trouble: Some(trouble), ..ready() });
        assert_eq!(
            (&shown["status"], &shown["components"]["store"]["reason"]),
            (&"degraded".into(), &"words".into())
        );
    }
}
