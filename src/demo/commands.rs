//! Owns `egressd publish --commands`: participants that come and go as JSON lines on standard input say, each by
//! itself, so that many can do so at once. End-to-end tests drive it; the words are those of their other participants:
//!
//! ```text
//! {"id": 1, "do": "join", "identity": "7"}
//! {"id": 2, "do": "leave", "identity": "7"}
//! ```
//!
//! Contract: each command is answered by one line with its `id`, and `"ok": true` or an `error`, once it is carried out.
//! At the end of the input everybody vanishes; whoever goes without having been told to ends the process.

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
    what: What,
    /// A number, counted from 1.
    identity: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
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

/// What a participant's task has to tell.
enum News {
    Joined { id: u64, number: u32, publisher: Box<Publisher> },
    Refused { id: u64, error: PublishError },
    Ended { number: u32, end: Result<PublishEnd, PublishError> },
}

struct Troupe {
    prepared: Prepared,
    tasks: JoinSet<News>,
    present: HashMap<u32, Present>,
}

enum Present {
    Publishing(CancellationToken),
    /// The command that is to be answered when it has gone.
    Leaving(u64),
}

/// # Errors
/// If a line is no command, or a participant goes by itself.
pub async fn obey(prepared: Prepared) -> anyhow::Result<()> {
    let mut troupe = Troupe { prepared, tasks: JoinSet::new(), present: HashMap::new() };
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line.context("reading commands")? {
                Some(line) => troupe.begin(serde_json::from_str(&line).context(line)?)?,
                None => return Ok(()),
            },
            Some(news) = troupe.tasks.join_next() => {
                troupe.hear(news.context("a participant's task panicked")?)?;
            }
        }
    }
}

impl Troupe {
    fn begin(&mut self, command: Command) -> anyhow::Result<()> {
        let Command { id, what, identity } = command;
        let number: u32 = identity.parse().with_context(|| identity.clone())?;
        match what {
            What::Join => {
                let options = PublisherOptions { identity, ..self.prepared.publisher(number)? };
                self.tasks.spawn(async move {
                    match Publisher::join(options).await {
                        Ok(publisher) => News::Joined { id, number, publisher: Box::new(publisher) },
                        Err(error) => News::Refused { id, error },
                    }
                });
            }
            What::Leave => match self.present.insert(number, Present::Leaving(id)) {
                Some(Present::Publishing(cancel)) => cancel.cancel(),
                Some(Present::Leaving(_)) | None => bail!("participant {number} is not there"),
            },
        }
        Ok(())
    }

    fn hear(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Joined { id, number, publisher } => {
                let cancel = CancellationToken::new();
                self.present.insert(number, Present::Publishing(cancel.clone()));
                self.tasks.spawn(async move { News::Ended { number, end: publisher.run(cancel).await } });
                answer(id, None)
            }
            News::Refused { id, error } => answer(id, Some(format!("{:#}", anyhow::Error::new(error)))),
            News::Ended { number, end } => match (self.present.remove(&number), end) {
                (Some(Present::Leaving(id)), Ok(PublishEnd::Cancelled)) => answer(id, None),
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
