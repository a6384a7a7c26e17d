//! Owns a group of test participants in one room: encodes their clips in parallel, lets them join one after
//! the other, and lets them leave.

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clips::{self, ClipOptions, Layers, Look, Sound, VideoCodec};
use crate::ids::RoomName;
use crate::media::Size;
use crate::room::publisher::{PublishEnd, PublishError, Publisher, PublisherOptions, TrackClips};

/// How many participants there are, and which room they join.
#[derive(Clone, Debug)]
pub struct CrowdOptions {
    pub url: String,
    pub api_key: String,
    pub api_secret: String,
    pub room: RoomName,
    pub count: u32,
    pub size: Size,
    pub codec: VideoCodec,
    pub look: Look,
    pub layers: Layers,
    pub sound: Sound,
}

/// The encoded clips of all participants.
pub struct Prepared {
    options: CrowdOptions,
    clips: Vec<Vec<TrackClips>>,
}

/// All participants are in the room and publish.
pub struct Crowd {
    publishing: JoinSet<Result<PublishEnd, PublishError>>,
    cancel: CancellationToken,
}

impl Prepared {
    /// Takes a second or two of one core for each participant.
    pub async fn encode(options: CrowdOptions) -> anyhow::Result<Self> {
        let mut encoding = JoinSet::new();
        for participant in 0..options.count {
            let CrowdOptions { size, codec, look, layers, sound, .. } = options;
            let options = ClipOptions { participant, size, codec, look, layers, sound };
            encoding.spawn_blocking(move || (participant, clips::encode(options)));
        }
        let mut encoded = Vec::new();
        while let Some(done) = encoding.join_next().await {
            let (participant, clips) = done.context("an encoder thread panicked")?;
            encoded.push((participant, clips?));
        }
        encoded.sort_by_key(|(participant, _)| *participant);
        Ok(Self { options, clips: encoded.into_iter().map(|(_, clips)| clips).collect() })
    }

    /// Lets them join one after the other, so that the tiles are in the order of the numbers.
    pub async fn join(self) -> anyhow::Result<Crowd> {
        let cancel = CancellationToken::new();
        let mut publishing = JoinSet::new();
        for number in 1..=self.options.count {
            let publisher = Publisher::join(self.publisher(number)?)
                .await
                .with_context(|| format!("participant {number} cannot join"))?;
            publishing.spawn(publisher.run(cancel.clone()));
        }
        Ok(Crowd { publishing, cancel })
    }

    /// Returns what participant `number`, counted from 1, publishes.
    pub fn publisher(&self, number: u32) -> anyhow::Result<PublisherOptions> {
        let clips = number.checked_sub(1).and_then(|index| self.clips.get(index as usize));
        let clips = clips.with_context(|| format!("there is no participant {number}"))?.clone();
        Ok(publisher_options(&self.options, number, clips))
    }
}

impl Crowd {
    /// Returns only when a participant stops publishing before it was told to.
    pub async fn somebody_left(&mut self) -> anyhow::Error {
        match self.publishing.join_next().await {
            Some(Ok(Ok(PublishEnd::Dismissed))) => {
                anyhow::anyhow!("LiveKit sent a participant away")
            }
            Some(Ok(Ok(PublishEnd::Cancelled))) => anyhow::anyhow!("a participant left"),
            Some(Ok(Err(e))) => anyhow::Error::new(e).context("a participant failed"),
            Some(Err(e)) => anyhow::Error::new(e).context("a participant's task panicked"),
            // Without participants nobody can leave.
            None => std::future::pending().await,
        }
    }

    pub async fn leave(mut self) -> anyhow::Result<()> {
        self.cancel.cancel();
        while let Some(ended) = self.publishing.join_next().await {
            match ended.context("a participant's task panicked")?? {
                PublishEnd::Cancelled => {}
                PublishEnd::Dismissed => bail!("LiveKit sent a participant away"),
            }
        }
        Ok(())
    }
}

fn publisher_options(options: &CrowdOptions, number: u32, tracks: Vec<TrackClips>) -> PublisherOptions {
    PublisherOptions {
        url: options.url.clone(),
        api_key: options.api_key.clone(),
        api_secret: options.api_secret.clone(),
        room: options.room.clone(),
        identity: format!("participant-{number}"),
        name: format!("Participant {number}"),
        tracks,
    }
}
