//! The spool file: whole fragments, appended by a thread of its own, so that a slow disk never holds up
//! media. No knowledge of what the bytes mean.
//!
//! Contract: bytes counted by [`Spool::final_bytes`] are on the disk, not only with the system, and never change. They
//! are counted soon after they were written: a second thread does nothing but flush, so that what the first one has
//! written survives the end of this process even while the disk is slow.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;

/// A third of a second each: a disk may stall for half a minute before the recording gives up.
const QUEUED_FRAGMENTS: usize = 96;

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot create the spool file {path}")]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot open the spool file {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("somebody else still writes the spool file {path}")]
    Locked { path: PathBuf },
    #[error("the spool file {path} has {found} bytes, not the {expected} at which to go on")]
    Short { path: PathBuf, found: u64, expected: u64 },
    #[error("cannot write the spool file at byte {offset}")]
    Write { offset: u64, source: io::Error },
    #[error("cannot flush the spool file up to byte {offset}")]
    Flush { offset: u64, source: io::Error },
    #[error("the disk takes no data: {QUEUED_FRAGMENTS} fragments are waiting")]
    Stalled,
    #[error("the thread that writes the spool file is gone")]
    Gone,
}

pub struct Spool {
    queue: SyncSender<Vec<u8>>,
    /// Bytes on the disk.
    flushed: Arc<AtomicU64>,
    writer: JoinHandle<Result<(), SpoolError>>,
    flusher: JoinHandle<Result<(), SpoolError>>,
}

impl SpoolError {
    /// There is no place left, neither now nor soon.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Write { source, .. } | Self::Flush { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ),
            Self::Create { .. }
            | Self::Open { .. }
            | Self::Locked { .. }
            | Self::Short { .. }
            | Self::Stalled
            | Self::Gone => false,
        }
    }
}

impl Spool {
    /// `wake` is notified whenever there are more final bytes.
    pub fn create(path: &Path, wake: Arc<Notify>) -> Result<Self, SpoolError> {
        let wrong = |source| SpoolError::Create { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(wrong)?;
        lock(&file, path)?;
        Self::on(file, 0, wake).map_err(wrong)
    }

    /// Goes on behind the first `len` bytes of a spool that somebody has left; what is behind them is cut off.
    pub fn resume(path: &Path, len: u64, wake: Arc<Notify>) -> Result<Self, SpoolError> {
        let wrong = |source| SpoolError::Open { path: path.to_owned(), source };
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(wrong)?;
        lock(&file, path)?;
        let found = file.metadata().map_err(wrong)?.len();
        if found < len {
            return Err(SpoolError::Short { path: path.to_owned(), found, expected: len });
        }
        file.set_len(len).map_err(wrong)?;
        file.seek(SeekFrom::Start(len)).map_err(wrong)?;
        file.sync_data().map_err(wrong)?;
        Self::on(file, len, wake).map_err(wrong)
    }

    fn on(file: File, len: u64, wake: Arc<Notify>) -> io::Result<Self> {
        let (queue, fragments) = mpsc::sync_channel(QUEUED_FRAGMENTS);
        let (written, ends) = mpsc::sync_channel(QUEUED_FRAGMENTS);
        let flushed = Arc::new(AtomicU64::new(len));
        let (same_file, counter) = (file.try_clone()?, Arc::clone(&flushed));
        let flush = move || flush_all(&same_file, &ends, &counter, &wake);
        let write = move || write_all(file, len, &fragments, &written);
        Ok(Self {
            queue,
            flushed,
            flusher: thread::Builder::new().name("spool flush".into()).spawn(flush)?,
            writer: thread::Builder::new().name("spool".into()).spawn(write)?,
        })
    }

    /// Never blocks. After a failure the error of [`Spool::finish`] says what it was.
    pub fn append(&self, fragment: Vec<u8>) -> Result<(), SpoolError> {
        self.queue.try_send(fragment).map_err(|e| match e {
            TrySendError::Full(_) => SpoolError::Stalled,
            TrySendError::Disconnected(_) => SpoolError::Gone,
        })
    }

    pub fn final_bytes(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Waits for all that was appended; blocks. Returns the length of what is whole, and the
    /// error that made it so if it is not all.
    pub fn finish(self) -> (u64, Result<(), SpoolError>) {
        drop(self.queue);
        let written = self.writer.join().unwrap_or(Err(SpoolError::Gone));
        // It ends with the writer. If it failed, the writer's end is a consequence.
        let flushed = self.flusher.join().unwrap_or(Err(SpoolError::Gone));
        (self.flushed.load(Ordering::Acquire), flushed.and(written))
    }
}

/// Held until the file is closed: a service that starts anew sees that somebody still writes.
fn lock(file: &File, path: &Path) -> Result<(), SpoolError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => SpoolError::Locked { path: path.to_owned() },
        TryLockError::Error(source) => SpoolError::Open { path: path.to_owned(), source },
    })
}

/// Appends the fragments behind `offset`, and says of each where it ends.
fn write_all(
    mut file: File,
    mut offset: u64,
    fragments: &Receiver<Vec<u8>>,
    written: &SyncSender<u64>,
) -> Result<(), SpoolError> {
    while let Ok(fragment) = fragments.recv() {
        if let Err(source) = file.write_all(&fragment) {
            // A part of a fragment is of no use to anybody, and its place may be: on a full disk it is all there is.
            if let Err(error) = file.set_len(offset) {
                tracing::warn!(%error, offset, "the broken end of the spool stays");
            }
            return Err(SpoolError::Write { offset, source });
        }
        offset += fragment.len() as u64;
        written.send(offset).map_err(|_| SpoolError::Gone)?;
    }
    Ok(())
}

/// Flushes up to the last of the `ends` that are there, again and again.
fn flush_all(
    file: &File,
    ends: &Receiver<u64>,
    flushed: &AtomicU64,
    wake: &Notify,
) -> Result<(), SpoolError> {
    while let Ok(end) = ends.recv() {
        let offset = ends.try_iter().last().unwrap_or(end);
        file.sync_data().map_err(|source| SpoolError::Flush { offset, source })?;
        flushed.store(offset, Ordering::Release);
        wake.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake() -> Arc<Notify> {
        Arc::new(Notify::new())
    }

    #[test]
    fn what_is_appended_is_in_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        let spool = Spool::create(&path, wake()).unwrap();
        spool.append(b"one".to_vec()).unwrap();
        spool.append(b"two".to_vec()).unwrap();
        let (len, outcome) = spool.finish();
        outcome.unwrap();
        assert_eq!(len, 6);
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }

    #[tokio::test]
    async fn that_bytes_have_become_final_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let wake = wake();
        let spool = Spool::create(&folder.path().join("spool.mp4"), Arc::clone(&wake)).unwrap();
        spool.append(b"one".to_vec()).unwrap();
        wake.notified().await;
        assert_eq!(spool.final_bytes(), 3);
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        std::fs::write(&path, b"an earlier recording").unwrap();
        assert!(matches!(Spool::create(&path, wake()), Err(SpoolError::Create { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"an earlier recording");
    }

    #[test]
    fn a_spool_goes_on_behind_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        std::fs::write(&path, b"whole, and then a bro").unwrap();
        let spool = Spool::resume(&path, 6, wake()).unwrap();
        assert_eq!(spool.final_bytes(), 6);
        spool.append(b" again".to_vec()).unwrap();
        let (len, outcome) = spool.finish();
        outcome.unwrap();
        assert_eq!(len, 12);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole, again");
    }

    #[test]
    fn a_spool_that_is_shorter_than_it_was_said_to_be_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        std::fs::write(&path, b"short").unwrap();
        let refused = Spool::resume(&path, 6, wake()).err().unwrap();
        assert!(matches!(refused, SpoolError::Short { found: 5, expected: 6, .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }

    #[test]
    fn nobody_writes_where_somebody_else_still_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        let first = Spool::create(&path, wake()).unwrap();
        assert!(matches!(Spool::resume(&path, 0, wake()), Err(SpoolError::Locked { .. })));
        first.finish().1.unwrap();
        Spool::resume(&path, 0, wake()).unwrap().finish().1.unwrap();
    }

    #[test]
    fn a_full_disk_is_told_with_what_is_whole() {
        // A device that answers every write with "no space left".
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let spool = Spool::on(full, 0, wake()).unwrap();
        spool.append(vec![0; 4096]).unwrap();
        let (len, outcome) = spool.finish();
        assert_eq!(len, 0);
        let Err(error @ SpoolError::Write { offset: 0, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(error.is_disk_full());
    }
}
