//! The folder as a store, in temporary folders.

use std::time::Duration;

use super::*;
use crate::storage::Reading;

fn key(text: &str) -> ObjectKey {
    text.parse().expect("a valid key")
}

fn body(text: &'static str) -> Body {
    Body::of_bytes(text.as_bytes().into())
}

fn sum(text: &str) -> Checksum {
    Checksum::of(text.as_bytes())
}

fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::new(dir.path().join("recordings"));
    (dir, folder)
}

/// Returns the paths of all files below the root.
fn files(folder: &Folder) -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, found),
                path => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(&folder.root, &mut found);
    let relative = |path: PathBuf| path.strip_prefix(&folder.root).map(|p| p.display().to_string());
    found.into_iter().flat_map(relative).collect()
}

fn text_of(folder: &Folder, key: &ObjectKey) -> String {
    fs::read_to_string(folder.path(key)).expect("the object")
}

async fn upload(folder: &Folder, key: &ObjectKey, parts: &[(u32, &'static str)]) -> Arc<dyn Upload> {
    let upload = folder.begin(key).await.expect("an upload");
    for &(number, text) in parts {
        upload.put_part(number, body(text)).await.expect("a part");
    }
    upload
}

#[tokio::test]
async fn parts_become_one_object_in_order_of_number_and_leave_nothing_behind() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    let upload = upload(&folder, &key, &[(2, "media"), (3, "rest"), (1, "head")]).await;
    assert_eq!(folder.find(&key).await.expect("an answer"), None);
    upload.complete(sum("headmediarest")).await.expect("complete");
    assert_eq!(text_of(&folder, &key), "headmediarest");
    assert_eq!(folder.find(&key).await.expect("an answer").map(|found| found.size), Some(13));
    assert_eq!(files(&folder), ["room/x.mp4"]);
    let left: Vec<_> = fs::read_dir(folder.root.join("room")).expect("a folder").collect();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn an_existing_object_is_overwritten_neither_by_a_put_nor_by_an_upload() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    folder.put(&key, body("first")).await.expect("stored");

    let put = folder.put(&key, body("second")).await;
    assert!(matches!(put, Err(StorageError::AlreadyExists { .. })), "{put:?}");
    let completed = upload(&folder, &key, &[(1, "third")]).await.complete(sum("third")).await;
    assert!(matches!(completed, Err(StorageError::AlreadyExists { .. })), "{completed:?}");

    assert_eq!(text_of(&folder, &key), "first");
    assert_eq!(folder.abort_all(&key, None).await.expect("removed"), 1);
    assert_eq!(files(&folder), ["room/x.mp4"]);
}

#[tokio::test]
async fn two_uploads_of_one_object_do_not_mix_and_the_first_to_complete_wins() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    let one = upload(&folder, &key, &[(1, "one")]).await;
    let two = upload(&folder, &key, &[(1, "two")]).await;
    two.complete(sum("two")).await.expect("the first to complete");
    let late = one.complete(sum("one")).await;
    assert!(matches!(late, Err(StorageError::AlreadyExists { .. })), "{late:?}");
    assert_eq!(text_of(&folder, &key), "two");
    assert_eq!(folder.abort_all(&key, None).await.expect("removed"), 1);
    assert_eq!(files(&folder), ["room/x.mp4"]);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_behind() {
    let (_dir, folder) = folder();
    let upload = upload(&folder, &key("room/x.mp4"), &[(2, "media")]).await;
    upload.abort().await.expect("aborted");
    assert_eq!(files(&folder), [""; 0]);
}

#[tokio::test]
async fn a_dropped_upload_is_resumed_with_the_parts_it_had() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    let dropped = upload(&folder, &key, &[(2, "media")]).await;
    let id = dropped.id().to_owned();
    drop(dropped);

    let resumed = folder.resume(&key, &id).await.expect("the upload");
    let held = |number| resumed.held(number).map(|part| part.size);
    assert_eq!((held(1), held(2)), (None, Some(5)));
    resumed.put_part(1, body("head")).await.expect("a part");
    resumed.complete(sum("headmedia")).await.expect("complete");
    assert_eq!(text_of(&folder, &key), "headmedia");
}

#[tokio::test]
async fn the_unfinished_uploads_of_a_key_are_removed_but_for_the_one_that_is_owned() {
    let (_dir, folder) = folder();
    let (ours, others) = (key("room/x.mp4"), key("room/x.mp4.mp4"));
    let owned = upload(&folder, &ours, &[(2, "owned")]).await;
    upload(&folder, &ours, &[(2, "orphan")]).await;
    upload(&folder, &others, &[(2, "somebody else's")]).await;
    assert_eq!(folder.abort_all(&ours, Some(owned.id())).await.expect("removed"), 1);
    assert_eq!(files(&folder).len(), 2);
    assert_eq!(folder.abort_all(&ours, None).await.expect("removed"), 1);
    assert_eq!(folder.abort_all(&ours, None).await.expect("nothing left"), 0);
    assert_eq!(files(&folder).len(), 1);
}

#[tokio::test]
async fn parts_that_are_not_those_of_the_object_are_not_joined() {
    let (_dir, folder) = folder();
    let joined =
        upload(&folder, &key("room/x.mp4"), &[(1, "head")]).await.complete(sum("head and media")).await;
    assert!(matches!(joined, Err(StorageError::File { .. })), "{joined:?}");
    assert_eq!(folder.find(&key("room/x.mp4")).await.expect("an answer"), None);
}

#[tokio::test]
async fn an_upload_that_never_was_is_not_resumed() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    for id in ["abc", "", "../../room", "."] {
        let resumed = folder.resume(&key, id).await.map(|upload| upload.id().to_owned());
        assert!(matches!(resumed, Err(StorageError::UnknownUpload { .. })), "{id}: {resumed:?}");
    }
}

#[tokio::test]
async fn an_object_is_not_joined_while_a_part_is_missing() {
    let (_dir, folder) = folder();
    let key = key("room/x.mp4");
    let upload = upload(&folder, &key, &[(2, "media")]).await;
    let id = upload.id().to_owned();
    let joined = upload.complete(sum("media")).await;
    assert!(matches!(joined, Err(StorageError::MissingPart { part: 1, .. })), "{joined:?}");
    assert_eq!(files(&folder), ["room/.x.mp4.parts/".to_owned() + &id + "/00002"]);
}

#[tokio::test]
async fn the_folder_is_created_if_it_is_missing_and_left_clean() {
    let (_dir, folder) = folder();
    folder.ensure_ready().await.expect("created");
    folder.ensure_ready().await.expect("there already");
    assert!(folder.root.is_dir());
    assert_eq!(files(&folder), [""; 0]);
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_reported_by_its_path() {
    let (_dir, folder) = folder();
    fs::write(&folder.root, b"a file").expect("written");
    let error = folder.ensure_ready().await.expect_err("a file in the way");
    assert!(!error.is_transient());
    assert!(error.to_string().contains(&folder.place()), "{error}");
}

#[tokio::test]
async fn a_file_has_no_url() {
    let (_dir, folder) = folder();
    let key = key("x.mp4");
    let terms = UrlTerms { valid_for: Duration::from_secs(60), reading: Reading::Play };
    let url = folder.presigned_get(&key, terms).await;
    assert_eq!(url.expect("an answer"), None);
}

#[tokio::test]
async fn a_trial_leaves_no_file() {
    let (_dir, folder) = folder();
    let tried = folder.try_out().await;
    assert!(tried.len() == 4 && tried.iter().all(Tried::is_good), "{tried:?}");
    assert_eq!(files(&folder), [""; 0]);
}

#[tokio::test]
async fn a_trial_of_a_folder_that_cannot_be_says_so_and_ends() {
    let tried = Folder::new("/proc/nowhere").try_out().await;
    assert!(matches!(&tried[..], [Tried { step: Step::Reach, outcome: Err(_) }]), "{tried:?}");
}

#[tokio::test]
async fn a_name_that_the_file_system_does_not_take_is_refused_as_a_name() {
    let (_dir, folder) = folder();
    let long = key(&format!("{}/x.mp4", "x".repeat(256)));
    let put = folder.put(&long, body("small")).await;
    assert!(matches!(put, Err(StorageError::KeyRefused { .. })), "{put:?}");
    let begun = folder.begin(&long).await.map(|_| ());
    assert!(matches!(begun, Err(StorageError::KeyRefused { .. })), "{begun:?}");
}
