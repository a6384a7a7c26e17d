//! A worker process as the service sees it: commands in, events out, and its end.
//!
//! Does not decide anything about the recording. Contract: every event the worker wrote comes before
//! its exit; a worker that is dropped is killed.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::failure::Exit;
use crate::config::SETTINGS;
use crate::media::View;
use crate::telemetry;
use crate::worker::messages::{self, Event, MAX_LINE_BYTES, WorkerSpec};

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    pub path: PathBuf,
    pub args: Vec<OsString>,
    /// What it logs, as [`telemetry::init`] takes it.
    pub log_level: String,
}

/// What a worker gives out.
#[derive(Debug, PartialEq)]
pub enum WorkerOutput {
    Event(Event),
    Exited(Exit),
}

pub struct WorkerProcess {
    child: Child,
    stdin: ChildStdin,
    lines: FramedRead<ChildStdout, LinesCodec>,
}

impl WorkerProgram {
    /// The hidden subcommand of this very program.
    pub fn this_executable(log_level: &str) -> io::Result<Self> {
        let (path, args) = (std::env::current_exe()?, vec!["worker".into()]);
        Ok(Self { path, args, log_level: log_level.to_owned() })
    }
}

/// glibc gives every thread a heap of its own, up to eight a core; a track's decoder has a thread, and what
/// it frees would stay in its heap.
const MALLOC_ARENAS: &str = "2";

impl WorkerProcess {
    pub async fn start(program: &WorkerProgram, spec: WorkerSpec) -> io::Result<Self> {
        let mut command = Command::new(&program.path);
        // All that a worker must know comes over its standard input. The service's settings hold secrets,
        // which a process that decodes strangers' media must not.
        for setting in SETTINGS {
            command.env_remove(setting);
        }
        let mut child = command
            .args(&program.args)
            .env("MALLOC_ARENA_MAX", MALLOC_ARENAS)
            .env(telemetry::LEVEL_VARIABLE, &program.log_level)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: Ctrl-C on the service's terminal must not reach the worker, which
            // is to be stopped by the service.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let piped = || io::Error::other("the worker has no pipes");
        let stdin = child.stdin.take().ok_or_else(piped)?;
        let stdout = child.stdout.take().ok_or_else(piped)?;
        let codec = LinesCodec::new_with_max_length(MAX_LINE_BYTES);
        let mut worker = Self { child, stdin, lines: FramedRead::new(stdout, codec) };
        worker.send(&messages::Command::Start(Box::new(spec))).await;
        Ok(worker)
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next thing that the worker says or does. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> WorkerOutput {
        while let Some(line) = self.lines.next().await {
            match line {
                Ok(line) => match messages::from_line(&line) {
                    Ok(event) => return WorkerOutput::Event(event),
                    // Libraries print where they should not.
                    Err(error) => tracing::warn!(%error, "the worker wrote something else"),
                },
                Err(LinesCodecError::MaxLineLengthExceeded) => {
                    tracing::warn!("the worker wrote a line that is too long");
                }
                Err(LinesCodecError::Io(error)) => {
                    tracing::warn!(%error, "cannot read from the worker");
                    break;
                }
            }
        }
        WorkerOutput::Exited(exit(self.child.wait().await))
    }

    pub async fn change_view(&mut self, view: View) {
        self.send(&messages::Command::View(view)).await;
    }

    pub async fn preview(&mut self, file: PathBuf) {
        self.send(&messages::Command::Preview { file }).await;
    }

    pub async fn stop(&mut self) {
        self.send(&messages::Command::Stop).await;
    }

    pub fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::warn!(%error, "cannot kill the worker");
        }
    }

    /// Waits for a worker that has said its last word, and kills it if it does not go.
    pub async fn close(mut self, timeout: Duration) {
        if tokio::time::timeout(timeout, self.child.wait()).await.is_err() {
            tracing::warn!("the worker has ended its recording but does not exit, it is killed");
            self.kill();
            let _gone = self.child.wait().await;
        }
    }

    /// A command is smaller than a pipe's buffer, so this does not wait for the worker.
    async fn send(&mut self, command: &messages::Command) {
        let line = messages::to_line(command);
        if let Err(error) = self.stdin.write_all(line.as_bytes()).await {
            // It has gone, or is about to: its exit is reported by `next`.
            tracing::debug!(%error, "the worker does not read any more");
        }
    }
}

fn exit(status: io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        },
        Err(error) => {
            tracing::warn!(%error, "cannot wait for the worker");
            Exit::Unknown
        }
    }
}
