//! Owns the processes that the demo starts. Each writes to a log file of its own and is ended by its id,
//! first with SIGTERM.
//!
//! Contract: whatever happens to the demo, except SIGKILL, none of them outlives it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take to end. A service that is ending a recording needs a few seconds.
const END_DEADLINE: Duration = Duration::from_secs(15);
/// How long a process may take to its first answer, on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// How many lines of a log are shown when a process has ended by itself.
const TAIL_LINES: usize = 12;

pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process in a group of its own. So Ctrl-C reaches the demo alone, which ends its processes in
    /// order.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone().context("cannot share a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Waits until `url` returns a success.
    pub async fn answers(&mut self, http: &reqwest::Client, url: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            self.still_runs()?;
            if http.get(url).send().await.is_ok_and(|r| r.status().is_success()) {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!("{} did not answer within {} s\n{}", self.name, START_DEADLINE.as_secs(), self.tail());
    }

    /// Returns only if the process ends without having been told to.
    pub async fn ended_early(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => self.unexpected(status),
            Err(e) => anyhow::Error::new(e).context(format!("cannot wait for {}", self.name)),
        }
    }

    pub async fn end(mut self) {
        // If there is no id, the process has ended and was waited for: the id may be another process's by
        // now.
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Can fail only if the process ends at this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(END_DEADLINE, self.child.wait()).await.is_err() {
            tracing::warn!(process = self.name, "does not end when told to: killed");
            let _ = self.child.kill().await;
        }
    }

    fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("cannot wait for a process")? {
            None => Ok(()),
            Some(status) => Err(self.unexpected(status)),
        }
    }

    fn unexpected(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!("{} ended by itself ({status})\n{}", self.name, self.tail())
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("the end of {}:\n{last}", self.log.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start("a shell", command, &dir.path().join("log")).unwrap();
        (dir, process)
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_the_end_of_its_log() {
        let (_dir, mut process) = shell("echo port is taken >&2; exit 3");
        let error = process.ended_early().await.to_string();
        assert!(error.contains("a shell ended by itself"), "{error}");
        assert!(error.contains("port is taken"), "{error}");
    }

    #[tokio::test]
    async fn a_process_is_told_to_end_before_it_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("ended");
        let script =
            format!("trap 'touch {}; exit 0' TERM; echo ready; while :; do sleep 0.05; done", mark.display());
        let (log, process) = shell(&script);
        while std::fs::read_to_string(log.path().join("log")).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        process.end().await;
        assert!(mark.exists());
    }

    #[tokio::test]
    async fn ending_a_process_that_has_ended_does_nothing() {
        let (_dir, mut process) = shell("true");
        process.child.wait().await.unwrap();
        process.end().await;
    }
}
