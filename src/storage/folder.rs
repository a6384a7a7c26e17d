//! Recordings in a local folder.
//!
//! Owns everything below its root. Parts wait in a hidden folder beside the object,
//! `.{name}.parts/{upload id}/`, and are joined when the upload is complete. Contract: an object
//! appears under its name whole, with its bytes and its name on the disk, or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tempfile::{NamedTempFile, TempPath};

use super::Storage;
use super::error::{Action, StorageError};
use super::key::ObjectKey;
use super::upload::{HeldParts, Upload, random_mark};

/// What `open(2)` is usually given: the process's umask decides who may read a recording.
const FILE_MODE: u32 = 0o666;

/// A folder of recordings.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn parts_dir(&self, key: &ObjectKey, upload_id: &str) -> PathBuf {
        let hidden = format!(".{}.parts", key.name());
        self.path(key).with_file_name(hidden).join(upload_id)
    }

    fn place(&self) -> String {
        format!("the folder {}", self.root.display())
    }
}

impl Storage for Folder {
    fn describe(&self) -> String {
        self.place()
    }

    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        let root = self.root.clone();
        let action = Action::Create { place: self.place() };
        Box::pin(blocking(action, move || {
            fs::create_dir_all(&root)?;
            // Only a write tells: permission bits say nothing of read-only mounts and quotas.
            new_file_in(&root)?.write_all(b"egressd")
        }))
    }

    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Box<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = FolderUpload::new(self, key, random_mark());
            let dir = upload.dir.clone();
            let action = Action::Begin { key: key.clone() };
            blocking(action, move || fs::create_dir_all(dir)).await?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let unknown = || StorageError::UnknownUpload { key: key.clone() };
            if !upload_id.bytes().all(|b| b.is_ascii_alphanumeric()) || upload_id.is_empty() {
                return Err(unknown());
            }
            let mut upload = FolderUpload::new(self, key, upload_id.to_owned());
            let dir = upload.dir.clone();
            let action = Action::Resume { key: key.clone() };
            let parts = blocking(action, move || parts_in(&dir)).await?;
            for (number, size) in parts.ok_or_else(unknown)? {
                upload.parts.insert(number, size);
            }
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> BoxFuture<'a, Result<(), StorageError>> {
        let (root, path) = (self.root.clone(), self.path(key));
        let write = move || {
            let dir = parent_of(&path);
            fs::create_dir_all(dir)?;
            let mut file = new_file_in(dir)?;
            file.write_all(&bytes)?;
            publish(file, &path, &root)
        };
        Box::pin(async move {
            let result = blocking(Action::Put { key: key.clone() }, write).await;
            result.map_err(|error| taken_or(error, key))
        })
    }

    fn size<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<u64>, StorageError>> {
        let path = self.path(key);
        let action = Action::Size { key: key.clone() };
        Box::pin(blocking(action, move || match fs::metadata(path) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }))
    }

    /// A file has no URL that somebody else could open.
    fn presigned_get<'a>(
        &'a self,
        _key: &'a ObjectKey,
        _expires: Duration,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async { Ok(None) })
    }
}

/// Parts of one object, each a file named by its number.
struct FolderUpload {
    key: ObjectKey,
    id: String,
    root: PathBuf,
    target: PathBuf,
    dir: PathBuf,
    /// Sizes in bytes.
    parts: HeldParts<u64>,
}

impl FolderUpload {
    fn new(folder: &Folder, key: &ObjectKey, id: String) -> Self {
        Self {
            root: folder.root.clone(),
            target: folder.path(key),
            dir: folder.parts_dir(key, &id),
            parts: HeldParts::new(),
            key: key.clone(),
            id,
        }
    }

    async fn join(&self) -> Result<(), StorageError> {
        let parts = self.parts.whole(&self.key)?;
        let files: Vec<PathBuf> = parts.iter().map(|p| part_path(&self.dir, p.0)).collect();
        let (root, target, dir) = (self.root.clone(), self.target.clone(), self.dir.clone());
        let action = Action::Complete { key: self.key.clone() };
        let joined = blocking(action, move || {
            let mut joined = new_file_in(&dir)?;
            for part in files {
                // Between files the kernel copies by itself, and where it can only shares the blocks.
                io::copy(&mut File::open(part)?, joined.as_file_mut())?;
            }
            publish(joined, &target, &root)
        });
        joined.await.map_err(|error| taken_or(error, &self.key))
    }

    async fn remove_parts(&self) -> Result<(), StorageError> {
        let dir = self.dir.clone();
        let action = Action::Abort { key: self.key.clone() };
        blocking(action, move || {
            fs::remove_dir_all(&dir)?;
            match fs::remove_dir(parent_of(&dir)) {
                // Another upload of the same object keeps its parts there.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
                removed => removed,
            }
        })
        .await
    }
}

impl Upload for FolderUpload {
    fn id(&self) -> &str {
        &self.id
    }

    fn part_size(&self, number: u32) -> Option<u64> {
        self.parts.get(number).copied()
    }

    fn put_part(&mut self, number: u32, bytes: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        let (dir, path) = (self.dir.clone(), part_path(&self.dir, number));
        let action = Action::PutPart { key: self.key.clone(), part: number };
        Box::pin(async move {
            let size = bytes.len() as u64;
            blocking(action, move || {
                let mut file = new_file_in(&dir)?;
                file.write_all(&bytes)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|failed| failed.error)?;
                sync_dir(&dir)
            })
            .await?;
            self.parts.insert(number, size);
            Ok(())
        })
    }

    fn complete(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            let joined = self.join().await;
            let parts_are_needed = joined.as_ref().is_err_and(StorageError::is_transient);
            if !parts_are_needed && let Err(error) = self.remove_parts().await {
                tracing::warn!(key = %self.key, %error, "parts of a finished upload stay on the disk");
            }
            joined
        })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.remove_parts().await })
    }
}

fn part_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:05}"))
}

/// The parts in an upload's folder with their sizes; `None` where there is no such folder.
fn parts_in(dir: &Path) -> io::Result<Option<Vec<(u32, u64)>>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Anything else is a file that was being written when the process ended.
        if let Some(number) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
            parts.push((number, entry.metadata()?.len()));
        }
    }
    Ok(Some(parts))
}

/// A hidden file that is gone again unless it is given a name.
fn new_file_in(dir: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".egressd-")
        .permissions(fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(dir)
}

/// Gives a whole file its name, durably, unless the name is taken.
fn publish(file: NamedTempFile, target: &Path, root: &Path) -> io::Result<()> {
    let (file, path): (File, TempPath) = file.into_parts();
    file.sync_all()?;
    path.persist_noclobber(target).map_err(|failed| failed.error)?;
    // The folders in between may be new as well.
    for dir in parent_of(target).ancestors() {
        sync_dir(dir)?;
        if dir == root {
            break;
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn taken_or(error: StorageError, key: &ObjectKey) -> StorageError {
    match error {
        StorageError::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            StorageError::AlreadyExists { key: key.clone() }
        }
        other => other,
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    action: Action,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    // A panic goes on where the work was asked for; cancelled is what never ran, at shutdown.
    let done = done.unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(io::Error::new(io::ErrorKind::Interrupted, cancelled)),
    });
    done.map_err(|source| StorageError::File { action, source })
}

#[cfg(test)]
mod tests;
