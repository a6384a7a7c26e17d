//! Proof that a service does not wear out: after fifty recordings in a row it has no more files, threads, children or
//! temporary files than after the first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::participants::Act;
use crate::support::service::Service;
use crate::support::stage::{Options, Stage};

const RECORDINGS: u32 = 50;
/// Some frames: one that is stopped within the first one holds nothing, and says so.
const RECORDED: Duration = Duration::from_millis(200);
/// What is done in the background after a recording is over: idle connections are closed, threads without work end.
const SETTLED: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// A connection to the store, the database or LiveKit may be open or not at any moment.
const FILES_APART: usize = 4;
/// Work that may block has threads that come when they are needed and go when they were not for ten seconds.
const THREADS_APART: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fifty_recordings_nothing_is_left_of_them() {
    let mut stage = Stage::open_with("many", Options::HALF).await;
    stage.participants.join("ann", Act::Silent);
    record_one(&stage).await;
    let first = settled(&stage.service, None).await;
    for _ in 1..RECORDINGS {
        record_one(&stage).await;
    }
    let last = settled(&stage.service, Some(&first)).await;
    println!("after one recording {first:?}, after {RECORDINGS} {last:?}");
    assert!(last.fits(&first), "after one {first:?}, after {RECORDINGS} {last:?}");
    assert_eq!(stage.minio.objects().as_object().map_or(0, |objects| objects.len()), RECORDINGS as usize);
    assert_eq!(stage.minio.unfinished_uploads(), 0);
}

async fn record_one(stage: &Stage) {
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;
    stage.report(&running).await;
}

#[derive(Debug)]
struct Holdings {
    files: usize,
    threads: usize,
    children: usize,
    /// In the data folder.
    stored: BTreeSet<PathBuf>,
}

impl Holdings {
    fn of(service: &Service) -> Self {
        let (files, threads) = service.holdings();
        let mut stored = BTreeSet::new();
        list(&service.data(), &mut stored);
        Self { files, threads, children: service.children().len(), stored }
    }

    fn fits(&self, first: &Self) -> bool {
        self.files <= first.files + FILES_APART
            && self.threads <= first.threads + THREADS_APART
            && self.children == 0
            && self.stored == first.stored
    }
}

/// What it holds once it holds no more than `first`, or after a while; the first time after that while.
async fn settled(service: &Service, first: Option<&Holdings>) -> Holdings {
    let begin = Instant::now();
    loop {
        let now = Holdings::of(service);
        if begin.elapsed() > SETTLED || first.is_some_and(|first| now.fits(first)) {
            return now;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn list(folder: &Path, into: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => list(&entry.path(), into),
            false => drop(into.insert(entry.path())),
        }
    }
}
