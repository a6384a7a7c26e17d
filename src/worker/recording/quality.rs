//! Where the figures of the quality report come from.

use tokio::sync::mpsc;

use super::Recording;
use crate::compose::Composer;
use crate::ids::TrackSid;
use crate::report::{FileReport, QualityReport};
use crate::room::RoomEvent;
use crate::worker::feed::TrackFeed;
use crate::worker::messages::Event;
use crate::worker::quality::{Quality, Source};
use crate::worker::stdio::Events;

impl Recording {
    pub(super) async fn tell_report(&mut self, events: &mut Events) {
        self.count();
        events.tell(&Event::Report { report: Box::new(self.quality.report()) }).await;
    }

    /// Takes the figures of all tracks that are here, as they stand.
    pub(super) fn count(&mut self) {
        for (sid, figures) in self.composer.take_ended() {
            self.quality.seen(&sid, figures, Source::Ended);
        }
        for (sid, feed) in &self.feeds {
            count(&mut self.quality, &self.composer, (sid, feed), Source::GoesOn);
        }
    }
}

/// Takes the figures of one track, as they stand. Pictures go on to be seen when all of them are decoded: the composer
/// tells their end itself.
pub(super) fn count(
    quality: &mut Quality,
    composer: &Composer,
    (sid, feed): (&TrackSid, &TrackFeed),
    source: Source,
) {
    quality.fed(sid, feed.counters(), source);
    if let Some(figures) = composer.video_figures(sid) {
        quality.seen(sid, figures, Source::GoesOn);
    }
    if let Some(counters) = composer.voice_counters(sid) {
        quality.heard(sid, counters, source);
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

/// One line from which an operator sees whether to look closer; what went wrong has had its own.
pub(super) fn log(report: &QualityReport) {
    let FileReport {
        duration_ms,
        video_frames,
        hurried_frames,
        longest_delay_ms,
        packets_lost,
        longest_freeze_ms,
    } = report.file;
    tracing::info!(
        duration_ms,
        video_frames,
        hurried_frames,
        longest_delay_ms,
        packets_lost,
        longest_freeze_ms,
        tracks = report.tracks.len(),
        gaps = report.gaps.len(),
        warnings = report.warnings.len(),
        "quality"
    );
}
