//! Owns `egressd publish --commands`: participants that join and leave as JSON lines on standard input say.
//! They do so independently, so that many can at once. End-to-end tests use it; its commands are those of
//! their other participants:
//!
//! ```text
//! {"id": 1, "do": "join", "identity": "7"}
//! {"id": 2, "do": "leave", "identity": "7"}
//! ```
//!
//! Contract: each command gets one line once it is carried out. The line has the command's `id`, and
//! `"ok": true` or an `error`. At the end of the input all participants vanish. If one leaves without a
//! command, the process ends.

use std::collections::HashMap;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::crowd::Prepared;
use crate::room::publisher::{PublishEnd, PublishError, Publisher, PublisherOptions};

#[derive(Deserialize)]
struct Command {
    id: u64,
    #[serde(rename = "do")]
    kind: CommandKind,
    /// A number, counted from 1.
    identity: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CommandKind {
    Join,
    Leave,
}

#[derive(Serialize)]
struct Answer {
    id: u64,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a participant's task reports.
enum Message {
    Joined { id: u64, number: u32, publisher: Box<Publisher> },
    Refused { id: u64, error: PublishError },
    Ended { number: u32, end: Result<PublishEnd, PublishError> },
}

struct Participants {
    prepared: Prepared,
    tasks: JoinSet<Message>,
    present: HashMap<u32, Presence>,
}

enum Presence {
    Publishing(CancellationToken),
    /// The command that is answered when the participant has left.
    Leaving(u64),
}

/// # Errors
/// If a line is no command, or if a participant leaves without one.
pub async fn obey(prepared: Prepared) -> anyhow::Result<()> {
    let mut participants = Participants { prepared, tasks: JoinSet::new(), present: HashMap::new() };
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line.context("reading commands")? {
                Some(line) => participants.begin(serde_json::from_str(&line).context(line)?)?,
                None => return Ok(()),
            },
            Some(message) = participants.tasks.join_next() => {
                participants.hear(message.context("a participant's task panicked")?)?;
            }
        }
    }
}

impl Participants {
    fn begin(&mut self, command: Command) -> anyhow::Result<()> {
        let Command { id, kind, identity } = command;
        let number: u32 = identity.parse().with_context(|| identity.clone())?;
        match kind {
            CommandKind::Join => {
                let options = PublisherOptions { identity, ..self.prepared.publisher(number)? };
                self.tasks.spawn(async move {
                    match Publisher::join(options).await {
                        Ok(publisher) => Message::Joined { id, number, publisher: Box::new(publisher) },
                        Err(error) => Message::Refused { id, error },
                    }
                });
            }
            CommandKind::Leave => match self.present.insert(number, Presence::Leaving(id)) {
                Some(Presence::Publishing(cancel)) => cancel.cancel(),
                Some(Presence::Leaving(_)) | None => bail!("participant {number} is not there"),
            },
        }
        Ok(())
    }

    fn hear(&mut self, message: Message) -> anyhow::Result<()> {
        match message {
            Message::Joined { id, number, publisher } => {
                let cancel = CancellationToken::new();
                self.present.insert(number, Presence::Publishing(cancel.clone()));
                self.tasks.spawn(async move { Message::Ended { number, end: publisher.run(cancel).await } });
                answer(id, None)
            }
            Message::Refused { id, error } => answer(id, Some(format!("{:#}", anyhow::Error::new(error)))),
            Message::Ended { number, end } => match (self.present.remove(&number), end) {
                (Some(Presence::Leaving(id)), Ok(PublishEnd::Cancelled)) => answer(id, None),
                (_, Ok(end)) => bail!("participant {number} ended by itself: {end:?}"),
                (_, Err(error)) => Err(error).with_context(|| format!("participant {number} failed")),
            },
        }
    }
}

fn answer(id: u64, error: Option<String>) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(&Answer { id, ok: error.is_none(), error })?);
    Ok(())
}
