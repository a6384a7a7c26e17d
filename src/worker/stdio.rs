//! The worker's ends of its pipes: commands in, events out.

use std::io;
use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, Stdout};
use tracing::Instrument;

use super::messages::{self, Command, Event, InvalidMessage, WorkerSpec};
use super::recording::{self, Request, StopCause};

/// What [`Commands::next`] and [`Commands::start`] read from.
pub struct Commands {
    lines: Lines<BufReader<Stdin>>,
}

/// Where events go. A service that is gone reads nothing: that is not this end's error.
pub struct Events {
    out: Stdout,
}

/// Why there is no recording to make.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("cannot read from the service")]
    Read(#[source] io::Error),
    #[error("the service is gone before it said what to record")]
    NoStart,
    #[error("the first line must be a start command")]
    NotStart(#[source] Option<InvalidMessage>),
}

/// Runs the recording that standard input asks for.
pub async fn run() -> Result<ExitCode, ProtocolError> {
    let mut commands = Commands { lines: BufReader::new(tokio::io::stdin()).lines() };
    let spec = commands.start().await?;
    let span = tracing::info_span!("recording", egress_id = %spec.egress_id, room = %spec.room);
    let mut events = Events { out: tokio::io::stdout() };
    let ended = recording::record(spec, &mut commands, &mut events).instrument(span).await;
    let failed = matches!(&ended, Event::Ended { error: Some(_), .. });
    events.tell(&ended).await;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Commands {
    async fn start(&mut self) -> Result<WorkerSpec, ProtocolError> {
        let line = self.lines.next_line().await.map_err(ProtocolError::Read)?;
        let line = line.ok_or(ProtocolError::NoStart)?;
        match messages::from_line(&line) {
            Ok(Command::Start(spec)) => Ok(*spec),
            Ok(Command::Stop | Command::View(_) | Command::Preview { .. } | Command::Token { .. }) => {
                Err(ProtocolError::NotStart(None))
            }
            Err(error) => Err(ProtocolError::NotStart(Some(error))),
        }
    }

    /// Waits until the service wants something, or has met its end. Cancel safe.
    pub async fn next(&mut self) -> Request {
        loop {
            match self.lines.next_line().await {
                Ok(Some(line)) => match messages::from_line(&line) {
                    Ok(Command::Stop) => return Request::Stop(StopCause::Asked),
                    Ok(Command::View(view)) => return Request::View(view),
                    Ok(Command::Preview { file }) => return Request::Preview { file },
                    Ok(Command::Token { token }) => return Request::Token(token),
                    Ok(Command::Start(_)) => tracing::warn!("a second start command is ignored"),
                    Err(error) => tracing::warn!(%error, "command not understood"),
                },
                Ok(None) | Err(_) => return Request::Stop(StopCause::ServiceGone),
            }
        }
    }
}

impl Events {
    pub async fn tell(&mut self, event: &Event) {
        if self.out.write_all(messages::to_line(event).as_bytes()).await.is_ok() {
            // A pipe without a reader also fails here; the end of standard input tells the same.
            let _ = self.out.flush().await;
        }
    }
}
