//! Owns the names and bodies of webhook events. Pure.
//!
//! Contract: the body of an `egress_ended` of a recording that succeeded has exactly six keys, in this order.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use crate::ids::{EgressId, RoomName, WebhookId};
use crate::store::{OutboxEvent, Outcome};

const TEST: &str = "test";

/// The events that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    EgressStarted,
    EgressUpdated,
    EgressEnded,
}

impl EventName {
    pub const ALL: [Self; 3] = [Self::EgressStarted, Self::EgressUpdated, Self::EgressEnded];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::EgressStarted => "egress_started",
            Self::EgressUpdated => "egress_updated",
            Self::EgressEnded => "egress_ended",
        }
    }
}

/// What a webhook subscribes to: one event by its exact name, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFilter {
    All,
    Only(EventName),
}

impl EventFilter {
    const EVERYTHING: &str = "*";
    pub const ALL: [Self; 4] = [
        Self::All,
        Self::Only(EventName::EgressStarted),
        Self::Only(EventName::EgressUpdated),
        Self::Only(EventName::EgressEnded),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => Self::EVERYTHING,
            Self::Only(name) => name.as_str(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no event; expected egress_started, egress_updated, egress_ended or *")]
pub struct UnknownEvent(String);

impl FromStr for EventFilter {
    type Err = UnknownEvent;

    fn from_str(word: &str) -> Result<Self, UnknownEvent> {
        if word == Self::EVERYTHING {
            return Ok(Self::All);
        }
        let name = EventName::ALL.into_iter().find(|name| name.as_str() == word);
        name.map(Self::Only).ok_or_else(|| UnknownEvent(word.to_owned()))
    }
}

/// `egress_started`: the first media came. The time has milliseconds and a `Z`.
pub fn egress_started(egress_id: &EgressId, room: &RoomName, started_at: Timestamp) -> OutboxEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        event: &'static str,
        egress_id: &'a EgressId,
        room_id: &'a RoomName,
        started_at: String,
    }
    outbox_event(EventName::EgressStarted, |event| Body {
        event,
        egress_id,
        room_id: room,
        started_at: format!("{started_at:.3}"),
    })
}

/// The state of a recording that `egress_updated` announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<'a> {
    /// In the API's words, like the layout and the fit.
    pub status: &'a str,
    pub layout: &'a str,
    /// `None`: the fit is chosen by the shape of each picture.
    pub fit: Option<&'a str>,
    pub at: Timestamp,
}

/// `egress_updated`: the status or the look of a recording has changed. The first media and the end have
/// events of their own.
pub fn egress_updated(egress_id: &EgressId, room: &RoomName, update: &Update<'_>) -> OutboxEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        event: &'static str,
        egress_id: &'a EgressId,
        room_id: &'a RoomName,
        status: &'a str,
        layout: &'a str,
        fit: Option<&'a str>,
        updated_at: String,
    }
    let &Update { status, layout, fit, at } = update;
    outbox_event(EventName::EgressUpdated, |event| Body {
        event,
        egress_id,
        room_id: room,
        status,
        layout,
        fit,
        updated_at: format!("{at:.3}"),
    })
}

/// `egress_ended`: the recording has ended, and all of it that could be saved is in the store.
pub fn egress_ended(egress_id: &EgressId, room: &RoomName, outcome: &Outcome) -> OutboxEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        event: &'static str,
        egress_id: &'a EgressId,
        room_id: &'a RoomName,
        file: Option<&'a str>,
        duration: u64,
        size: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    let (saved, error) = match outcome {
        Outcome::Complete(saved) => (Some(saved), None),
        Outcome::Failed { error, saved } => (saved.as_ref(), Some(error.as_str())),
    };
    outbox_event(EventName::EgressEnded, |event| Body {
        event,
        egress_id,
        room_id: room,
        file: saved.map(|saved| saved.key.as_str()),
        duration: saved.map_or(0, |saved| saved.duration_s),
        size: saved.map_or(0, |saved| saved.size),
        error,
    })
}

/// `test`: nothing has happened; a user wants to know whether events arrive. No filter selects this event.
pub fn test(webhook: &WebhookId, now: Timestamp) -> OutboxEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        event: &'static str,
        webhook_id: &'a WebhookId,
        sent_at: String,
    }
    let body = Body { event: TEST, webhook_id: webhook, sent_at: format!("{now:.3}") };
    OutboxEvent { name: TEST, body: json(&body) }
}

fn outbox_event<B: Serialize>(name: EventName, body: impl FnOnce(&'static str) -> B) -> OutboxEvent {
    let name = name.as_str();
    OutboxEvent { name, body: json(&body(name)) }
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings and numbers are always valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Destination, SavedFile};

    fn ids() -> (EgressId, RoomName) {
        ("EG_abc123abc123".parse().unwrap(), "room-abc".parse().unwrap())
    }

    fn saved() -> SavedFile {
        SavedFile {
            key: "room-abc/2024-04-21T10-00-00.mp4".to_owned(),
            duration_s: 3600,
            size: 512_000_000,
            store: Destination::Primary,
        }
    }

    #[test]
    fn a_recording_that_succeeded_is_told_in_six_keys_in_order() {
        let (id, room) = ids();
        let event = egress_ended(&id, &room, &Outcome::Complete(saved()));
        assert_eq!(event.name, "egress_ended");
        assert_eq!(
            event.body,
            r#"{"event":"egress_ended","egressId":"EG_abc123abc123","roomId":"room-abc","file":"room-abc/2024-04-21T10-00-00.mp4","duration":3600,"size":512000000}"#
        );
    }

    #[test]
    fn a_failed_recording_is_told_with_an_error_and_what_was_saved() {
        let (id, room) = ids();
        let outcome = Outcome::Failed { error: "The recorder crashed.".to_owned(), saved: Some(saved()) };
        assert_eq!(
            egress_ended(&id, &room, &outcome).body,
            r#"{"event":"egress_ended","egressId":"EG_abc123abc123","roomId":"room-abc","file":"room-abc/2024-04-21T10-00-00.mp4","duration":3600,"size":512000000,"error":"The recorder crashed."}"#
        );
    }

    #[test]
    fn a_failed_recording_without_a_file_says_null_and_zeros() {
        let (id, room) = ids();
        let outcome = Outcome::Failed { error: "Nothing was recorded.".to_owned(), saved: None };
        assert_eq!(
            egress_ended(&id, &room, &outcome).body,
            r#"{"event":"egress_ended","egressId":"EG_abc123abc123","roomId":"room-abc","file":null,"duration":0,"size":0,"error":"Nothing was recorded."}"#
        );
    }

    #[test]
    fn egress_started_has_its_time_in_milliseconds() {
        let (id, room) = ids();
        let started_at = "2024-04-21T10:00:00Z".parse().unwrap();
        assert_eq!(
            egress_started(&id, &room, started_at).body,
            r#"{"event":"egress_started","egressId":"EG_abc123abc123","roomId":"room-abc","startedAt":"2024-04-21T10:00:00.000Z"}"#
        );
    }

    #[test]
    fn an_update_says_what_the_recording_is_like_now() {
        let (id, room) = ids();
        let at = "2024-04-21T10:00:00.5Z".parse().unwrap();
        let update = Update { status: "active", layout: "speaker-light", fit: Some("contain"), at };
        assert_eq!(
            egress_updated(&id, &room, &update).body,
            r#"{"event":"egress_updated","egressId":"EG_abc123abc123","roomId":"room-abc","status":"active","layout":"speaker-light","fit":"contain","updatedAt":"2024-04-21T10:00:00.500Z"}"#
        );
        let by_shape = egress_updated(&id, &room, &Update { fit: None, ..update });
        assert!(by_shape.body.contains(r#""fit":null"#), "{}", by_shape.body);
    }

    #[test]
    fn a_test_says_which_webhook_it_is_for_and_when_it_was_sent() {
        let id = "wh_abcdefghijklmnop".parse().unwrap();
        assert_eq!(
            test(&id, "2024-04-21T10:00:00Z".parse().unwrap()).body,
            r#"{"event":"test","webhookId":"wh_abcdefghijklmnop","sentAt":"2024-04-21T10:00:00.000Z"}"#
        );
    }

    #[test]
    fn a_filter_is_an_exact_name_or_a_star() {
        assert_eq!("*".parse(), Ok(EventFilter::All));
        for name in EventName::ALL {
            assert_eq!(name.as_str().parse(), Ok(EventFilter::Only(name)));
        }
        for wrong in ["", "egress_*", "EGRESS_ENDED", " egress_ended", "test"] {
            assert!(wrong.parse::<EventFilter>().is_err(), "{wrong}");
        }
    }
}
