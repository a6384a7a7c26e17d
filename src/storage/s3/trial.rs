//! Tries a bucket: does everything that a recording needs of it once, with a few bytes.

use super::S3;
use super::fault::Fault;
use crate::storage::Storage;
use crate::storage::body::Body;
use crate::storage::error::{Action, StorageError};
use crate::storage::key::ObjectKey;
use crate::storage::trial::{self, Step, Tried};

/// Does not create a missing bucket.
pub(super) async fn try_out(store: &S3) -> Vec<Tried> {
    let mut tried = vec![Tried::new(Step::Reach, store.list_one().await)];
    if !tried[0].is_good() {
        return tried;
    }
    let key = trial::key();
    let written = store.put(&key, Body::of_bytes(trial::TEXT)).await;
    let is_there = written.is_ok();
    tried.push(Tried::new(Step::Write, written));
    if is_there {
        tried.push(Tried::new(Step::Read, read_back(store, &key).await));
    }
    tried.push(Tried::new(Step::Parts, upload_in_parts(store).await));
    if is_there {
        tried.push(Tried::new(Step::Remove, remove(store, &key).await));
    }
    tried
}

async fn read_back(store: &S3, key: &ObjectKey) -> Result<(), StorageError> {
    let action = Action::Read { key: key.clone() };
    let answer = store.client.get_object().bucket(&store.bucket).key(key.as_str()).send().await;
    let answer = answer.map_err(|error| Fault::from(error).during(action.clone()))?;
    let bytes = match answer.body.collect().await {
        Ok(read) => read.into_bytes(),
        Err(broken) => return Err(StorageError::Unavailable { action, source: Box::new(broken) }),
    };
    match bytes == trial::TEXT {
        true => Ok(()),
        false => {
            let (code, message) =
                ("other bytes".to_owned(), "what came back is not what was stored".to_owned());
            Err(StorageError::Rejected { action, code, message })
        }
    }
}

/// Uploads a part and aborts the upload. Nothing stays, unless the store refuses to abort.
async fn upload_in_parts(store: &S3) -> Result<(), StorageError> {
    let key = trial::key();
    let upload = store.begin(&key).await?;
    let sent = async {
        upload.put_part(1, Body::of_bytes(trial::TEXT)).await?;
        // Lists the parts, as after a restart.
        store.resume(&key, upload.id()).await.map(drop)
    };
    let sent = sent.await;
    let listed = store.abort_all(&key, None).await.map(drop);
    sent.and(listed)
}

async fn remove(store: &S3, key: &ObjectKey) -> Result<(), StorageError> {
    let removed = store.client.delete_object().bucket(&store.bucket).key(key.as_str()).send().await;
    removed.map(drop).map_err(|error| Fault::from(error).during(Action::Remove { key: key.clone() }))
}
