//! A whole deployment for one test: LiveKit, MinIO, egressd and participants, in a temporary folder that is
//! kept, with every log and file, if the test fails.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::disk::SmallDisk;
use super::participants::{Crowd, Participants};
use super::probe::Recording;
use super::process::free_tcp_port;
use super::rest::{Answer, Caller};
use super::servers::{LiveKit, Minio, Network};
use super::service::Service;
use super::signalling::SignallingRelay;
use super::tools;

/// Media in real time and encoders that take a core: two such tests at once would measure the machine. Two of those
/// that take a half of it may run beside one another.
static HALVES: Semaphore = Semaphore::const_new(2);

/// How long a recording may take to become active or to reach the bucket. Far above the targets (1 s and 2 s,
/// which `./dev bench` measures), so that a busy machine fails no test.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Nobody else takes this much of the machine as long as it is held.
pub async fn turn(takes: Takes) -> SemaphorePermit<'static> {
    let halves = match takes {
        Takes::Whole => 2,
        Takes::Half => 1,
    };
    HALVES.acquire_many(halves).await.expect("it is never closed")
}

pub struct Stage {
    // Fields are dropped in this order: participants first, the folder after all that write to it.
    pub participants: Participants,
    /// Started by [`Stage::browser`].
    pub browser: Option<Participants>,
    pub service: Service,
    pub minio: Minio,
    pub livekit: LiveKit,
    signalling: Option<SignallingRelay>,
    room: &'static str,
    caller: Caller,
    /// The service's own, if it has a small one.
    disk: Option<SmallDisk>,
    folder: Folder,
    _turn: SemaphorePermit<'static>,
}

/// What is out of the ordinary about a stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub takes: Takes,
    pub network: Network,
    pub signalling: Signalling,
    /// LiveKit posts its own webhooks to egressd.
    pub livekit_tells: bool,
    /// egressd's settings, by name.
    pub settings: &'static [(&'static str, &'static str)],
    /// Bytes of the disk that egressd's folder is on; a part of the machine's disk if there is no other (see
    /// [`Stage::has_small_disk`]).
    pub disk: Option<u64>,
    /// A folder below `tests` with what another egressd left behind in its data folder.
    pub left_over: Option<&'static str>,
}

/// How much of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub enum Takes {
    #[default]
    Whole,
    /// One or two small cameras at a time, and nothing is measured that would suffer if a frame were made a second late.
    Half,
}

impl Options {
    pub const HALF: Self = Self {
        takes: Takes::Half,
        network: Network::Direct,
        signalling: Signalling::Direct,
        livekit_tells: false,
        settings: &[],
        disk: None,
        left_over: None,
    };
}

/// How egressd reaches LiveKit's signalling port; participants reach it directly.
#[derive(Clone, Copy, Debug, Default)]
pub enum Signalling {
    #[default]
    Direct,
    /// Through [`Stage::signalling`]. Beside a faulty network it is also what makes LiveKit reachable by TCP.
    Relayed,
    /// Through it, by IPv6, beside a network that is one of IPv6.
    Ipv6,
    /// Through it, by TLS. The certificate's authority is one that egressd is told to trust, or not.
    Tls { trusted: bool },
}

/// A recording that takes in media.
pub struct Running {
    pub egress_id: String,
    pub started_at: String,
    /// When it was first seen to be active: the file's time 0, as far as one can see from outside.
    pub active_at: Instant,
}

impl Stage {
    /// Everything is up when this returns; the room exists once somebody joins it.
    pub async fn open(room: &'static str) -> Self {
        Self::open_with(room, Options::default()).await
    }

    pub async fn open_with(room: &'static str, options: Options) -> Self {
        let turn = turn(options.takes).await;
        let folder = Folder::new(room);
        let port = free_tcp_port();
        let hook = options.livekit_tells.then(|| Service::livekit_hook_at(port));
        let livekit = LiveKit::start_telling(folder.path(), options.network, hook.as_deref()).await;
        let minio = Minio::start(folder.path()).await;
        let signalling = match options.signalling {
            Signalling::Direct => None,
            Signalling::Relayed => Some(SignallingRelay::plain(livekit.port(), livekit.media_by_tcp()).await),
            Signalling::Ipv6 => Some(SignallingRelay::ipv6(livekit.port(), livekit.media_by_ipv6()).await),
            Signalling::Tls { .. } => Some(SignallingRelay::tls(livekit.port(), folder.path()).await),
        };
        let url = signalling.as_ref().map_or_else(|| livekit.url(), |relay| relay.url().to_owned());
        let mut settings: Vec<(&str, &OsStr)> =
            options.settings.iter().map(|(name, value)| (*name, OsStr::new(value))).collect();
        if let (Signalling::Tls { trusted: true }, Some(relay)) = (options.signalling, &signalling) {
            settings.push(("EGRESSD_LIVEKIT_CA_FILE", relay.ca_file().as_os_str()));
        }
        let disk = options.disk.and_then(|bytes| SmallDisk::mount(&Service::data_in(folder.path()), bytes));
        if let Some(left_over) = options.left_over {
            let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
            copy_folder(&tests.join(left_over), &Service::data_in(folder.path())).expect("it can be copied");
        }
        let service = Service::start(folder.path(), port, &url, &minio, &settings).await;
        match options.network {
            Network::Direct => {}
            Network::Ipv6 => livekit.ipv6().aim_at(service.id()),
            Network::Faulty { .. } => livekit.faults().aim_at(service.id()),
        }
        let participants = Participants::start(folder.path(), &livekit, room);
        let caller = service.caller();
        Self {
            participants,
            browser: None,
            service,
            minio,
            livekit,
            signalling,
            room,
            caller,
            disk,
            folder,
            _turn: turn,
        }
    }

    /// Whether this machine could make the small disk that was asked for.
    pub fn has_small_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Participants in a browser, which is started when it is first asked for.
    pub fn browser(&mut self) -> &mut Participants {
        let Self { browser, livekit, room, folder, .. } = self;
        browser.get_or_insert_with(|| Participants::start_browser(folder.path(), livekit, room))
    }

    /// As many participants of egressd's own, none of whom is in the room yet.
    pub fn crowd(&self, crowd: Crowd) -> Participants {
        Participants::start_crowd(self.folder.path(), &self.livekit, self.room, crowd)
    }

    /// Somebody at the web console, to be run; screenshots go into the test's folder.
    pub fn console(&self) -> Command {
        let mut command = tools::node("console.mjs");
        command
            .args(["--url", &self.service.address("/console"), "--key", Service::KEY, "--room", self.room])
            .arg("--shots")
            .arg(self.folder.path())
            .env("API_SECRET", Service::SECRET)
            .env("EGRESSD_CHROMIUM", tools::chromium());
        command
    }

    /// What is between egressd and LiveKit's signalling port.
    pub fn signalling(&self) -> &SignallingRelay {
        self.signalling.as_ref().expect("the stage was opened with a relay for signalling")
    }

    /// It is kept if the test fails.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The path of a recording call of this room: `/start`, `/stop`, or nothing for the state.
    pub fn path(&self, call: &str) -> String {
        format!("/v1/rooms/{}/recording{call}", self.room)
    }

    /// Starts a recording and waits until it takes in media.
    pub async fn record(&self) -> Running {
        self.record_as("").await
    }

    /// The same with a body.
    pub async fn record_as(&self, body: &str) -> Running {
        let start = self.caller.sign(Method::POST, &self.path("/start"), body);
        let begin = Instant::now();
        loop {
            // start is idempotent, and the same signature holds for five minutes.
            let answer = self.caller.send(start.clone()).await;
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            if answer.json["status"] == "active" {
                return Running {
                    egress_id: text(&answer.json, "egressId"),
                    started_at: text(&answer.json, "startedAt"),
                    active_at: Instant::now(),
                };
            }
            assert!(begin.elapsed() < LIMIT, "the recording does not become active: {answer:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops the room's recording; returns the moment at which stop was accepted.
    pub async fn stop(&self) -> Instant {
        let answer: Answer = self.caller.post(&self.path("/stop"), "").await;
        let stopped = Instant::now();
        assert_eq!(answer.status, 200, "{answer:?}");
        stopped
    }

    /// The recording's state once it is as it should be.
    pub async fn until(&self, running: &Running, limit: Duration, is: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/recordings/{}", running.egress_id);
        let begin = Instant::now();
        loop {
            let answer = self.caller.get(&path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            if is(&answer.json) {
                return answer.json;
            }
            assert!(begin.elapsed() < limit, "not so within {limit:?}: {}", answer.json);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The quality report of a recording that is over.
    pub async fn report(&self, running: &Running) -> Value {
        self.until(running, LIMIT, |state| state["status"] == "complete").await["quality"].take()
    }

    /// Waits for the room's recording to be in the bucket, and fetches it.
    pub async fn fetch(&self, running: &Running) -> Recording {
        let key = object_key(self.room, &running.started_at);
        let begin = Instant::now();
        while self.minio.objects().get(&key).is_none() {
            assert!(begin.elapsed() < LIMIT, "no {key} in the bucket, only {}", self.minio.objects());
            tokio::time::sleep(POLL).await;
        }
        Recording::new(self.minio.download(&key))
    }
}

/// The key that a recording's object must have (contract, part 3).
pub fn object_key(room: &str, started_at: &str) -> String {
    let seconds = started_at.split('.').next().unwrap_or_default();
    format!("{room}/{}.mp4", seconds.replace(':', "-"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_else(|| panic!("no {key} in {object}")).to_owned()
}

/// A temporary folder that stays if the test fails.
struct Folder(Option<TempDir>);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        Self(Some(folder.expect("the build's temporary folder can be written to")))
    }

    fn path(&self) -> &Path {
        self.0.as_ref().expect("the folder is there until the drop").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take()
            && std::thread::panicking()
        {
            let kept: PathBuf = folder.keep();
            eprintln!("---- logs and files of the failed test are kept in {} ----", kept.display());
        }
    }
}
