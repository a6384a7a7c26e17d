//! What happens in the room, carried to the parts of a recording that it concerns.

use std::sync::Arc;

use super::{MediaSeen, Recording, ticks};
use crate::compose::VideoTrack;
use crate::ids::TrackSid;
use crate::media::{Codec, MediaTime, TrackKind};
use crate::room::{PublishedTrack, RoomEnd, RoomEvent};
use crate::worker::feed::TrackFeed;
use crate::worker::messages::{EndReason, Event};
use crate::worker::quality::Source;
use crate::worker::stdio::Events;

impl Recording {
    pub(super) async fn room_event(&mut self, event: RoomEvent, events: &mut Events) {
        match event {
            RoomEvent::Connected => tracing::debug!("media path is up"),
            RoomEvent::Published(track) => self.published(track),
            RoomEvent::Muted { sid, muted, at } => {
                tracing::info!(track = %sid, muted, "track muted or unmuted");
                self.composer.set_video_muted(&sid, muted, at);
                self.layers.set_muted(&sid, muted);
            }
            RoomEvent::Unpublished { sid, at } => self.unpublished(&sid, at),
            RoomEvent::Frame { sid, frame } => {
                if let Some(feed) = self.feeds.get_mut(&sid) {
                    if self.media == MediaSeen::None {
                        self.media = MediaSeen::Untold;
                    }
                    self.quality.came(&sid, frame.codec);
                    feed.receive(frame);
                }
            }
            RoomEvent::ParticipantJoined { participant, at } => {
                tracing::info!(identity = participant.identity, "participant joined");
                self.quality.joined(&participant, at);
                self.composer.add_participant(participant, at);
            }
            RoomEvent::ParticipantLeft { identity, at } => {
                tracing::info!(identity, "participant left");
                self.quality.left(&identity, at);
                self.composer.remove_participant(&identity, at);
            }
            RoomEvent::Speakers { speakers, at } => self.composer.set_speakers(&speakers, at),
            RoomEvent::Interrupted { at, reason } => self.interrupted(at, &reason, events).await,
            RoomEvent::Restored { at } => self.restored(at, events).await,
            RoomEvent::Received { sid, figures } => self.quality.received(&sid, figures),
            RoomEvent::Participants(number) => {
                tracing::debug!(number, "participants");
                self.idle.participants(number, self.now());
            }
            RoomEvent::Ended(RoomEnd::Left) => {}
            RoomEvent::Ended(RoomEnd::Closed) => self.stop(EndReason::RoomClosed, None),
            RoomEvent::Ended(RoomEnd::Lost(why)) => self.stop(EndReason::Failed, Some(why)),
        }
    }

    fn published(&mut self, track: PublishedTrack) {
        let at = self.now();
        self.quality.published(&track, at);
        let PublishedTrack { sid, publisher, kind, source, mime, muted, order } = track;
        // What it shows is of no meaning for sound.
        let shows = (kind == TrackKind::Video).then(|| tracing::field::debug(source));
        tracing::info!(track = %sid, publisher, mime, muted, shows, "track published");
        match kind {
            TrackKind::Video => {
                self.composer.add_video(VideoTrack { sid: sid.clone(), publisher, source, order }, at);
                if muted {
                    self.composer.set_video_muted(&sid, true, at);
                }
                self.layers.add(sid.clone(), muted);
                self.look_at_codec(&sid, &mime, at);
            }
            TrackKind::Audio => self.composer.add_audio(sid.clone()),
        }
        let feed = TrackFeed::new(sid.clone(), kind, Arc::clone(&self.wake));
        if let Some(earlier) = self.feeds.insert(sid.clone(), feed) {
            self.quality.fed(&sid, earlier.counters(), Source::Ended);
            earlier.close();
        }
    }

    /// A track whose codec was not offered does not come, unless its publisher has a second one for such cases: then
    /// its first picture takes the place of the words.
    fn look_at_codec(&mut self, sid: &TrackSid, mime: &str, at: MediaTime) {
        let Some(codec) = mime.strip_prefix("video/").and_then(Codec::named) else { return };
        if !self.codecs.contains(&codec) {
            self.quality.warn(
                at,
                Some(sid),
                format!("is published in {codec}, which cannot be decoded here"),
            );
            self.composer.set_placeholder(sid, &ticks::placeholder(codec), at);
        }
    }

    fn unpublished(&mut self, sid: &TrackSid, at: MediaTime) {
        let Some(feed) = self.feeds.get_mut(sid) else { return };
        feed.end(at);
        self.quality.ended(sid, at);
        self.layers.remove(sid);
        // Sound has no place to give up: its voice goes with its feed, once all of it was heard.
        self.composer.remove_video(sid, at);
    }

    /// The recording goes on: frozen and silent, until the server is back or the room gives it up.
    async fn interrupted(&mut self, at: MediaTime, reason: &str, events: &mut Events) {
        tracing::warn!(?at, reason, "livekit is out of reach");
        self.quality.interrupted(at, reason);
        self.idle.interrupted(at);
        events.tell(&Event::Reachable { reachable: false }).await;
    }

    async fn restored(&mut self, at: MediaTime, events: &mut Events) {
        let gap = self.quality.restored(at);
        tracing::info!(?at, ?gap, "livekit is within reach again");
        self.idle.restored(at);
        self.layers.tell_again();
        events.tell(&Event::Reachable { reachable: true }).await;
    }
}
