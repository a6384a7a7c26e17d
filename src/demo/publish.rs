//! Owns `egressd publish`, a hidden subcommand: test participants for an existing room. Benchmarks start it;
//! it says when all participants publish.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::clips::{Layers, Look, Sound, VideoCodec};
use super::commands;
use super::crowd::{CrowdOptions, Prepared};
use super::interrupted;
use crate::ids::RoomName;
use crate::media::Size;

#[derive(Args, Debug)]
pub struct PublishArgs {
    /// LiveKit server.
    #[arg(long, default_value = "ws://127.0.0.1:7880")]
    pub url: String,
    #[arg(long)]
    pub room: RoomName,
    #[arg(long, default_value = "devkey")]
    pub api_key: String,
    #[arg(long, default_value = "secret")]
    pub api_secret: String,
    /// Number of participants; each publishes a camera and a microphone.
    #[arg(long, default_value_t = 4)]
    pub count: u32,
    #[arg(long, default_value_t = 640)]
    pub width: u32,
    #[arg(long, default_value_t = 360)]
    pub height: u32,
    /// How long to publish; without it, until interrupted.
    #[arg(long)]
    pub seconds: Option<u64>,
    #[arg(long, value_enum, default_value = "vp8")]
    pub codec: VideoCodec,
    #[arg(long, value_enum, default_value = "figure")]
    pub look: Look,
    /// Publish each picture in halves and quarters of its size as well.
    #[arg(long)]
    pub simulcast: bool,
    /// Publish no sound.
    #[arg(long)]
    pub silent: bool,
    /// Let nobody in before standard input says so, in JSON lines.
    #[arg(long, conflicts_with = "seconds")]
    pub commands: bool,
}

/// # Errors
/// If a participant cannot be encoded, cannot join or is removed from the room.
pub async fn run(args: PublishArgs) -> anyhow::Result<()> {
    let PublishArgs { seconds, commands, .. } = args;
    let prepared = Prepared::encode(args.into()).await?;
    if commands {
        return commands::obey(prepared).await;
    }
    let mut crowd = prepared.join().await?;
    println!("publishing");
    let over = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        left = crowd.somebody_left() => return Err(left),
        () = over => {}
        interrupt = interrupted() => { interrupt?; }
    }
    crowd.leave().await.context("leaving the room")
}

impl From<PublishArgs> for CrowdOptions {
    fn from(args: PublishArgs) -> Self {
        let PublishArgs { url, room, api_key, api_secret, count, codec, look, .. } = args;
        let size = Size { width: args.width, height: args.height };
        let layers = if args.simulcast { Layers::Simulcast } else { Layers::Single };
        let sound = if args.silent { Sound::None } else { Sound::Voice };
        Self { url, api_key, api_secret, room, count, size, codec, look, layers, sound }
    }
}
