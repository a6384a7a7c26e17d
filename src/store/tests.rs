//! The contract of the database, tried on a real file.

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::ids::{EgressId, RoomName, WebhookId};
use crate::media::{Decorations, Watermark};
use crate::options::RecordingOptions;
use crate::report::{QualityReport, TrackReport};

const KEY: &str = "room/2024-04-21T10-00-00.mp4";
pub(super) const EVENT: &str = "egress_ended";

pub(super) fn opened() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("egressd.db")).unwrap();
    (dir, store)
}

pub(super) fn now() -> Timestamp {
    "2024-04-21T10:00:00.123Z".parse().unwrap()
}

pub(super) fn room() -> RoomName {
    "room".parse().unwrap()
}

fn other_room() -> RoomName {
    "another".parse().unwrap()
}

pub(super) fn new_recording() -> NewRecording {
    NewRecording {
        egress_id: EgressId::random(),
        room: room(),
        exclusivity: Exclusivity::Exclusive,
        started_at: now(),
        key: KEY.to_owned(),
        options: RecordingOptions::default(),
    }
}

pub(super) async fn started(store: &Store) -> RecordingRow {
    match store.insert_recording(new_recording()).await.unwrap() {
        Inserted::New(row) => row,
        other @ (Inserted::Existing(_) | Inserted::IdTaken) => panic!("{other:?}"),
    }
}

pub(super) fn ended() -> OutboxEvent {
    OutboxEvent { name: EVENT, body: "{}".to_owned() }
}

pub(super) fn complete() -> Ending {
    Ending {
        outcome: Outcome::Complete(SavedFile {
            key: KEY.to_owned(),
            duration_s: 3600,
            size: 512_000_000,
            store: Destination::Primary,
        }),
        ended_at: now(),
    }
}

pub(super) async fn webhook(store: &Store, events: &[&str]) -> WebhookId {
    let id = WebhookId::random();
    let row = WebhookRow {
        id: id.clone(),
        url: "https://hooks.example/".to_owned(),
        secret: "secret".into(),
        events: events.iter().map(|&event| event.to_owned()).collect(),
        created_at: now(),
        source: WebhookSource::Api,
    };
    store.insert_webhook(row).await.unwrap();
    id
}

#[tokio::test]
async fn starts_that_race_make_one_recording() {
    let (_dir, store) = opened();
    let inserts = (0..16).map(|_| store.insert_recording(new_recording()));
    let results = futures_util::future::try_join_all(inserts).await.unwrap();

    let new = results.iter().filter(|result| matches!(result, Inserted::New(_)));
    assert_eq!(new.count(), 1);
    let ids = results.iter().map(|result| match result {
        Inserted::New(row) | Inserted::Existing(row) => &row.egress_id,
        Inserted::IdTaken => panic!("each start has an id of its own"),
    });
    let first = ids.clone().next().unwrap();
    assert!(ids.into_iter().all(|id| id == first));
}

#[tokio::test]
async fn a_room_can_be_recorded_again_once_its_recording_is_finishing() {
    let (_dir, store) = opened();
    let first = started(&store).await;
    assert_eq!(store.live_recording(&room()).await.unwrap(), Some(first.clone()));

    assert!(store.set_phase(&first.egress_id, Phase::Stopping, None).await.unwrap());
    assert_eq!(store.live_recording(&room()).await.unwrap(), None);
    let finishing = store.finishing_recording(&room()).await.unwrap().unwrap();
    assert_eq!(finishing.egress_id, first.egress_id);
    assert_eq!(finishing.phase, Phase::Stopping);

    let second = started(&store).await;
    assert_ne!(second.egress_id, first.egress_id);
}

#[tokio::test]
async fn recordings_that_are_not_exclusive_stand_beside_that_of_their_room() {
    let (_dir, store) = opened();
    let shared = || NewRecording { exclusivity: Exclusivity::Shared, ..new_recording() };
    let mut live = Vec::new();
    for new in [shared(), new_recording(), shared()] {
        let Inserted::New(row) = store.insert_recording(new).await.unwrap() else { panic!("not started") };
        live.push(row);
    }
    let exclusive = live[1].clone();
    assert_eq!(store.insert_recording(new_recording()).await.unwrap(), Inserted::Existing(exclusive.clone()));
    assert_eq!(store.live_recording(&room()).await.unwrap(), Some(exclusive));
    let mut listed = store.live_recordings(&room()).await.unwrap();
    // They began in the same millisecond.
    listed.sort_by_key(|row| row.key.clone());
    live.sort_by_key(|row| row.key.clone());
    assert_eq!(listed, live);

    assert!(store.set_phase(&live[0].egress_id, Phase::Stopping, None).await.unwrap());
    assert_eq!(store.live_recordings(&room()).await.unwrap().len(), 2);
    assert_eq!(store.finishing_recording(&other_room()).await.unwrap(), None);
}

#[tokio::test]
async fn an_id_from_outside_starts_one_recording_however_often_it_comes() {
    let (_dir, store) = opened();
    let shared = NewRecording { exclusivity: Exclusivity::Shared, ..new_recording() };
    let Inserted::New(row) = store.insert_recording(shared.clone()).await.unwrap() else {
        panic!("not started")
    };
    assert_eq!(store.insert_recording(shared.clone()).await.unwrap(), Inserted::Existing(row));
    let elsewhere = NewRecording { room: other_room(), ..shared };
    assert_eq!(store.insert_recording(elsewhere).await.unwrap(), Inserted::IdTaken);
}

#[tokio::test]
async fn an_object_key_that_is_taken_gets_a_number_before_its_extension() {
    let (_dir, store) = opened();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let row = started(&store).await;
        store.set_phase(&row.egress_id, Phase::Stopping, None).await.unwrap();
        keys.push(row.key);
    }
    let expected =
        ["room/2024-04-21T10-00-00.mp4", "room/2024-04-21T10-00-00-2.mp4", "room/2024-04-21T10-00-00-3.mp4"];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_recording_ends_once_and_each_webhook_is_told_once() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &[EVENT]).await;
    let id = started(&store).await.egress_id;

    let first = store.end_recording(&id, complete(), ended()).await.unwrap();
    assert_eq!(first, EndResult::Ended);
    let failed =
        Ending { outcome: Outcome::Failed { error: "late".to_owned(), saved: None }, ended_at: now() };
    let second = store.end_recording(&id, failed, ended()).await.unwrap();
    assert_eq!(second, EndResult::AlreadyEnded);
    assert!(!store.set_phase(&id, Phase::Uploading, None).await.unwrap());

    let row = store.recording(&id).await.unwrap().unwrap();
    assert_eq!(row.phase, Phase::Complete);
    assert_eq!(Outcome::Complete(row.saved.unwrap()), complete().outcome);
    assert_eq!(row.ended_at, Some(now()));
    assert_eq!(row.error, None);
    assert_eq!(store.all_deliveries(&hook).await.len(), 1);
}

#[tokio::test]
async fn the_first_media_is_told_once() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    let event = || OutboxEvent { name: "egress_started", body: "{}".to_owned() };

    assert!(store.media_started(&id, now(), event()).await.unwrap());
    assert!(!store.media_started(&id, now(), event()).await.unwrap());
    assert_eq!(store.all_deliveries(&hook).await.len(), 1);
    let row = store.recording(&id).await.unwrap().unwrap();
    assert_eq!(row.first_media_at, Some(now()));
}

#[tokio::test]
async fn only_webhooks_that_ask_for_an_event_get_it() {
    let (_dir, store) = opened();
    let exact = webhook(&store, &[EVENT]).await;
    let all = webhook(&store, &["*"]).await;
    let both = webhook(&store, &["*", EVENT]).await;
    let other = webhook(&store, &["egress_started"]).await;
    let id = started(&store).await.egress_id;
    store.end_recording(&id, complete(), ended()).await.unwrap();

    for (hook, expected) in [(exact, 1), (all, 1), (both, 1), (other, 0)] {
        assert_eq!(store.all_deliveries(&hook).await.len(), expected);
    }
}

#[tokio::test]
async fn what_was_unfinished_and_undelivered_is_there_after_a_restart() {
    let (dir, store) = opened();
    webhook(&store, &["*"]).await;
    let done = started(&store).await.egress_id;
    store.end_recording(&done, complete(), ended()).await.unwrap();
    let unfinished = started(&store).await;
    drop(store);

    let store = Store::open(&dir.path().join("egressd.db")).unwrap();
    assert_eq!(store.unfinished().await.unwrap(), [unfinished]);
    assert_eq!(store.due_deliveries(now(), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_webhook_gets_nothing_any_more() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    store.end_recording(&id, complete(), ended()).await.unwrap();

    assert!(store.delete_webhook(&hook).await.unwrap());
    assert!(!store.delete_webhook(&hook).await.unwrap());
    assert!(store.webhook(&hook).await.unwrap().is_none());
    assert!(store.due_deliveries(now(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn webhooks_become_what_the_configuration_says_and_others_go_with_their_events() {
    let (_dir, store) = opened();
    let registered = webhook(&store, &["*"]).await;
    let row = |url: &str| WebhookRow {
        id: WebhookId::of_name("one"),
        url: url.to_owned(),
        secret: "secret".into(),
        events: vec!["*".to_owned()],
        created_at: now(),
        source: WebhookSource::Config,
    };
    let two = WebhookRow { id: WebhookId::of_name("two"), ..row("https://two.example/") };
    assert_eq!(store.set_static_webhooks(vec![row("https://one.example/"), two]).await.unwrap(), []);
    let id = started(&store).await.egress_id;
    store.end_recording(&id, complete(), ended()).await.unwrap();

    let later = WebhookRow { created_at: Timestamp::UNIX_EPOCH, ..row("https://moved.example/") };
    let forgotten = store.set_static_webhooks(vec![later]).await.unwrap();
    assert_eq!(forgotten, [ForgottenWebhook { id: WebhookId::of_name("two"), pending: 1 }]);
    let kept = store.webhook(&WebhookId::of_name("one")).await.unwrap().unwrap();
    assert_eq!(
        (&*kept.url, kept.created_at, kept.source),
        ("https://moved.example/", now(), WebhookSource::Config)
    );
    let due = store.due_deliveries(now(), 10).await.unwrap();
    let mut urls: Vec<_> = due.iter().map(|due| due.url.as_str()).collect();
    urls.sort_unstable();
    assert_eq!(
        urls,
        ["https://hooks.example/", "https://moved.example/"],
        "the rest is delivered to where it is now"
    );

    store.set_static_webhooks(vec![]).await.unwrap();
    let left: Vec<_> = store.webhooks().await.unwrap().into_iter().map(|webhook| webhook.id).collect();
    assert_eq!(left, [registered], "what a call has made is the calls'");
}

#[tokio::test]
async fn a_change_of_phase_is_told_once_and_a_change_of_view_every_time() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    let update = |body: &str| {
        let event = OutboxEvent { name: "egress_updated", body: body.to_owned() };
        Some(StatusUpdate { event, at: now() })
    };
    for _ in 0..2 {
        store.set_phase(&id, Phase::Active, update("active")).await.unwrap();
    }
    for _ in 0..2 {
        store.set_options(&id, RecordingOptions::default(), update("view")).await.unwrap();
    }
    for _ in 0..2 {
        store.set_verdict(&id, "{}".to_owned(), update("uploading")).await.unwrap();
    }
    store.set_options(&id, RecordingOptions::default(), update("too late")).await.unwrap();
    store.end_recording(&id, complete(), ended()).await.unwrap();
    store.set_phase(&id, Phase::Uploading, update("too late")).await.unwrap();
    let told: Vec<_> = store.all_deliveries(&hook).await.into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(told, ["active", "view", "view", "uploading", "{}"]);
}

#[tokio::test]
async fn the_options_of_a_recording_are_kept_and_can_be_changed_while_it_takes_in_media() {
    let (_dir, store) = opened();
    let watermark = Watermark { file: "/etc/logo.png".into(), corner: Default::default(), opacity: 0.35 };
    let decorations = Decorations { watermark: Some(watermark), ..Decorations::default() };
    let options = RecordingOptions { decorations, ..RecordingOptions::default() };
    let new = NewRecording { options: options.clone(), ..new_recording() };
    let id = new.egress_id.clone();
    store.insert_recording(new).await.unwrap();
    assert_eq!(store.recording(&id).await.unwrap().unwrap().options, options);

    let changed = RecordingOptions { width: 640, ..options };
    assert!(store.set_options(&id, changed.clone(), None).await.unwrap());
    assert_eq!(store.recording(&id).await.unwrap().unwrap().options, changed);
    store.set_phase(&id, Phase::Stopping, None).await.unwrap();
    assert!(!store.set_options(&id, RecordingOptions::default(), None).await.unwrap());
    assert_eq!(store.recording(&id).await.unwrap().unwrap().options, changed);
}

#[tokio::test]
async fn the_last_quality_report_of_a_recording_is_kept() {
    let (_dir, store) = opened();
    let id = started(&store).await.egress_id;
    assert_eq!(store.report(&id).await.unwrap(), None);
    for tracks in [1, 2] {
        let track = TrackReport { clock_correction_ms: -1.25, ..TrackReport::default() };
        let report = QualityReport { tracks: vec![track; tracks], ..QualityReport::default() };
        store.keep_report(&id, report.clone()).await.unwrap();
        assert_eq!(store.report(&id).await.unwrap(), Some(report));
    }
    assert!(store.keep_report(&EgressId::random(), QualityReport::default()).await.is_err());
}

fn second_choice() -> Location {
    Location { store: Destination::Fallback, choice: 2 }
}

#[tokio::test]
async fn the_upload_in_use_is_the_one_that_was_written_down_last() {
    let (_dir, store) = opened();
    let id = started(&store).await.egress_id;
    assert_eq!(store.upload_in_use(&id).await.unwrap(), None);
    store.intend_upload(&id, Location::default()).await.unwrap();
    store.upload_begun(&id, Location::default(), "first").await.unwrap();
    store.intend_upload(&id, second_choice()).await.unwrap();
    let row = store.upload_in_use(&id).await.unwrap().unwrap();
    assert_eq!((row.place, row.upload_id, row.key.as_str()), (second_choice(), None, KEY));
    store.upload_begun(&id, second_choice(), "second").await.unwrap();
    store.media_released(&id, second_choice(), 5_000_000).await.unwrap();
    let row = store.upload_in_use(&id).await.unwrap().unwrap();
    assert_eq!((row.upload_id.as_deref(), row.released), (Some("second"), 5_000_000));
    // A new upload has nothing of the old one.
    store.intend_upload(&id, Location::default()).await.unwrap();
    let row = store.upload_in_use(&id).await.unwrap().unwrap();
    assert_eq!((row.place, row.upload_id, row.released), (Location::default(), None, 0));
}

#[tokio::test]
async fn an_upload_is_orphaned_when_its_recording_has_ended_without_it() {
    let (_dir, store) = opened();
    let id = started(&store).await.egress_id;
    store.intend_upload(&id, second_choice()).await.unwrap();
    store.intend_upload(&id, Location::default()).await.unwrap();
    assert_eq!(store.orphaned_uploads().await.unwrap(), []);
    store.end_recording(&id, complete(), ended()).await.unwrap();
    let orphans = store.orphaned_uploads().await.unwrap();
    assert_eq!(orphans.iter().map(|row| row.place).collect::<Vec<_>>(), [second_choice()]);
    store.upload_gone(&id, second_choice()).await.unwrap();
    assert_eq!(store.orphaned_uploads().await.unwrap(), []);
}
