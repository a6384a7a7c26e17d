//! `egressd demo`: shows the recorder at work without any set-up. It starts a LiveKit server and the service,
//! lets speaking and moving participants join a room, records them through the REST API as any client would,
//! and describes the file.
//!
//! Knows the recorder only from outside: its command line, its environment, its API. The publisher in `room`
//! is the one exception.
//!
//! Contract: every process that it started is ended, whatever happens. It succeeds only if the file exists
//! and is as long as was asked for.

mod card;
mod clips;
mod commands;
mod contents;
mod crowd;
mod livekit;
mod picture;
mod process;
mod progress;
mod publish;
mod service;
mod voice;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rand::Rng;
use rand::distr::Alphanumeric;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use self::clips::{Layers, Look, Sound, VideoCodec};
use self::contents::Contents;
use self::crowd::{CrowdOptions, Prepared};
use self::livekit::LiveKit;
use self::progress::Progress;
pub use self::publish::{PublishArgs, run as publish};
use self::service::{Rest, Service, Started, recording_path};
use crate::ids::RoomName;
use crate::media::Size;

const ROOM: &str = "demo";
/// What a laptop's camera sends into a meeting of four.
const CAMERA: Size = Size { width: 640, height: 360 };
/// How long one answer of a local service may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the file may take after the stop; the target is two seconds.
const FILE_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// How much shorter the recording may be: it begins when the recorder is in the room, about a second after
/// the start.
const MAY_LACK: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Length of the recording.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Number of test participants.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=25))]
    pub participants: u32,
    /// Folder for the recording and the logs of this run; it is kept.
    #[arg(long, value_name = "DIR", default_value = "egressd-demo")]
    pub keep: PathBuf,
}

/// The processes that run now.
#[derive(Default)]
struct Running {
    livekit: Option<LiveKit>,
    service: Option<Service>,
}

/// # Errors
/// If a part does not start, ends early or makes no correct file; and on Ctrl-C or SIGTERM.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let progress = Progress::new();
    let mut running = Running::default();
    let outcome = tokio::select! {
        outcome = record(&args, &mut running, &progress) => outcome,
        interrupt = interrupted() => Err(interrupt.map_or_else(Into::into, |()| anyhow::anyhow!("interrupted"))),
    };
    running.end().await;
    progress.done();
    let (file, contents) = outcome?;
    println!("{}\n{contents}", file.display());
    Ok(())
}

async fn record(
    args: &DemoArgs,
    running: &mut Running,
    progress: &Progress,
) -> anyhow::Result<(PathBuf, Contents)> {
    let dir = prepare_folder(&args.keep)?;
    let http = reqwest::Client::builder().timeout(HTTP_TIMEOUT).build()?;
    let room: RoomName = ROOM.parse()?;

    progress.step("starting a LiveKit server");
    let livekit = running.livekit.insert(LiveKit::start(&http, &dir.join("livekit.log")).await?);
    progress.step("starting egressd serve");
    let service = running.service.insert(Service::start(&http, livekit, &dir).await?);
    progress.step(&format!("bringing {} participants into the room", args.participants));
    let crowd = Prepared::encode(crowd_options(args, livekit, room.clone())).await?;
    let mut crowd = crowd.join().await?;

    let Service { process, rest } = service;
    let started = tokio::select! {
        started = record_for(args.seconds, rest, &room, progress) => started?,
        failed = process.ended_early() => return Err(failed),
        failed = livekit.process.ended_early() => return Err(failed),
        failed = crowd.somebody_left() => return Err(failed),
    };
    progress.step("waiting for the file");
    let file = recording_path(&dir, &room, started.started_at);
    tokio::select! {
        there = until_there(&file) => there?,
        failed = process.ended_early() => return Err(failed),
    }
    crowd.leave().await?;
    let contents = Contents::read(&file)?;
    check(&contents, args).with_context(|| file.display().to_string())?;
    Ok((file, contents))
}

async fn record_for(
    seconds: u64,
    rest: &Rest,
    room: &RoomName,
    progress: &Progress,
) -> anyhow::Result<Started> {
    let started = rest.start(room).await?;
    progress.step(&format!("recording {} through {}", started.egress_id, rest.base));
    let begin = Instant::now();
    for second in 1..=seconds {
        tokio::time::sleep_until(begin + Duration::from_secs(second)).await;
        progress.recorded(second, seconds);
    }
    let stopped = rest.stop(room).await?;
    if stopped.egress_id != started.egress_id {
        bail!("asked to stop {}, egressd stopped {}", started.egress_id, stopped.egress_id);
    }
    Ok(started)
}

/// Waits for the file. It appears under its name whole or not at all.
async fn until_there(file: &Path) -> anyhow::Result<()> {
    let appears = async {
        while !file.exists() {
            sleep(POLL).await;
        }
    };
    timeout(FILE_DEADLINE, appears)
        .await
        .with_context(|| format!("{} did not appear within {} s", file.display(), FILE_DEADLINE.as_secs()))
}

fn check(contents: &Contents, args: &DemoArgs) -> anyhow::Result<()> {
    let least = Duration::from_secs(args.seconds).saturating_sub(MAY_LACK).as_secs_f64();
    if contents.video.seconds < least || contents.audio.seconds < least {
        bail!("the recording is shorter than {} s:\n{contents}", args.seconds);
    }
    Ok(())
}

/// Makes the folder and returns its absolute path, which other processes and the user can use.
fn prepare_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let made = std::fs::create_dir_all(dir).and_then(|()| dir.canonicalize());
    made.with_context(|| format!("cannot make the folder {}", dir.display()))
}

fn crowd_options(args: &DemoArgs, livekit: &LiveKit, room: RoomName) -> CrowdOptions {
    CrowdOptions {
        url: livekit.url.clone(),
        api_key: livekit.api_key.clone(),
        api_secret: livekit.api_secret.clone(),
        room,
        count: args.participants,
        size: CAMERA,
        codec: VideoCodec::Vp8,
        look: Look::Figure,
        layers: Layers::Single,
        sound: Sound::Voice,
    }
}

impl Running {
    /// Ends the service first: it can then still leave the room properly.
    async fn end(self) {
        if let Some(service) = self.service {
            service.process.end().await;
        }
        if let Some(livekit) = self.livekit {
            livekit.process.end().await;
        }
    }
}

/// Returns letters and digits, as many as the longest secret that LiveKit asks for.
fn random_secret() -> String {
    rand::rng().sample_iter(&Alphanumeric).take(43).map(char::from).collect()
}

/// Returns on Ctrl-C or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
