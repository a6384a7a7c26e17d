//! Recordings in a local folder.
//!
//! Owns everything below its root. Parts are kept in a hidden folder beside the object,
//! `.{name}.parts/{upload id}/`, and are joined when the upload is complete. Contract: an object appears
//! under its name whole, with its bytes and its name on the disk, or not at all.
//!
//! Joining copies the parts: the head in front of the media has its length only at the end of the recording.
//! Where the file system can share blocks (btrfs, XFS) the copy costs nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tempfile::{NamedTempFile, TempPath};

use super::body::{self, Body};
use super::checksum::{Checksum, Summing};
use super::error::{Action, StorageError};
use super::key::ObjectKey;
use super::parts::Cutting;
use super::trial::{self, Step, Tried};
use super::upload::{HeldPart, HeldParts, Upload, random_mark};
use super::{Found, Storage, UrlTerms};

/// The usual mode for `open(2)`: the process's umask decides who may read a recording.
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

    async fn read_back(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(key);
        let read = move || match fs::read(path)? == trial::TEXT {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "what is read is not what was written")),
        };
        blocking(Action::Read { key: key.clone() }, read).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(key);
        blocking(Action::Remove { key: key.clone() }, move || fs::remove_file(path)).await
    }

    fn place(&self) -> String {
        format!("the folder {}", self.root.display())
    }
}

impl Storage for Folder {
    fn describe(&self) -> String {
        self.place()
    }

    fn cutting(&self) -> Cutting {
        Cutting::Growing
    }

    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        let root = self.root.clone();
        let action = Action::Create { place: self.place() };
        Box::pin(blocking(action, move || {
            fs::create_dir_all(&root)?;
            // Only writing shows this: permission bits say nothing of read-only mounts and quotas.
            new_file_in(&root)?.write_all(b"egressd")
        }))
    }

    fn try_out(&self) -> BoxFuture<'_, Vec<Tried>> {
        Box::pin(async move {
            let reached = self.ensure_ready().await;
            if reached.is_err() {
                return vec![Tried::new(Step::Reach, reached)];
            }
            let key = trial::key();
            let written = self.put(&key, Body::of_bytes(trial::TEXT)).await;
            let mut tried = vec![Tried::new(Step::Reach, reached), Tried::new(Step::Write, written)];
            if tried[1].is_good() {
                tried.push(Tried::new(Step::Read, self.read_back(&key).await));
                tried.push(Tried::new(Step::Remove, self.remove(&key).await));
            }
            tried
        })
    }

    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = FolderUpload::new(self, key, random_mark());
            let dir = upload.dir.clone();
            let action = Action::Begin { key: key.clone() };
            blocking(action, move || fs::create_dir_all(dir)).await?;
            Ok(Arc::new(upload) as Arc<dyn Upload>)
        })
    }

    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let unknown = || StorageError::UnknownUpload { key: key.clone() };
            if !upload_id.bytes().all(|b| b.is_ascii_alphanumeric()) || upload_id.is_empty() {
                return Err(unknown());
            }
            let upload = FolderUpload::new(self, key, upload_id.to_owned());
            let dir = upload.dir.clone();
            let action = Action::Resume { key: key.clone() };
            let parts = blocking(action, move || parts_in(&dir)).await?;
            for (number, size) in parts.ok_or_else(unknown)? {
                upload.hold(number, size);
            }
            Ok(Arc::new(upload) as Arc<dyn Upload>)
        })
    }

    fn abort_all<'a>(
        &'a self,
        key: &'a ObjectKey,
        but: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, StorageError>> {
        let all = parent_of(&self.parts_dir(key, "any")).to_owned();
        let kept = but.map(str::to_owned);
        let action = Action::ListUploads { key: key.clone() };
        Box::pin(blocking(action, move || remove_uploads(&all, kept.as_deref())))
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, body: Body) -> BoxFuture<'a, Result<(), StorageError>> {
        let (root, path) = (self.root.clone(), self.path(key));
        let write = move || {
            let dir = parent_of(&path);
            fs::create_dir_all(dir)?;
            let mut file = new_file_in(dir)?;
            write(&body, &mut file)?;
            publish(file, &path, &root)
        };
        Box::pin(async move {
            let result = blocking(Action::Put { key: key.clone() }, write).await;
            result.map_err(|error| taken_or(error, key))
        })
    }

    fn find<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Found>, StorageError>> {
        let path = self.path(key);
        let action = Action::Find { key: key.clone() };
        Box::pin(blocking(action, move || match fs::metadata(path) {
            Ok(found) => Ok(found.is_file().then_some(Found { size: found.len(), crc64: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }))
    }

    /// Returns `None`: a file has no URL that others could open.
    fn presigned_get<'a>(
        &'a self,
        _key: &'a ObjectKey,
        _terms: UrlTerms,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async { Ok(None) })
    }
}

/// The parts of one object. Each is a file that is named by its number.
struct FolderUpload {
    key: ObjectKey,
    id: String,
    root: PathBuf,
    target: PathBuf,
    dir: PathBuf,
    /// The sizes of the parts, in bytes.
    parts: Arc<Mutex<HeldParts<u64>>>,
}

impl FolderUpload {
    fn new(folder: &Folder, key: &ObjectKey, id: String) -> Self {
        Self {
            root: folder.root.clone(),
            target: folder.path(key),
            dir: folder.parts_dir(key, &id),
            parts: Arc::new(Mutex::new(HeldParts::new())),
            key: key.clone(),
            id,
        }
    }

    fn hold(&self, number: u32, size: u64) {
        locked(&self.parts, |parts| parts.insert(number, size));
    }

    async fn join(&self, whole: Checksum) -> Result<(), StorageError> {
        let files = locked(&self.parts, |parts| -> Result<Vec<PathBuf>, StorageError> {
            let parts = parts.whole(&self.key)?;
            Ok(parts.iter().map(|p| part_path(&self.dir, p.0)).collect())
        })?;
        let (root, target, dir) = (self.root.clone(), self.target.clone(), self.dir.clone());
        let action = Action::Complete { key: self.key.clone() };
        let joined = blocking(action, move || {
            let mut joined = new_file_in(&dir)?;
            for part in files {
                // The kernel copies between files by itself, and shares the blocks where it can.
                io::copy(&mut File::open(part)?, joined.as_file_mut())?;
            }
            if joined.as_file().metadata()?.len() != whole.size() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the parts are not those of the object",
                ));
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
                // Another upload of the same object keeps its parts in this folder.
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

    fn held(&self, number: u32) -> Option<HeldPart> {
        let size = locked(&self.parts, |parts| parts.get(number).copied());
        size.map(|size| HeldPart { size, crc64: None })
    }

    /// Keeps a part that exists with the right size: it got its name only after it was on the disk.
    fn put_part(&self, number: u32, body: Body) -> BoxFuture<'static, Result<(), StorageError>> {
        let (dir, path) = (self.dir.clone(), part_path(&self.dir, number));
        let (parts, size) = (Arc::clone(&self.parts), body.size());
        let action = Action::PutPart { key: self.key.clone(), part: number };
        Box::pin(async move {
            if locked(&parts, |parts| parts.get(number) == Some(&size)) {
                return Ok(());
            }
            blocking(action, move || {
                let mut file = new_file_in(&dir)?;
                write(&body, &mut file)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|failed| failed.error)?;
                sync_dir(&dir)
            })
            .await?;
            locked(&parts, |parts| parts.insert(number, size));
            Ok(())
        })
    }

    fn complete(self: Arc<Self>, whole: Checksum) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            self.join(whole).await?;
            if let Err(error) = self.remove_parts().await {
                tracing::warn!(key = %self.key, %error, "parts of a finished upload stay on the disk");
            }
            Ok(())
        })
    }

    fn abort(self: Arc<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.remove_parts().await })
    }
}

fn part_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:05}"))
}

/// Returns the parts in an upload's folder with their sizes; `None` if there is no such folder.
fn parts_in(dir: &Path) -> io::Result<Option<Vec<(u32, u64)>>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Any other file was being written when the process ended.
        if let Some(number) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
            parts.push((number, entry.metadata()?.len()));
        }
    }
    Ok(Some(parts))
}

/// Removes the folders of all uploads except `kept`; returns how many.
fn remove_uploads(all: &Path, kept: Option<&str>) -> io::Result<usize> {
    let entries = match fs::read_dir(all) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str() != kept {
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    if kept.is_none() {
        fs::remove_dir(all)?;
    }
    Ok(removed)
}

/// Writes a body. Returns an error if the bytes do not match the body's checksum.
fn write(body: &Body, file: &mut impl Write) -> io::Result<()> {
    let mut summing = Summing::default();
    body.each_piece(|piece| {
        summing.add(piece);
        file.write_all(piece)
    })?;
    match summing.done() == body.checksum() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it has changed while it was read")),
    }
}

fn locked<T>(parts: &Mutex<HeldParts<u64>>, work: impl FnOnce(&mut HeldParts<u64>) -> T) -> T {
    // The lock is usable after a panic: no panic happens in the middle of a change.
    work(&mut parts.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes a hidden file, which is removed again unless it is given a name.
fn new_file_in(dir: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".egressd-")
        .permissions(fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(dir)
}

/// Gives a complete file its name, durably, unless the name is taken.
fn publish(file: NamedTempFile, target: &Path, root: &Path) -> io::Result<()> {
    let (file, path): (File, TempPath) = file.into_parts();
    file.sync_all()?;
    path.persist_noclobber(target).map_err(|failed| failed.error)?;
    // The folders between the root and the file may be new as well.
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

/// Runs file work on a thread that may block.
async fn blocking<T: Send + 'static>(
    action: Action,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = body::blocking(work).await;
    done.map_err(|source| match (source.kind(), action.key()) {
        (io::ErrorKind::InvalidFilename, Some(key)) => {
            StorageError::KeyRefused { key: key.clone(), code: source.kind().to_string() }
        }
        _ => StorageError::File { action, source },
    })
}

#[cfg(test)]
mod tests;
