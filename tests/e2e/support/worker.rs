//! `egressd worker` without a service: started, told and asked as the service does it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use egressd::mp4::{Scan, SpoolReader, scan};
use egressd::options::RecordingOptions;
use egressd::worker::messages::{Command, Event, WorkerSpec, from_line, to_line};
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::probe::Recording;
use super::servers::LiveKit;
use super::service::kill_hard;

/// Far above what is seen.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// All that it has told so far.
    pub events: Vec<Event>,
}

/// What a worker is told that records `room` from the beginning.
pub fn spec(livekit: &LiveKit, room: &str, spool: PathBuf) -> WorkerSpec {
    WorkerSpec {
        egress_id: "EG_abcdefghijkl".parse().expect("an egress id"),
        room: room.parse().expect("a room's name"),
        livekit_url: livekit.url(),
        token: LiveKit::recorder_token(room, "EG_abcdefghijkl", Timestamp::now() + LIMIT).into(),
        spool,
        options: RecordingOptions::default(),
        idle_timeout_ms: 60_000,
        ca_file: None,
        give_up_after_ms: 60_000,
        disabled_codecs: Vec::new(),
        resume: None,
    }
}

impl Worker {
    pub async fn start(spec: WorkerSpec) -> Self {
        let log = spec.spool.with_extension("log");
        Self::start_logging_to(&log, spec).await
    }

    /// Its log is not to take the spool's place.
    pub async fn start_logging_to(log: &Path, spec: WorkerSpec) -> Self {
        Self::start_as(tokio::process::Command::new(env!("CARGO_BIN_EXE_egressd")), log, spec).await
    }

    /// A worker that cannot make any file longer than so many bytes: to it the disk is full then.
    pub async fn start_with_little_space(log: &Path, spec: WorkerSpec, bytes: u64) -> Self {
        let mut command = tokio::process::Command::new("sh");
        // Without the signal that would kill it, the write fails as one on a full disk does.
        let limited = format!("trap '' XFSZ; exec prlimit --fsize={bytes} -- \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_egressd")]);
        Self::start_as(command, log, spec).await
    }

    async fn start_as(mut command: tokio::process::Command, log: &Path, spec: WorkerSpec) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
        let mut child = command
            .arg("worker")
            .env("LOG_LEVEL", "debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the worker can be started");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = child.stdout.take().expect("a pipe");
        let mut worker = Self { child, stdin, lines: BufReader::new(stdout).lines(), events: Vec::new() };
        worker.tell(&Command::Start(Box::new(spec))).await;
        worker
    }

    pub async fn tell(&mut self, command: &Command) {
        self.stdin.write_all(to_line(command).as_bytes()).await.expect("the worker reads its commands");
    }

    /// Reads events until there is one of which `found` makes something.
    pub async fn until<T>(&mut self, found: impl Fn(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let line = self.lines.next_line().await.expect("a pipe can be read");
                let line =
                    line.unwrap_or_else(|| panic!("the worker is gone after {:?}", self.events.last()));
                let event: Event = from_line(&line).expect("an event");
                let found = found(&event);
                self.events.push(event);
                if let Some(found) = found {
                    break found;
                }
            }
        };
        tokio::time::timeout(LIMIT, search).await.expect("the worker tells what is waited for")
    }

    /// The zero of the recording.
    pub async fn joined(&mut self) -> i64 {
        self.until(|event| match event {
            Event::Joined { zero_unix_ms, .. } => Some(*zero_unix_ms),
            _ => None,
        })
        .await
    }

    /// Reads events for so long.
    pub async fn record(&mut self, duration: Duration) {
        let forever = self.until(|event| match event {
            Event::Ended { reason, error, .. } => panic!("it has ended: {reason}, {error:?}"),
            _ => None::<()>,
        });
        let _elapsed = tokio::time::timeout(duration, forever).await;
    }

    /// The most memory that it had, in the MB of `/proc` (1024 kB).
    pub fn peak_memory_mb(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process has a status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes / 1024
    }

    /// Stops it; returns its last event.
    pub async fn stop(&mut self) -> Event {
        self.tell(&Command::Stop).await;
        self.ended().await
    }

    pub async fn ended(&mut self) -> Event {
        let ended = self.until(|event| matches!(event, Event::Ended { .. }).then(|| event.clone())).await;
        self.child.wait().await.expect("the worker can be waited for");
        ended
    }

    /// As the kernel's out-of-memory killer does.
    pub async fn kill(mut self) -> Vec<Event> {
        kill_hard(self.child.id().expect("it runs"));
        self.child.wait().await.expect("the worker can be waited for");
        while let Ok(Some(line)) = self.lines.next_line().await {
            self.events.push(from_line(&line).expect("an event"));
        }
        self.events
    }
}

/// Where a spool ends, as the service finds it.
pub fn scan_file(path: &Path) -> Scan {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(path).expect("a spool");
    let len = file.metadata().expect("a length").len();
    scan(len, |at, buffer| file.read_at(buffer, at)).expect("a file can be read")
}

/// What the bucket would get of a spool.
pub fn finished(path: &Path) -> Recording {
    let spool = std::fs::read(path).expect("a spool");
    let mut reader = SpoolReader::new();
    let ranges = reader.feed(&spool).expect("a sound spool");
    assert_eq!(reader.position().bytes, spool.len() as u64, "nothing is behind the last fragment");
    let mut object = reader.finish().expect("a moov").head();
    for range in ranges {
        object.extend(&spool[range.offset as usize..][..range.len as usize]);
    }
    let file = path.with_extension("finished.mp4");
    std::fs::write(&file, object).expect("the test's folder can be written to");
    Recording::new(file)
}
