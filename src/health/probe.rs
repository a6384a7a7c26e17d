//! Checks in the background whether LiveKit answers and whether this machine can encode.
//!
//! Does not act on the result. Contract: one task asks LiveKit, however many callers ask for the service's
//! health; the status is a few seconds old. Encoders are tried at the start, and again while their status is
//! bad. Otherwise workers report failures.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::status::SharedStatus;
use crate::config::SETTINGS;
use crate::livekit::Livekit;

/// Such requests harm no one, and an outage is known before most starts fail because of it.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// A server that is away is asked more often: many callers wait for it.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A trial costs as much as a second of a recording.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// Longer than the trial itself takes at most.
const TRIAL_DEADLINE: Duration = Duration::from_secs(30);
/// The most bytes that are read of a trial's output.
const REASON_MAX: u64 = 500;

/// Asks LiveKit whether it answers.
pub struct LivekitProbe {
    pub livekit: Livekit,
    pub known: SharedStatus,
}

/// Tries the encoders in a process of their own, so that the service does not keep the libraries that they
/// load.
pub struct EncoderProbe {
    pub program: PathBuf,
    pub known: SharedStatus,
}

/// The command of the trial. It exits with 0, or writes the reason to standard output.
pub const TRIAL_COMMAND: &str = "try-encoders";

impl LivekitProbe {
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            let pause = if self.known.is_good() { ASK_EVERY } else { ASK_AGAIN };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = self.look(pause) => {}
            }
        }
    }

    async fn look(&self, pause: Duration) {
        match self.livekit.ask().await {
            Ok(_) => self.known.good(),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, cause, "LiveKit does not answer as it should");
                self.known.bad(error.to_string());
            }
        }
        tokio::time::sleep(pause).await;
    }
}

impl EncoderProbe {
    pub async fn run(self, cancel: CancellationToken) {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = self.look() => {}
        }
    }

    async fn look(&self) {
        loop {
            match self.trial().await {
                Ok(()) => self.known.good(),
                Err(reason) => self.known.bad(reason),
            }
            self.known.until_bad().await;
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    async fn trial(&self) -> Result<(), String> {
        match tokio::time::timeout(TRIAL_DEADLINE, self.tried()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(%error, "the trial of the encoders cannot be run");
                Err("the encoders cannot be tried".to_owned())
            }
            Err(_elapsed) => Err("the encoders do not come to an end".to_owned()),
        }
    }

    async fn tried(&self) -> io::Result<Result<(), String>> {
        let mut command = Command::new(&self.program);
        for setting in SETTINGS {
            command.env_remove(setting);
        }
        command.arg(TRIAL_COMMAND).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let mut said = String::new();
        if let Some(out) = child.stdout.take() {
            out.take(REASON_MAX).read_to_string(&mut said).await?;
        }
        let status = child.wait().await?;
        Ok(match (status.success(), said.trim()) {
            (true, _) => Ok(()),
            (false, "") => Err("the trial of the encoders ended unexpectedly".to_owned()),
            (false, reason) => Err(reason.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    async fn trial_by(script: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("egressd");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        EncoderProbe { program, known: SharedStatus::of("encoders") }.trial().await
    }

    #[tokio::test]
    async fn a_trial_that_ends_well_is_good_and_any_other_says_why() {
        assert_eq!(trial_by(r#"test "$1" = try-encoders"#).await, Ok(()));
        assert_eq!(trial_by("echo no element x264enc; exit 1").await, Err("no element x264enc".into()));
        let ended = Err("the trial of the encoders ended unexpectedly".into());
        assert_eq!(trial_by("kill -SEGV $$").await, ended);
    }

    #[tokio::test]
    async fn a_trial_that_cannot_be_run_is_bad() {
        let probe = EncoderProbe { program: "/nowhere".into(), known: SharedStatus::of("encoders") };
        assert_eq!(probe.trial().await, Err("the encoders cannot be tried".into()));
    }
}
