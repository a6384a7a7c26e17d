//! Owns the publisher's signalling: its access token, the announcement of its tracks, the offer and
//! what the server answers. Everything about other participants is left out here.

use std::sync::Arc;

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalEvent, SignalEvents};
use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use proto::{signal_request, signal_response};

use super::super::signalling::{self, AutoSubscribe};
use super::clip::Clip;
use super::{PublishError, PublisherOptions, SignalFault};
use crate::media::{Codec, TrackKind};

pub(super) struct Signal {
    client: SignalClient,
    events: SignalEvents,
}

/// A signal that matters to a publisher.
pub(super) enum Told {
    Published { cid: String },
    Answer { sdp: String },
    Candidate { line: String },
    Dismissed,
    Refused { why: String },
    Nothing,
}

impl Signal {
    pub async fn connect(options: &PublisherOptions) -> Result<Self, PublishError> {
        let token = access_token(options)?;
        let (client, _join, events) =
            SignalClient::connect(&options.url, &token, signalling::options(AutoSubscribe::No), None)
                .await
                .map_err(SignalFault::from)?;
        Ok(Self { client, events })
    }

    /// Announces a track for each clip; answers with their client ids once the server knows all.
    pub async fn announce(&mut self, clips: &[Arc<Clip>]) -> Result<Vec<String>, PublishError> {
        let cids: Vec<String> = clips.iter().map(|c| client_id(c.codec)).collect();
        for (clip, cid) in clips.iter().zip(&cids) {
            let request = add_track_request(clip, cid);
            self.client.send(signal_request::Message::AddTrack(request)).await;
        }
        let mut waiting = cids.clone();
        while !waiting.is_empty() {
            match self.next().await? {
                Told::Published { cid } => waiting.retain(|w| *w != cid),
                Told::Refused { why } => return Err(SignalFault::Refused(why).into()),
                Told::Dismissed => return Err(PublishError::ConnectionLost),
                Told::Answer { .. } | Told::Candidate { .. } | Told::Nothing => {}
            }
        }
        Ok(cids)
    }

    pub async fn offer(&self, sdp: &str) {
        let offer =
            proto::SessionDescription { r#type: "offer".into(), sdp: sdp.to_owned(), ..Default::default() };
        self.client.send(signal_request::Message::Offer(offer)).await;
    }

    pub async fn leave(self) {
        let leave = signalling::leave();
        self.client.send(signal_request::Message::Leave(leave)).await;
        self.client.close().await;
    }

    pub async fn next(&mut self) -> Result<Told, SignalFault> {
        match self.events.recv().await {
            Some(SignalEvent::Message(message)) => Ok(told(*message)),
            Some(SignalEvent::Close(why)) => Err(SignalFault::Closed(why.into_owned())),
            None => Err(SignalFault::Closed("no more events".into())),
        }
    }
}

fn told(message: signal_response::Message) -> Told {
    use signal_response::Message;
    match message {
        Message::TrackPublished(published) => Told::Published { cid: published.cid },
        Message::Answer(answer) => Told::Answer { sdp: answer.sdp },
        Message::Trickle(trickle) => {
            let candidate = signalling::candidate(&trickle, proto::SignalTarget::Publisher);
            candidate.map_or(Told::Nothing, |line| Told::Candidate { line })
        }
        Message::Leave(_) => Told::Dismissed,
        Message::RequestResponse(r) if r.reason() != proto::request_response::Reason::Ok => {
            Told::Refused { why: format!("{:?}: {}", r.reason(), r.message) }
        }
        // Everything about others, whom a publisher does not follow. As the token lets it subscribe
        // to nothing, the server offers it no second connection.
        _ => Told::Nothing,
    }
}

fn access_token(options: &PublisherOptions) -> Result<String, AccessTokenError> {
    let grants = VideoGrants {
        room_join: true,
        room: options.room.to_string(),
        can_publish: Some(true),
        can_subscribe: Some(false),
        can_publish_data: Some(false),
        ..Default::default()
    };
    AccessToken::with_api_key(&options.api_key, &options.api_secret)
        .with_identity(&options.identity)
        .with_name(&options.name)
        .with_grants(grants)
        .to_jwt()
}

fn client_id(codec: Codec) -> String {
    let kind = match codec.kind() {
        TrackKind::Audio => "microphone",
        TrackKind::Video => "camera",
    };
    format!("{kind}-{:08x}", rand::random::<u32>())
}

fn add_track_request(clip: &Clip, cid: &str) -> proto::AddTrackRequest {
    let (kind, source, name) = match clip.codec.kind() {
        TrackKind::Audio => (proto::TrackType::Audio, proto::TrackSource::Microphone, "microphone"),
        TrackKind::Video => (proto::TrackType::Video, proto::TrackSource::Camera, "camera"),
    };
    let codec = match clip.codec {
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::H264 => "h264",
        Codec::H265 => "h265",
        Codec::Av1 => "av1",
        Codec::Opus => "opus",
    };
    let (width, height) = clip.size.map_or((0, 0), |s| (s.width, s.height));
    proto::AddTrackRequest {
        cid: cid.to_owned(),
        name: name.to_owned(),
        r#type: kind as i32,
        source: source as i32,
        width,
        height,
        layers: clip.size.map(|_| single_layer(width, height)).into_iter().collect(),
        simulcast_codecs: vec![proto::SimulcastCodec {
            codec: codec.to_owned(),
            cid: cid.to_owned(),
            ..Default::default()
        }],
        // Redundant sound (RFC 2198) would have to be sent by us; we send none.
        disable_red: true,
        ..Default::default()
    }
}

fn single_layer(width: u32, height: u32) -> proto::VideoLayer {
    proto::VideoLayer { quality: proto::VideoQuality::High as i32, width, height, ..Default::default() }
}
