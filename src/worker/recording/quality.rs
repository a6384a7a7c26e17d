//! Where the figures of the quality report come from.

use tokio::sync::mpsc;

use super::Recording;
use crate::compose::Composer;
use crate::ids::TrackSid;
use crate::room::RoomEvent;
use crate::worker::feed::TrackFeed;
use crate::worker::messages::Event;
use crate::worker::quality::Quality;
use crate::worker::stdio::Events;

impl Recording {
    pub(super) async fn tell_report(&mut self, events: &mut Events) {
        self.count();
        events.tell(&Event::Report { report: Box::new(self.quality.report()) }).await;
    }

    /// Takes the figures of all tracks that are here, as they stand.
    pub(super) fn count(&mut self) {
        for (sid, feed) in &self.feeds {
            count(&mut self.quality, &self.composer, sid, feed);
        }
    }
}

/// Takes the figures of one track, as they stand.
pub(super) fn count(quality: &mut Quality, composer: &Composer, sid: &TrackSid, feed: &TrackFeed) {
    quality.fed(sid, feed.counters());
    if let Some(counters) = composer.video_counters(sid) {
        quality.seen(sid, counters);
    }
    if let Some(counters) = composer.voice_counters(sid) {
        quality.heard(sid, counters);
    }
}

/// What the room counted until it was left.
pub(super) fn take_last_figures(quality: &mut Quality, room_events: &mut mpsc::Receiver<RoomEvent>) {
    while let Ok(event) = room_events.try_recv() {
        if let RoomEvent::Received { sid, figures } = event {
            quality.received(&sid, figures);
        }
    }
}
