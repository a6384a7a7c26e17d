//! This machine: the data folder, the space on its disk, and how many recordings it can make.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;

use super::finding::{Finding, Subject, sentence};
use crate::admission;
use crate::admission::{Load, Meter, Pool};
use crate::config::{DataDir, RecordingConfig};
use crate::options::RecordingOptions;
use crate::store::{Store, StoreError};

const GB: f64 = 1e9;
/// How long the load of the processors is measured.
const LOOK: Duration = Duration::from_secs(1);
/// A worker was measured with 46 open files for eight tracks, four for each track. A service has about ten
/// for each recording, including the four connections of its upload.
const FILES_AT_LEAST: u64 = 1024;

#[derive(Debug, thiserror::Error)]
enum FolderFault {
    #[error("cannot be created")]
    Create(#[source] io::Error),
    #[error("cannot be written to")]
    Write(#[source] io::Error),
    #[error("no database can be kept there")]
    Database(#[source] StoreError),
    #[error("its database cannot be used")]
    Existing(#[source] StoreError),
}

/// Tries the folder of the database with a test database, which is removed again.
pub async fn data_folder(data_dir: &DataDir) -> Finding {
    let (folder, database) = (data_dir.path().to_owned(), data_dir.database());
    let shown = folder.display().to_string();
    let tried = tokio::task::spawn_blocking(move || try_folder(&folder, &database)).await;
    match tried {
        Ok(Ok(())) => Subject::DataFolder.ok(format!("{shown} can be written to, and holds a database")),
        Ok(Err(fault)) => Subject::DataFolder.fault(
            format!("{shown} {}", sentence(&fault)),
            "EGRESSD_DATA_DIR must be a folder on a local disk that egressd's user can write to",
        ),
        Err(failed) => {
            Subject::DataFolder.fault(failed.to_string(), "this is a mistake in egressd: please report it")
        }
    }
}

fn try_folder(folder: &Path, database: &Path) -> Result<(), FolderFault> {
    std::fs::create_dir_all(folder).map_err(FolderFault::Create)?;
    let own =
        tempfile::Builder::new().prefix(".egressd-check-").tempdir_in(folder).map_err(FolderFault::Write)?;
    Store::open(&own.path().join("check.db")).map_err(FolderFault::Database)?;
    match database.exists() {
        true => Store::look(database).map_err(FolderFault::Existing),
        false => Ok(()),
    }
}

/// Says how long a recording can be before the disk of the spools is full.
pub async fn disk(data_dir: &DataDir, recording: &RecordingConfig, copies: u64) -> Finding {
    let folder = data_dir.path().to_owned();
    let free = tokio::task::spawn_blocking(move || admission::free_bytes(&existing(&folder))).await;
    match free.map_err(io::Error::other).and_then(|free| free) {
        Ok(free) => room(free, recording.min_free_disk_mb << 20, hour(&recording.defaults) * copies),
        Err(error) => Subject::Disk.warning(
            format!("it does not say how much room it has: {error}"),
            "see that there is enough for the recordings that run at a time",
        ),
    }
}

/// `an_hour` is the most bytes that an hour of a recording takes.
fn room(free: u64, least_free: u64, an_hour: u64) -> Finding {
    let usable = free.saturating_sub(least_free);
    let says = format!(
        "{:.1} GB are free, {:.1} GB of them are to stay so; an hour of one recording takes up to {:.1} GB",
        free as f64 / GB,
        least_free as f64 / GB,
        an_hour as f64 / GB,
    );
    let advice = "make room on the disk with EGRESSD_DATA_DIR, or lower EGRESSD_MIN_FREE_DISK_MB";
    match usable {
        0 if least_free > 0 => Subject::Disk.fault(says, advice),
        _ if usable < an_hour => Subject::Disk.warning(says, advice),
        _ => Subject::Disk.ok(says),
    }
}

fn hour(options: &RecordingOptions) -> u64 {
    u64::from(options.video_kbps + options.audio_kbps) * 1000 / 8 * 3600
}

/// Returns the folder itself, or its nearest ancestor that exists.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&absolute).to_owned()
}

pub fn files() -> Finding {
    let limit = getrlimit(Resource::Nofile).current;
    match limit {
        None => Subject::Files.ok("as many as one likes"),
        Some(limit) if limit >= FILES_AT_LEAST => Subject::Files.ok(format!("{limit} at a time")),
        Some(limit) => Subject::Files.warning(
            format!("{limit} at a time are few"),
            format!("allow {FILES_AT_LEAST} or more (ulimit -n, LimitNOFILE= of systemd)"),
        ),
    }
}

/// Says how many recordings may run at a time, as the service would decide now.
pub async fn capacity(recording: &RecordingConfig) -> Finding {
    let load = measured().await;
    let percent = recording.max_load_percent.get();
    judged(&load, load.room_for(percent), recording.max_recordings.map(|max| max.get() as usize))
}

async fn measured() -> Load {
    let (begun, mut meter) = (Instant::now(), Meter::default());
    meter.take(admission::sample(begun.elapsed(), &[]));
    tokio::time::sleep(LOOK).await;
    meter.take(admission::sample(begun.elapsed(), &[]))
}

fn judged(load: &Load, fitting: usize, allowed: Option<usize>) -> Finding {
    let tightest = |pools: &[Pool]| {
        pools.iter().copied().min_by(|a, b| (a.total - a.used).total_cmp(&(b.total - b.used)))
    };
    let mut has = Vec::new();
    has.extend(tightest(&load.processors).map(|pool| {
        format!("{} processors, {:.1} of them busy now", (pool.total * 10.0).round() / 10.0, pool.used)
    }));
    has.extend(
        tightest(&load.memory).map(|pool| {
            format!("{:.1} GB of memory, {:.1} GB of it in use", pool.total / GB, pool.used / GB)
        }),
    );
    let has = has.join("; ");
    let recordings = allowed.unwrap_or(usize::MAX).min(fitting);
    let says = match recordings {
        0 => format!("{has}: no room for a recording"),
        1 => format!("{has}: room for one recording"),
        _ => format!("{has}: room for {recordings} recordings of nine participants in 1280x720"),
    };
    match (fitting, allowed) {
        (0, _) => Subject::Capacity.fault(says, "free some memory, or raise EGRESSD_MAX_LOAD_PERCENT"),
        (fitting, Some(allowed)) if allowed > fitting => Subject::Capacity.warning(
            says,
            format!("EGRESSD_MAX_RECORDINGS is {allowed}; starts beyond what the machine bears are refused"),
        ),
        _ => Subject::Capacity.ok(says),
    }
}

/// Tries whether the service could listen on its address.
pub async fn api(listen: SocketAddr) -> Finding {
    match TcpListener::bind(listen).await {
        Ok(_) => Subject::Api.ok(format!("it can listen on {listen}")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Subject::Api.warning(
            format!("{listen} is in use already"),
            "if that is not egressd itself, stop it or set another API_PORT",
        ),
        Err(error) => Subject::Api.fault(
            format!("it cannot listen on {listen}: {error}"),
            "API_HOST must be an address of this machine, and API_PORT one that egressd's user may use",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Grade;

    #[test]
    fn a_disk_must_have_more_than_what_is_to_stay_free() {
        let grade = |free| room(free, 1000, 500).grade;
        assert_eq!([999, 1000].map(grade), [Grade::Fault; 2]);
        assert_eq!([1001, 1499].map(grade), [Grade::Warning; 2]);
        assert_eq!(grade(1500), Grade::Ok);
        assert_eq!(room(0, 0, 500).grade, Grade::Warning, "the limit is switched off");
    }

    #[test]
    fn the_finding_counts_recordings_up_to_the_allowed_number() {
        let pool = |total, used| vec![Pool { total, used }];
        let load = Load { processors: pool(2.0, 0.25), memory: pool(8e9, 2e9), workers: Vec::new() };
        let ok = judged(&load, 4, None);
        let machine = "2 processors, 0.2 of them busy now; 8.0 GB of memory, 2.0 GB of it in use";
        assert_eq!(ok.says, format!("{machine}: room for 4 recordings of nine participants in 1280x720"));
        assert_eq!(judged(&load, 4, Some(1)).says, format!("{machine}: room for one recording"));
        assert_eq!(judged(&load, 4, Some(9)).grade, Grade::Warning);
        assert_eq!(judged(&load, 0, None).grade, Grade::Fault);
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("egressd.db");
        try_folder(folder.path(), &database).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(&database, "this is no database, but it is long enough to be taken for one").unwrap();
        assert!(matches!(try_folder(folder.path(), &database), Err(FolderFault::Existing(_))));
        assert!(matches!(try_folder(&database, &database), Err(FolderFault::Create(_))));
    }

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
    }
}
