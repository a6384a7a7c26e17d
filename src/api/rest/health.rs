//! Owns the health check: whether recordings can be started, and what each component has to say.
//!
//! Contract: 200 as long as a recording could be started and nothing of it would be lost, 503 otherwise. A store that
//! is away does not stand in the way: recordings wait for it on the disk.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::api::problem::Problem;
use crate::api::recorder::{Overview, Recorder, Space};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// It works, but somebody should look at it.
    Degraded,
    Unavailable,
}

#[derive(Serialize)]
pub struct Health {
    status: Level,
    components: Components,
}

#[derive(Serialize)]
struct Components {
    database: Component,
    store: Component,
    disk: Component,
}

#[derive(Serialize)]
struct Component {
    status: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub async fn show(State(recorder): State<Arc<dyn Recorder>>) -> (StatusCode, Json<Health>) {
    let health = match recorder.overview().await {
        Ok(overview) => Health::of(&overview),
        Err(error) => {
            // The log is told what; whoever asks here has not signed anything.
            let _logged = Problem::internal(&error);
            Health::without_database()
        }
    };
    let status = match health.status {
        Level::Ok | Level::Degraded => StatusCode::OK,
        Level::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health))
}

impl Health {
    fn of(overview: &Overview) -> Self {
        let store = match overview.store_trouble() {
            Some(trouble) => Component::bad(Level::Degraded, &trouble.reason),
            None => Component::ok(),
        };
        let disk = match overview.space {
            Space::Ample => Component::ok(),
            Space::Short => Component::bad(Level::Unavailable, "the disk with the spools runs short"),
            Space::Exhausted => Component::bad(Level::Unavailable, "the disk with the spools is full"),
        };
        Self::made_of(Components { database: Component::ok(), store, disk })
    }

    fn without_database() -> Self {
        let database = Component::bad(Level::Unavailable, "the database does not answer");
        Self::made_of(Components { database, store: Component::ok(), disk: Component::ok() })
    }

    fn made_of(components: Components) -> Self {
        let Components { database, store, disk } = &components;
        let status = database.status.max(store.status).max(disk.status);
        Self { status, components }
    }
}

impl Component {
    fn ok() -> Self {
        Self { status: Level::Ok, reason: None }
    }

    fn bad(status: Level, reason: &str) -> Self {
        Self { status, reason: Some(reason.to_owned()) }
    }
}
