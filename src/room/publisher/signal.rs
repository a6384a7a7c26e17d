//! The publisher's signalling: its access token, the announcement of its tracks, the offer and the server's
//! answers. Ignores everything about other participants.

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalEvent, SignalEvents};
use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use proto::{signal_request, signal_response};

use super::clip::TrackClips;
use super::{PublishError, PublisherOptions, SignalFault};
use crate::media::{Codec, TrackKind};
use crate::room::signalling::{self, AutoSubscribe};

pub(super) struct Signal {
    client: SignalClient,
    events: SignalEvents,
}

/// A signal that the publisher handles.
pub(super) enum ServerMessage {
    Published { cid: String },
    Answer { sdp: String },
    Candidate { line: String },
    Dismissed,
    Refused { why: String },
    Other,
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

    /// Announces the tracks; returns their client ids once the server has confirmed all.
    pub async fn announce(&mut self, tracks: &[TrackClips]) -> Result<Vec<String>, PublishError> {
        let cids: Vec<String> = tracks.iter().map(|track| client_id(track.codec())).collect();
        for (track, cid) in tracks.iter().zip(&cids) {
            let request = add_track_request(track, cid);
            self.client.send(signal_request::Message::AddTrack(request)).await;
        }
        let mut waiting = cids.clone();
        while !waiting.is_empty() {
            match self.next().await? {
                ServerMessage::Published { cid } => waiting.retain(|w| *w != cid),
                ServerMessage::Refused { why } => return Err(SignalFault::Refused(why).into()),
                ServerMessage::Dismissed => return Err(PublishError::ConnectionLost),
                ServerMessage::Answer { .. } | ServerMessage::Candidate { .. } | ServerMessage::Other => {}
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

    pub async fn next(&mut self) -> Result<ServerMessage, SignalFault> {
        match self.events.recv().await {
            Some(SignalEvent::Message(message)) => Ok(classified(*message)),
            Some(SignalEvent::Close(why)) => Err(SignalFault::Closed(why.into_owned())),
            None => Err(SignalFault::Closed("no more events".into())),
        }
    }
}

fn classified(message: signal_response::Message) -> ServerMessage {
    use signal_response::Message;
    match message {
        Message::TrackPublished(published) => ServerMessage::Published { cid: published.cid },
        Message::Answer(answer) => ServerMessage::Answer { sdp: answer.sdp },
        Message::Trickle(trickle) => {
            let candidate = signalling::candidate(&trickle, proto::SignalTarget::Publisher);
            candidate.map_or(ServerMessage::Other, |line| ServerMessage::Candidate { line })
        }
        Message::Leave(_) => ServerMessage::Dismissed,
        Message::RequestResponse(r) if r.reason() != proto::request_response::Reason::Ok => {
            ServerMessage::Refused { why: format!("{:?}: {}", r.reason(), r.message) }
        }
        // Signals about other participants, which a publisher ignores. Its token does not allow it to
        // subscribe, so the server offers it no second connection.
        _ => ServerMessage::Other,
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

fn add_track_request(track: &TrackClips, cid: &str) -> proto::AddTrackRequest {
    let (kind, source, name) = match track.codec().kind() {
        TrackKind::Audio => (proto::TrackType::Audio, proto::TrackSource::Microphone, "microphone"),
        TrackKind::Video => (proto::TrackType::Video, proto::TrackSource::Camera, "camera"),
    };
    let codec = match track.codec() {
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::H264 => "h264",
        Codec::H265 => "h265",
        Codec::Av1 => "av1",
        Codec::Opus => "opus",
    };
    let layers = layers(track);
    let (width, height) = layers.last().map_or((0, 0), |largest| (largest.width, largest.height));
    proto::AddTrackRequest {
        cid: cid.to_owned(),
        name: name.to_owned(),
        r#type: kind as i32,
        source: source as i32,
        width,
        height,
        layers,
        simulcast_codecs: vec![proto::SimulcastCodec {
            codec: codec.to_owned(),
            cid: cid.to_owned(),
            ..Default::default()
        }],
        // Redundant sound (RFC 2198) would have to come from this publisher, which sends none.
        disable_red: true,
        ..Default::default()
    }
}

/// Returns no layers for sound. A picture in one size is always of the highest quality.
fn layers(track: &TrackClips) -> Vec<proto::VideoLayer> {
    use proto::VideoQuality::{High, Low, Medium};
    let qualities = [Low, Medium, High].into_iter().skip(if track.0.len() == 1 { 2 } else { 0 });
    let sizes = track.0.iter().filter_map(|clip| clip.size);
    qualities
        .zip(sizes)
        .map(|(quality, size)| proto::VideoLayer {
            quality: quality as i32,
            width: size.width,
            height: size.height,
            ..Default::default()
        })
        .collect()
}
