//! Whole uploads to a real MinIO that is disturbed, is stopped, loses uploads and refuses keys.

mod scene;

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::storage::testing::minio::{Credentials, Minio, free_address};
use crate::storage::testing::proxy::{Mood, Proxy};
use crate::storage::{Folder, ObjectKey, S3, S3Config, Storage};
use crate::store::{Destination, Ending, Location, OutboxEvent, Outcome};
use crate::upload::Orphans;
use crate::upload::transfer::Fallback;
use scene::{KEY, Scene, counts, done, equal_parts, fetched, result, through};

fn key() -> ObjectKey {
    KEY.parse().expect("a key")
}

async fn shared() -> Arc<Minio> {
    tokio::task::spawn_blocking(Minio::shared).await.expect("MinIO")
}

async fn alone() -> Minio {
    tokio::task::spawn_blocking(Minio::alone).await.expect("MinIO")
}

/// Stops it and starts it again, on a thread that may block.
async fn started_again(mut minio: Minio, credentials: Credentials) -> Minio {
    let again = move || {
        minio.start_again(credentials);
        minio
    };
    tokio::task::spawn_blocking(again).await.expect("MinIO")
}

async fn bucket(config: &S3Config) -> Arc<S3> {
    let s3 = Arc::new(S3::new(config));
    s3.ensure_ready().await.expect("a bucket");
    s3
}

/// Panics if the key has multipart uploads.
async fn nothing_is_left(storage: &dyn Storage) {
    assert_eq!(storage.abort_all(&key(), None).await.expect("an answer"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_stored_byte_by_byte_with_four_parts_on_their_way_at_once() {
    let minio = shared().await;
    let proxy = Proxy::before(&minio.address, Mood::Slow(Duration::from_millis(150))).await;
    let direct = bucket(&minio.config("upload-whole")).await;
    let s3 = S3::new(&through(&minio, &proxy.address, "upload-whole"));
    let scene = Scene::new(Arc::new(s3), 40).await;
    let uploaded = scene.upload().await;
    let expected = scene.expected();
    let saved = uploaded.saved.expect("a file");
    assert_eq!((saved.size, saved.store), (expected.len() as u64, Destination::Primary));
    assert!(fetched(&*direct).await == expected, "the object is not that of the spool");
    assert_eq!(proxy.peak(), 4);
    assert!(counts(&proxy.parts()).iter().all(|(_, times)| *times == 1), "{:?}", proxy.parts());
    nothing_is_left(&*direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_network_does_to_an_upload_does_not_show_in_the_file() {
    let minio = shared().await;
    for seed in 0..3 {
        let proxy = Proxy::before(&minio.address, Mood::Evil { seed }).await;
        let name = format!("upload-evil-{seed}");
        let direct = bucket(&minio.config(&name)).await;
        let s3 = Arc::new(S3::impatient(&through(&minio, &proxy.address, &name)));
        let scene = Scene::new(s3, 25).await;
        let task = scene.start();
        scene.record_but(3_000_000);
        scene.until(|status| status.stored_bytes > 0).await;
        scene.end();
        done(task).await;
        assert!(proxy.disturbed() > 0);
        assert!(fetched(&*direct).await == scene.expected(), "the object is not that of the spool");
        nothing_is_left(&*direct).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_stopped_gets_what_it_missed_when_it_is_back() {
    let minio = alone().await;
    let s3 = bucket(&minio.config("upload-stopped")).await;
    let scene = Scene::new(s3.clone(), 30).await;
    let task = scene.start();
    scene.record_but(15_000_000);
    scene.until(|status| status.stored_bytes > 0).await;
    let minio = tokio::task::spawn_blocking(move || {
        let mut minio = minio;
        minio.stop();
        minio
    });
    let minio = minio.await.expect("MinIO");
    scene.record_but(0);
    let away =
        scene.until(|status| status.trouble.as_ref().is_some_and(|trouble| trouble.attempts > 2)).await;
    assert_eq!(away.trouble.expect("trouble").reason, "the store does not answer");
    assert!(away.since.is_some() && away.waiting_bytes > 10_000_000, "{}", away.waiting_bytes);
    // The recording ends while the store cannot be reached.
    scene.end();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _minio = started_again(minio, Credentials::Right).await;
    done(task).await;
    assert!(fetched(&*s3).await == scene.expected(), "the object is not that of the spool");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_that_is_put_right_is_waited_for() {
    let minio = started_again(alone().await, Credentials::Others).await;
    let s3 = Arc::new(S3::new(&minio.config("upload-refused")));
    let scene = Scene::new(s3.clone(), 20).await;
    let task = scene.start();
    scene.record_but(0);
    let refused = scene.until(|status| status.trouble.is_some()).await;
    let reason = refused.trouble.expect("trouble").reason;
    assert!(reason.starts_with("the store refuses access ("), "{reason}");
    scene.end();
    // Its bucket does not exist either.
    let _minio = started_again(minio, Credentials::Right).await;
    done(task).await;
    assert!(fetched(&*s3).await == scene.expected(), "the object is not that of the spool");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_parts_that_the_store_has_are_not_sent_again() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-resumed")).await;
    let scene = Scene::new(s3.clone(), 40).await;
    let task = scene.start();
    scene.record_but(12_000_000);
    scene.until(|status| status.stored_bytes > 10_000_000 && status.since.is_none()).await;
    task.abort();
    let _killed = task.await;

    let proxy = Proxy::before(&minio.address, Mood::Slow(Duration::ZERO)).await;
    let again = Arc::new(S3::new(&through(&minio, &proxy.address, "upload-resumed")));
    let scene = Scene { stores: Stores { primary: again, fallback: None }, ..scene };
    scene.upload().await;
    let sent = counts(&proxy.parts());
    assert!(sent.iter().all(|(number, times)| *times == 1 && (*number == 1 || *number > 3)), "{sent:?}");
    assert!(fetched(&*s3).await == scene.expected(), "the object is not that of the spool");
    nothing_is_left(&*s3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_id_nobody_could_write_down_is_aborted_by_the_next_one() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-nameless")).await;
    let scene = Scene::new(s3.clone(), 15).await;
    scene.store.intend_upload(&scene.egress_id, Location::default()).await.expect("written down");
    s3.begin(&key())
        .await
        .expect("an upload")
        .put_part(2, crate::storage::Body::of_bytes(vec![1].into()))
        .await
        .expect("a part");
    scene.upload().await;
    assert!(fetched(&*s3).await == scene.expected(), "the object is not that of the spool");
    nothing_is_left(&*s3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_was_completed_just_before_a_crash_is_recognised() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-completed")).await;
    let scene = Scene::new(s3.clone(), 15).await;
    let first = scene.upload().await;
    let proxy = Proxy::before(&minio.address, Mood::Slow(Duration::ZERO)).await;
    let again = Arc::new(S3::new(&through(&minio, &proxy.address, "upload-completed")));
    let scene = Scene { stores: Stores { primary: again, fallback: None }, ..scene };
    assert_eq!(scene.salvage().await, first);
    assert!(proxy.parts().is_empty(), "{:?}", proxy.parts());
    // The key is taken for another recording.
    let other = Scene::new(s3, 17).await;
    assert_eq!(other.upload().await.saved.expect("a file").key, KEY.replace(".mp4", "-2.mp4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_recording_left_that_has_ended_is_removed_and_nothing_else() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-orphans")).await;
    let scene = Scene::new(s3.clone(), 1).await;
    let (owned, others): (ObjectKey, ObjectKey) = (key(), "room/somebody.mp4".parse().expect("a key"));
    scene.store.intend_upload(&scene.egress_id, Location::default()).await.expect("written down");
    s3.begin(&owned).await.expect("an upload");
    s3.begin(&others).await.expect("an upload");
    let orphans = Orphans { stores: scene.stores.clone(), database: scene.store.clone() };
    orphans.remove_all().await;
    let failed = Outcome::Failed { error: "for the test".into(), saved: None };
    let ending = Ending { outcome: failed, ended_at: jiff::Timestamp::now() };
    let event = OutboxEvent { name: "egress_ended", body: "{}".into() };
    scene.store.end_recording(&scene.egress_id, ending, event).await.expect("ended");
    assert_eq!(scene.store.orphaned_uploads().await.expect("a list").len(), 1);
    orphans.remove_all().await;
    assert_eq!(scene.store.orphaned_uploads().await.expect("a list"), []);
    nothing_is_left(&*s3).await;
    assert_eq!(s3.abort_all(&others, None).await.expect("an answer"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_store_takes_the_recording_when_the_first_stays_away_and_not_before_the_end() {
    let minio = shared().await;
    let nowhere = S3::new(&through(&minio, &free_address(), "upload-away"));
    for mib in [1, 15] {
        let mut scene = Scene::new(Arc::new(nowhere.clone()), mib).await;
        let root = scene.with_fallback();
        let task = scene.start();
        scene.record_but(0);
        if mib > 10 {
            let waiting = scene.until(|status| status.trouble.is_some()).await;
            assert_eq!(waiting.store, Destination::Primary);
        }
        scene.end();
        let saved = done(task).await.saved.expect("a file");
        assert_eq!(saved.store, Destination::Fallback);
        // A service that was killed before it could note the end finds the object.
        assert_eq!(scene.salvage().await.saved, Some(saved));
        let file = std::fs::read(root.join(KEY)).expect("the file");
        assert!(file == scene.expected(), "the file is not that of the spool");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_store_has_its_turn_again_when_the_second_stays_away_too() {
    let minio = shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file_in_the_way = folder.path().join("file");
    std::fs::write(&file_in_the_way, "").expect("a file");
    let mut scene = Scene::new(bucket(&minio.config("upload-turns")).await, 1).await;
    let good = Arc::clone(&scene.stores.primary);
    scene.stores.primary = Arc::new(Folder::new(&file_in_the_way));
    scene.stores.fallback = Some(Fallback { storage: good, after: Duration::ZERO });
    assert_eq!(scene.upload().await.saved.expect("a file").store, Destination::Fallback);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_insists_on_equal_parts_gets_them() {
    const PART: u64 = 6 << 20;
    let minio = shared().await;
    // A head that fits, and one that does not, so that all parts are cut anew.
    for (name, room) in [("upload-equal", 1 << 20), ("upload-recut", 100)] {
        let proxy = Proxy::before(&minio.address, Mood::Slow(Duration::ZERO)).await;
        let direct = bucket(&minio.config(name)).await;
        let s3 = equal_parts(through(&minio, &proxy.address, name), PART, room);
        let scene = Scene::new(Arc::new(s3), 30).await;
        let saved = scene.upload().await.saved.expect("a file");
        let mut lengths: Vec<u64> =
            proxy.parts().into_values().filter_map(|sent| sent.last().copied()).collect();
        let last = lengths.pop();
        assert!(lengths.iter().all(|len| *len == PART) && last <= Some(PART), "{lengths:?}, {last:?}");
        let (file, expected) = (fetched(&*direct).await, scene.expected());
        assert_eq!(saved.size, file.len() as u64);
        let filling = file.len() - expected.len();
        assert_eq!(filling > 0, room > 100, "{filling}");
        assert!(
            file.ends_with(&expected[expected.len() - 20_000_000..]),
            "the media is not that of the spool"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_is_removed_from_the_spool_when_the_disk_needs_it() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-released")).await;
    let scene = Scene::new(s3.clone(), 120).await;
    let blocks = || std::fs::metadata(&scene.spool).expect("a spool").blocks() * 512;
    let before = blocks();
    let task = scene.start();
    scene.record_but(1_000_000);
    scene.until(|status| status.stored_bytes > 100_000_000 && status.since.is_none()).await;
    scene.space.send_replace(Space::Short);
    let gone = async {
        while blocks() + 4_000_000 > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(scene::PATIENCE, gone).await.expect("nothing was given back");

    // The database says what was removed.
    task.abort();
    let _killed = task.await;
    scene.space.send_replace(Space::Ample);
    scene.upload().await;
    assert!(fetched(&*s3).await == scene.expected(), "the object is not that of the recording");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_what_is_gone_from_the_spool_makes_no_broken_file() {
    let minio = shared().await;
    let s3 = bucket(&minio.config("upload-forgotten")).await;
    let scene = Scene::new(s3.clone(), 120).await;
    let task = scene.start();
    scene.record_but(1_000_000);
    scene.until(|status| status.stored_bytes > 100_000_000 && status.since.is_none()).await;
    scene.space.send_replace(Space::Exhausted);
    let released = async {
        while scene
            .store
            .upload_in_use(&scene.egress_id)
            .await
            .expect("a row")
            .is_none_or(|row| row.released == 0)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(scene::PATIENCE, released).await.expect("nothing was given back");
    s3.abort_all(&key(), None).await.expect("forgotten");
    scene.end();
    let result = result(task).await;
    assert!(matches!(result, Err(UploadError::Forgotten { .. })), "{result:?}");
    assert_eq!(s3.find(&key()).await.expect("an answer"), None);
}
