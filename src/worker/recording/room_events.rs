//! What happens in the room, carried to the parts of a recording that it concerns.

use std::sync::Arc;

use super::{MediaSeen, Recording};
use crate::compose::VideoTrack;
use crate::ids::TrackSid;
use crate::media::{MediaTime, TrackKind};
use crate::room::{PublishedTrack, RoomEnd, RoomEvent};
use crate::worker::feed::TrackFeed;
use crate::worker::messages::EndReason;

impl Recording {
    pub(super) fn room_event(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::Connected => tracing::debug!("media path is up"),
            RoomEvent::Published(track) => self.published(track),
            RoomEvent::Muted { sid, muted, at } => {
                tracing::info!(track = %sid, muted, "track muted or unmuted");
                self.composer.set_video_muted(&sid, muted, at);
            }
            RoomEvent::Unpublished { sid, at } => self.unpublished(&sid, at),
            RoomEvent::Frame { sid, frame } => {
                if let Some(feed) = self.feeds.get_mut(&sid) {
                    if self.media == MediaSeen::None {
                        self.media = MediaSeen::Untold;
                    }
                    feed.receive(frame);
                }
            }
            RoomEvent::ParticipantJoined { participant, at } => {
                tracing::info!(identity = participant.identity, "participant joined");
                self.composer.add_participant(participant, at);
            }
            RoomEvent::ParticipantLeft { identity, at } => {
                tracing::info!(identity, "participant left");
                self.composer.remove_participant(&identity, at);
            }
            RoomEvent::Speakers { speakers, at } => self.composer.set_speakers(&speakers, at),
            RoomEvent::Interrupted { at, reason } => tracing::warn!(?at, reason, "livekit is out of reach"),
            RoomEvent::Restored { at } => tracing::info!(?at, "livekit is within reach again"),
            RoomEvent::Received { sid, figures } => tracing::debug!(track = %sid, ?figures, "received"),
            RoomEvent::Participants(number) => {
                tracing::info!(number, "participants");
                self.alone_since = (number == 0).then(|| self.now());
            }
            RoomEvent::Ended(RoomEnd::Left) => {}
            RoomEvent::Ended(RoomEnd::Closed) => self.stop(EndReason::RoomClosed, None),
            RoomEvent::Ended(RoomEnd::Lost(why)) => self.stop(EndReason::Failed, Some(why)),
        }
    }

    fn published(&mut self, track: PublishedTrack) {
        let PublishedTrack { sid, publisher, kind, source, mime, muted, order } = track;
        tracing::info!(track = %sid, publisher, ?kind, ?source, mime, muted, "track published");
        let at = self.now();
        match kind {
            TrackKind::Video => {
                self.composer.add_video(VideoTrack { sid: sid.clone(), publisher, source, order }, at);
                if muted {
                    self.composer.set_video_muted(&sid, true, at);
                }
            }
            TrackKind::Audio => self.composer.add_audio(sid.clone()),
        }
        let feed = TrackFeed::new(sid.clone(), kind, Arc::clone(&self.wake));
        self.feeds.insert(sid, feed);
    }

    fn unpublished(&mut self, sid: &TrackSid, at: MediaTime) {
        let Some(feed) = self.feeds.get_mut(sid) else { return };
        feed.end(at);
        self.asked_sizes.remove(sid);
        // Sound has no place to give up: its voice goes with its feed, once all of it was heard.
        self.composer.remove_video(sid, at);
    }
}
