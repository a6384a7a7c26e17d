//! Owns the health check: whether recordings can be started, and what each component has to say.
//!
//! Contract: 200 as long as a recording could be started now and nothing of it would be lost, 503 otherwise. A store that
//! is away does not stand in the way: recordings wait for it on the disk. Nobody outside is asked anything for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::problem::Problem;
use crate::api::recorder::{Readiness, Recorder, Space, Standing};

/// A database on a disk that does not answer is none.
const PATIENCE: Duration = Duration::from_secs(3);

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
    let health = match tokio::time::timeout(PATIENCE, recorder.readiness()).await {
        Ok(Ok(readiness)) => Health::of(&readiness),
        Ok(Err(error)) => {
            // The log is told what; whoever asks here has not signed anything.
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
            livekit: Component::standing(&readiness.livekit),
            encoders: Component::standing(&readiness.encoders),
            store: store
                .map_or_else(Component::ok, |trouble| Component::bad(Level::Degraded, &trouble.reason)),
            disk: Component::unless(disk),
            capacity: Component::unless(readiness.places.trouble()),
        })
    }

    /// Of the others nothing is known without it, and they are not to be suspected.
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

    fn standing(standing: &Standing) -> Self {
        match standing {
            Standing::Good => Self::ok(),
            Standing::Unknown => Self::bad(Level::Unavailable, "not known yet"),
            Standing::Bad { reason } => Self::bad(Level::Unavailable, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::recorder::Trouble;
    use crate::control::{Places, Shortage};

    fn ready() -> Readiness {
        Readiness {
            livekit: Standing::Good,
            encoders: Standing::Good,
            space: Space::Ample,
            places: Places::Free,
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
        let bad = || Standing::Bad { reason: "words".into() };
        let cases = [
            ("livekit", Readiness { livekit: bad(), ..ready() }, "words"),
            ("livekit", Readiness { livekit: Standing::Unknown, ..ready() }, "not known yet"),
            ("encoders", Readiness { encoders: bad(), ..ready() }, "words"),
            ("disk", Readiness { space: Space::Short, ..ready() }, "the disk with the spools runs short"),
            (
                "capacity",
                Readiness { places: Places::Short(Shortage::Memory), ..ready() },
                "the recorder is short of memory",
            ),
            ("capacity", Readiness { places: Places::Ending, ..ready() }, "the service is shutting down"),
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
