//! A worker process: its commands, its events, and its exit.
//!
//! Decides nothing about the recording. Contract: every event that the worker wrote is returned before its
//! exit. A worker that is dropped is killed.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use secrecy::SecretString;
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
    /// Its log level, as [`telemetry::init`] takes it.
    pub log_level: String,
}

/// An event of a worker, or its exit.
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
    /// Returns the program of this process, whose hidden subcommand is the worker.
    pub fn this_executable(log_level: &str) -> io::Result<Self> {
        let (path, args) = (std::env::current_exe()?, vec!["worker".into()]);
        Ok(Self { path, args, log_level: log_level.to_owned() })
    }
}

/// glibc gives every thread its own heap, up to eight heaps a core. Each decoder has a thread, and memory
/// that it frees would stay in its heap.
const MALLOC_ARENAS: &str = "2";

impl WorkerProcess {
    pub async fn start(program: &WorkerProgram, spec: WorkerSpec) -> io::Result<Self> {
        let mut command = Command::new(&program.path);
        // A worker gets everything over its standard input. The service's environment contains secrets, which
        // a process that decodes media of strangers must not have.
        for setting in SETTINGS {
            command.env_remove(setting);
        }
        let mut child = command
            .args(&program.args)
            .env("MALLOC_ARENA_MAX", MALLOC_ARENAS)
            .env(telemetry::LEVEL_VARIABLE, &program.log_level)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own process group: Ctrl-C on the service's terminal must not reach the worker. The service
            // stops it.
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

    /// Waits for the worker's next event or its exit. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> WorkerOutput {
        while let Some(line) = self.lines.next().await {
            match line {
                Ok(line) => match messages::from_line(&line) {
                    Ok(event) => return WorkerOutput::Event(event),
                    // Some libraries print to standard output.
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

    pub async fn renew_token(&mut self, token: SecretString) {
        self.send(&messages::Command::Token { token }).await;
    }

    pub async fn stop(&mut self) {
        self.send(&messages::Command::Stop).await;
    }

    pub fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::warn!(%error, "cannot kill the worker");
        }
    }

    /// Waits for the exit of a worker after its last event; kills it after `timeout`.
    pub async fn close(mut self, timeout: Duration) {
        if tokio::time::timeout(timeout, self.child.wait()).await.is_err() {
            tracing::warn!("the worker has ended its recording but does not exit, it is killed");
            self.kill();
            let _gone = self.child.wait().await;
        }
    }

    /// A command is smaller than the buffer of a pipe, so this does not wait for the worker.
    async fn send(&mut self, command: &messages::Command) {
        let line = messages::to_line(command);
        if let Err(error) = self.stdin.write_all(line.as_bytes()).await {
            // The worker has exited, or is about to. `next` returns its exit.
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
