//! Finds and removes the unfinished uploads of a key.

use super::S3;
use super::fault::Fault;
use super::upload::upload_id_in;
use crate::storage::error::{Action, StorageError};
use crate::storage::key::ObjectKey;

/// Aborts the uploads of exactly this key, except the one with our id `but`; returns how many.
pub(super) async fn abort_all(store: &S3, key: &ObjectKey, but: Option<&str>) -> Result<usize, StorageError> {
    let kept = but.and_then(upload_id_in);
    let mut aborted = 0;
    for upload_id in uploads_of(store, key).await? {
        if kept.as_ref() != Some(&upload_id) {
            store.abort(key, &upload_id).await?;
            aborted += 1;
        }
    }
    Ok(aborted)
}

impl S3 {
    pub(super) async fn abort(&self, key: &ObjectKey, upload_id: &str) -> Result<(), StorageError> {
        let request = self.client.abort_multipart_upload();
        let request = request.bucket(&self.bucket).key(key.as_str());
        match request.upload_id(upload_id).send().await.map_err(Fault::from) {
            Ok(_) => Ok(()),
            // The upload was aborted already, for instance by a lifecycle rule of the bucket.
            Err(fault) if fault.is_unknown_upload() => Ok(()),
            Err(fault) => Err(fault.during(Action::Abort { key: key.clone() })),
        }
    }
}

/// Returns the ids of a key's uploads. MinIO lists by the exact key only, S3 by any prefix: uploads whose
/// keys only begin like this one belong to others.
async fn uploads_of(store: &S3, key: &ObjectKey) -> Result<Vec<String>, StorageError> {
    let (mut found, mut after_key, mut after_id) = (Vec::new(), None, None);
    loop {
        let request = store.client.list_multipart_uploads().bucket(&store.bucket).prefix(key.as_str());
        let request = request.set_key_marker(after_key).set_upload_id_marker(after_id);
        let page = request.send().await.map_err(Fault::from);
        let page = page.map_err(|fault| fault.during(Action::ListUploads { key: key.clone() }))?;
        let ours = page.uploads().iter().filter(|upload| upload.key() == Some(key.as_str()));
        found.extend(ours.filter_map(|upload| upload.upload_id().map(str::to_owned)));
        if page.is_truncated() != Some(true) || page.next_key_marker().is_none() {
            return Ok(found);
        }
        after_key = page.next_key_marker().map(str::to_owned);
        after_id = page.next_upload_id_marker().map(str::to_owned);
    }
}
