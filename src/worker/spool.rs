//! The spool file: whole fragments, appended by a thread of its own, so that a slow disk never holds up
//! media. No knowledge of what the bytes mean.
//!
//! Contract: bytes counted by [`Spool::final_bytes`] are in the file and never change.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

/// Half a second each: a disk may stall for half a minute before the recording gives up.
const QUEUED_FRAGMENTS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot create the spool file {path}")]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot write the spool file at byte {offset}")]
    Write { offset: u64, source: io::Error },
    #[error("the disk takes no data: {QUEUED_FRAGMENTS} fragments are waiting")]
    Stalled,
    #[error("the thread that writes the spool file is gone")]
    Gone,
}

pub struct Spool {
    queue: SyncSender<Vec<u8>>,
    written: Arc<AtomicU64>,
    writer: JoinHandle<Result<(), SpoolError>>,
}

impl Spool {
    pub fn create(path: &Path) -> Result<Self, SpoolError> {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        let wrong = |source| SpoolError::Create { path: path.to_owned(), source };
        let file = created.map_err(wrong)?;
        // Held until the file is closed: a service that starts anew sees that somebody still writes.
        file.lock().map_err(wrong)?;
        Self::on(file).map_err(wrong)
    }

    fn on(file: File) -> io::Result<Self> {
        let (queue, fragments) = mpsc::sync_channel(QUEUED_FRAGMENTS);
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let run = move || write_all(file, &fragments, &counter);
        let writer = thread::Builder::new().name("spool".into()).spawn(run)?;
        Ok(Self { queue, written, writer })
    }

    /// Never blocks. After a failure the error of [`Spool::finish`] says what it was.
    pub fn append(&self, fragment: Vec<u8>) -> Result<(), SpoolError> {
        self.queue.try_send(fragment).map_err(|e| match e {
            TrySendError::Full(_) => SpoolError::Stalled,
            TrySendError::Disconnected(_) => SpoolError::Gone,
        })
    }

    pub fn final_bytes(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Waits for all that was appended; blocks. Answers with the length of what is whole, and with the
    /// error that made it so if it is not all.
    pub fn finish(self) -> (u64, Result<(), SpoolError>) {
        drop(self.queue);
        let outcome = self.writer.join().unwrap_or(Err(SpoolError::Gone));
        (self.written.load(Ordering::Acquire), outcome)
    }
}

fn write_all(
    mut file: File,
    fragments: &mpsc::Receiver<Vec<u8>>,
    written: &AtomicU64,
) -> Result<(), SpoolError> {
    let mut offset = 0;
    while let Ok(fragment) = fragments.recv() {
        file.write_all(&fragment).map_err(|source| SpoolError::Write { offset, source })?;
        offset += fragment.len() as u64;
        written.store(offset, Ordering::Release);
    }
    file.sync_data().map_err(|source| SpoolError::Write { offset, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_in_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        let spool = Spool::create(&path).unwrap();
        spool.append(b"one".to_vec()).unwrap();
        spool.append(b"two".to_vec()).unwrap();
        let (len, outcome) = spool.finish();
        outcome.unwrap();
        assert_eq!(len, 6);
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        std::fs::write(&path, b"an earlier recording").unwrap();
        assert!(matches!(Spool::create(&path), Err(SpoolError::Create { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"an earlier recording");
    }

    #[test]
    fn a_full_disk_is_told_with_what_is_whole() {
        // A device that answers every write with "no space left".
        let spool = Spool::on(OpenOptions::new().write(true).open("/dev/full").unwrap()).unwrap();
        spool.append(vec![0; 4096]).unwrap();
        let (len, outcome) = spool.finish();
        assert_eq!(len, 0);
        let Err(SpoolError::Write { offset: 0, source }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }
}
