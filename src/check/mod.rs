//! `egressd check`: says in words what works and what does not, before anybody relies on it.
//!
//! Everything is tried as the service would use it: LiveKit is called, a test object goes through the store,
//! a second is encoded. Contract: if one thing fails, the others are tried all the same. A check leaves
//! nothing behind and shows no secret. Its result is good only if recordings could be made.

mod finding;
mod livekit;
mod machine;
mod media;
mod show;
mod store;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::finding::{Finding, Grade, Subject};
use self::show::Colour;
use self::store::Which;
use crate::compose::{ComposeOptions, Composer};
use crate::config::{Examined, Fault, Parts, RecordingConfig};
use crate::encode::EncodeError;
use crate::media::{Decorations, Size};
use crate::options::RecordingOptions;
use crate::storage::StorageConfig;

/// A folder needs space for the spool, the parts and the joined file; with a bucket there is only the spool.
const COPIES_IN_A_FOLDER: u64 = 3;

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Prints one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Whether recordings can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rating {
    Usable,
    Unusable,
}

/// # Errors
/// If standard output cannot be written to.
pub async fn run(args: CheckArgs) -> io::Result<Rating> {
    let findings = everything(Examined::load()).await;
    let shown = match args.json {
        true => show::json(&findings) + "\n",
        false => show::text(&findings, colour()),
    };
    io::stdout().lock().write_all(shown.as_bytes())?;
    Ok(match show::overall(&findings) {
        Grade::Ok | Grade::Warning => Rating::Usable,
        Grade::Fault => Rating::Unusable,
    })
}

/// Encodes a second of a recording whose start asks for nothing.
///
/// # Errors
/// If encoding fails.
pub async fn try_encoders() -> Result<(), EncodeError> {
    media::try_encoders(&RecordingOptions::default()).await.map(drop)
}

async fn everything(examined: Examined) -> Vec<Finding> {
    let mut findings = configuration(&examined);
    let footprints = examined.parts.as_ref().map(Footprints::before);
    findings.extend(parts(examined.parts.as_ref()).await);
    if let Some(footprints) = footprints {
        footprints.remove();
    }
    findings
}

fn configuration(examined: &Examined) -> Vec<Finding> {
    if examined.faults.is_empty() {
        let says = format!("{} settings are set, the others have their defaults", examined.set);
        return vec![Subject::Configuration.ok(says)];
    }
    let last = examined.faults.len() - 1;
    let finding = |(number, fault): (usize, &Fault)| Finding {
        subject: Subject::Configuration,
        grade: Grade::Fault,
        says: format!("{}: {}", fault.name, fault.what),
        // Only the last fault needs the advice.
        advice: (number == last).then(|| "docs/configuration.md lists every setting".to_owned()),
    };
    examined.faults.iter().enumerate().map(finding).collect()
}

/// Checks everything but the configuration. A subject whose settings are not usable is reported as not
/// checked.
async fn parts(parts: Option<&Parts>) -> Vec<Finding> {
    let recording = parts.and_then(|parts| parts.recording.as_ref());
    // The checks run together, because most of them wait for others. The load of the processors is measured
    // before, while nothing else runs.
    let capacity = capacity(recording).await;
    let (livekit, store, fallback, encoders, decoders, fonts) = tokio::join!(
        livekit(parts),
        first_store(parts),
        fallback(parts),
        encoders(recording),
        media::decoders(recording.map_or(&[], |recording| &recording.disabled_codecs)),
        media::fonts(recording),
    );
    let mut findings = livekit;
    findings.push(store);
    findings.extend(fallback);
    findings.extend([encoders, decoders, fonts]);
    findings.extend(recording.and_then(watermark));
    findings.extend(local(parts, recording).await);
    findings.push(machine::files());
    findings.push(capacity);
    findings.push(match parts.and_then(|parts| parts.api.as_ref()) {
        Some(api) => machine::api(api.listen).await,
        None => Subject::Api.not_checked(),
    });
    findings
}

async fn livekit(parts: Option<&Parts>) -> Vec<Finding> {
    match parts.and_then(|parts| parts.livekit.as_ref()) {
        Some(config) => livekit::check(config).await,
        None => vec![Subject::Livekit.not_checked()],
    }
}

async fn first_store(parts: Option<&Parts>) -> Finding {
    match parts.and_then(|parts| parts.storage.as_ref()) {
        Some(config) => store::check(config, Which::First).await,
        None => Subject::Store.not_checked(),
    }
}

async fn fallback(parts: Option<&Parts>) -> Option<Finding> {
    let config = parts?.fallback.as_ref()?;
    Some(store::check(&config.storage, Which::Fallback).await)
}

async fn encoders(recording: Option<&RecordingConfig>) -> Finding {
    let options = recording.map(|recording| recording.defaults.clone()).unwrap_or_default();
    media::encoders(&options).await
}

async fn capacity(recording: Option<&RecordingConfig>) -> Finding {
    match recording {
        Some(recording) => machine::capacity(recording).await,
        None => Subject::Capacity.not_checked(),
    }
}

async fn local(parts: Option<&Parts>, recording: Option<&RecordingConfig>) -> Vec<Finding> {
    let Some(parts) = parts else { return vec![Subject::DataFolder.not_checked()] };
    let mut findings = vec![machine::data_folder(&parts.data_dir).await];
    if let Some(recording) = recording {
        let copies = match parts.storage {
            Some(StorageConfig::Folder { .. }) => COPIES_IN_A_FOLDER,
            Some(StorageConfig::S3(_)) | None => 1,
        };
        findings.push(machine::disk(&parts.data_dir, recording, copies).await);
    }
    findings
}

/// Checks whether the watermark's file can be read. Returns `None` if no watermark is configured.
fn watermark(recording: &RecordingConfig) -> Option<Finding> {
    let options = &recording.defaults;
    let watermark = options.decorations.watermark.clone()?;
    let shown = watermark.file.display().to_string();
    let composed = Composer::new(ComposeOptions {
        streams: options.streams,
        size: Size { width: options.width, height: options.height },
        frame_rate: options.frame_rate,
        view: options.view,
        decorations: Decorations { watermark: Some(watermark), ..Decorations::default() },
    });
    Some(match composed {
        Ok(_) => Subject::Watermark.ok(format!("{shown} can be shown")),
        Err(error) => Subject::Watermark.fault(
            finding::sentence(&error),
            "EGRESSD_WATERMARK_FILE must name a PNG file that egressd's user can read",
        ),
    })
}

fn colour() -> Colour {
    // https://no-color.org
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !unwanted { Colour::Terminal } else { Colour::Plain }
}

/// Folders that did not exist before the check, the deepest first.
struct Footprints(Vec<PathBuf>);

impl Footprints {
    fn before(parts: &Parts) -> Self {
        let mut folders = vec![parts.data_dir.path()];
        let stores = [parts.storage.as_ref(), parts.fallback.as_ref().map(|fallback| &fallback.storage)];
        folders.extend(stores.into_iter().flatten().filter_map(|store| match store {
            StorageConfig::Folder { root } => Some(root.as_path()),
            StorageConfig::S3(_) => None,
        }));
        let missing = |folder: &Path| {
            let new = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
            new.map(Path::to_owned).collect::<Vec<_>>()
        };
        let mut missing: Vec<PathBuf> = folders.into_iter().flat_map(missing).collect();
        missing.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        missing.dedup();
        Self(missing)
    }

    /// Removes the folders. A folder that is in use by now is not empty, and stays.
    fn remove(self) {
        for folder in self.0 {
            if let Err(error) = std::fs::remove_dir(&folder) {
                tracing::debug!(%error, folder = %folder.display(), "a folder stays");
            }
        }
    }
}
