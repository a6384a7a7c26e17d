//! What a recording is like: gathered while it runs, made into the report that users see. Pure; it also writes a
//! warning to the log when one is given, since that is the moment at which an operator can still act.
//!
//! Does not measure anything: the figures are those of the room, the feeds and the composer, as they stand. Contract:
//! figures are totals since their source began and may be given again and again, the last time when it ends; a track
//! that comes back has new sources, which are added to what it was. What is kept is bounded.

mod carried;
mod figures;
mod findings;
mod people;

use std::collections::HashMap;
use std::time::Duration;

use super::feed::Counters;
use crate::compose::{VideoFigures, VoiceCounters};
use crate::ids::TrackSid;
use crate::media::{Codec, MediaTime, Participant, TrackKind, VideoSource};
use crate::report::{FileReport, Gap, QualityReport, TrackReport, Warning};
use crate::room::{PublishedTrack, ReceiveFigures};

use figures::Figures;
use findings::Finding;
use people::People;

pub use carried::Carried;
pub use figures::Source;

/// A room of a hundred people in which everybody comes back ten times. A track takes about a kilobyte of the report.
const TRACKS_MAX: usize = 1000;
/// A connection that breaks every minute for three hours.
const GAPS_MAX: usize = 200;
/// Who reads more than that reads the log.
const WARNINGS_MAX: usize = 200;
/// Identities, names and reasons are other people's texts.
const TEXT_MAX_BYTES: usize = 256;

pub struct Quality {
    frame_rate: u32,
    frames: u64,
    hurried_frames: u64,
    longest_delay: Duration,
    /// In the order in which they were published.
    tracks: Vec<Track>,
    places: HashMap<TrackSid, usize>,
    tracks_left_out: u64,
    people: People,
    gaps: Vec<Gap>,
    gaps_left_out: u64,
    /// Since when, and why, the server has been out of reach.
    interrupted: Option<(MediaTime, String)>,
    warnings: Vec<Warning>,
    warnings_left_out: u64,
}

struct Track {
    sid: TrackSid,
    participant: String,
    kind: TrackKind,
    source: &'static str,
    codec: Option<Codec>,
    from: MediaTime,
    ended: Option<MediaTime>,
    figures: Figures,
}

/// How one tick was made.
#[derive(Clone, Copy, Debug)]
pub struct MadeTick {
    /// How far behind its schedule.
    pub delay: Duration,
    /// Some decoder owed what belonged to it.
    pub hurried: bool,
}

impl Quality {
    pub fn new(frame_rate: u32) -> Self {
        Self {
            frame_rate,
            frames: 0,
            hurried_frames: 0,
            longest_delay: Duration::ZERO,
            tracks: Vec::new(),
            places: HashMap::new(),
            tracks_left_out: 0,
            people: People::default(),
            gaps: Vec::new(),
            gaps_left_out: 0,
            interrupted: None,
            warnings: Vec::new(),
            warnings_left_out: 0,
        }
    }

    pub fn tick(&mut self, tick: MadeTick) {
        self.frames += 1;
        self.hurried_frames += u64::from(tick.hurried);
        self.longest_delay = self.longest_delay.max(tick.delay);
    }

    pub fn joined(&mut self, participant: &Participant, at: MediaTime) {
        self.people.joined(participant, at);
    }

    pub fn left(&mut self, identity: &str, at: MediaTime) {
        self.people.left(identity, at);
    }

    pub fn published(&mut self, published: &PublishedTrack, at: MediaTime) {
        if let Some(track) = self.track(&published.sid) {
            track.ended = None;
        } else if self.tracks.len() < TRACKS_MAX {
            self.places.insert(published.sid.clone(), self.tracks.len());
            self.tracks.push(Track::new(published, at));
        } else {
            self.tracks_left_out += 1;
        }
    }

    pub fn ended(&mut self, sid: &TrackSid, at: MediaTime) {
        if let Some(track) = self.track(sid) {
            track.ended = Some(at);
        }
    }

    /// A frame of the track came, in this codec.
    pub fn came(&mut self, sid: &TrackSid, codec: Codec) {
        if let Some(track) = self.track(sid) {
            track.codec = Some(codec);
        }
    }

    pub fn received(&mut self, sid: &TrackSid, figures: ReceiveFigures) {
        if let Some(track) = self.track(sid) {
            track.figures.received(figures);
        }
    }

    pub fn fed(&mut self, sid: &TrackSid, counters: Counters, source: Source) {
        if let Some(track) = self.track(sid) {
            track.figures.fed(counters, source);
        }
    }

    pub fn seen(&mut self, sid: &TrackSid, figures: VideoFigures, source: Source) {
        if let Some(track) = self.track(sid) {
            track.figures.seen(figures, source);
        }
    }

    pub fn heard(&mut self, sid: &TrackSid, counters: VoiceCounters, source: Source) {
        if let Some(track) = self.track(sid) {
            track.figures.heard(counters, source);
        }
    }

    /// The server is out of reach.
    pub fn interrupted(&mut self, at: MediaTime, reason: &str) {
        self.interrupted.get_or_insert_with(|| (at, bounded(reason)));
    }

    /// Returns how long the server was out of reach.
    pub fn restored(&mut self, at: MediaTime) -> Option<Duration> {
        let (from, reason) = self.interrupted.take()?;
        self.gap(Gap { from_ms: since_start(from), to_ms: since_start(at), reason });
        Some(Duration::from_nanos(at.nanos_since(from).max(0).unsigned_abs()))
    }

    /// Something went wrong, with the recording or with one track of it. A warning that was given before is not
    /// repeated.
    pub fn warn(&mut self, at: MediaTime, track: Option<&TrackSid>, message: impl Into<String>) {
        let message = bounded(&message.into());
        let track = track.map(|sid| sid.as_str().to_owned());
        if self.warnings.iter().any(|known| known.track == track && known.message == message) {
            return;
        }
        tracing::warn!(track, at_ms = since_start(at), "{message}");
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning { at_ms: since_start(at), track, message });
        } else {
            self.warnings_left_out += 1;
        }
    }

    /// The report of the whole recording, with what follows from its figures.
    pub fn conclude(mut self) -> QualityReport {
        for Finding { at, track, message } in findings::of(&self.report()) {
            self.warn(at, track.map(TrackSid).as_ref(), message);
        }
        self.report()
    }

    /// The report of what was made so far.
    pub fn report(&self) -> QualityReport {
        let now = self.duration();
        let tracks: Vec<TrackReport> = self.tracks.iter().map(|track| track.report(now)).collect();
        let mut gaps = self.gaps.clone();
        if let Some((from, reason)) = self.interrupted.as_ref().filter(|_| gaps.len() < GAPS_MAX) {
            gaps.push(Gap { from_ms: since_start(*from), to_ms: since_start(now), reason: reason.clone() });
        }
        QualityReport {
            file: FileReport {
                duration_ms: since_start(now),
                video_frames: self.frames,
                hurried_frames: self.hurried_frames,
                longest_delay_ms: millis(self.longest_delay),
                packets_lost: tracks.iter().map(|track| track.packets_lost).sum(),
                longest_freeze_ms: tracks.iter().map(|track| track.longest_freeze_ms).max().unwrap_or(0),
            },
            // What was noted while the last second was still to be made lies behind the end of a file that a stop cut.
            gaps: gaps.into_iter().filter_map(|gap| within(gap, since_start(now))).collect(),
            gaps_left_out: self.gaps_left_out,
            warnings: self.warnings.clone(),
            warnings_left_out: self.warnings_left_out,
            participants: self.people.report(now),
            participants_left_out: self.people.left_out(),
            tracks,
            tracks_left_out: self.tracks_left_out,
        }
    }

    fn gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap);
        } else {
            self.gaps_left_out += 1;
        }
    }

    fn duration(&self) -> MediaTime {
        start_of(self.frames, self.frame_rate)
    }

    fn track(&mut self, sid: &TrackSid) -> Option<&mut Track> {
        self.places.get(sid).map(|place| &mut self.tracks[*place])
    }
}

impl Track {
    fn new(published: &PublishedTrack, at: MediaTime) -> Self {
        Self {
            sid: published.sid.clone(),
            participant: bounded(&published.publisher),
            kind: published.kind,
            source: source_name(published),
            codec: None,
            from: at,
            ended: None,
            figures: Figures::default(),
        }
    }

    fn report(&self, now: MediaTime) -> TrackReport {
        let facts = TrackReport {
            sid: self.sid.as_str().to_owned(),
            participant: self.participant.clone(),
            kind: match self.kind {
                TrackKind::Audio => "audio",
                TrackKind::Video => "video",
            }
            .to_owned(),
            source: self.source.to_owned(),
            codec: self.codec.map(Codec::name).unwrap_or_default().to_owned(),
            from_ms: since_start(self.from.min(now)),
            to_ms: since_start(self.ended.unwrap_or(now).min(now)),
            ..TrackReport::default()
        };
        self.figures.fill(facts)
    }
}

fn start_of(frame: u64, frame_rate: u32) -> MediaTime {
    let nanos = u128::from(frame) * 1_000_000_000 / u128::from(frame_rate);
    MediaTime::from_nanos(nanos.try_into().unwrap_or(i64::MAX))
}

fn source_name(published: &PublishedTrack) -> &'static str {
    match (published.kind, published.source) {
        (TrackKind::Audio, _) => "microphone",
        (TrackKind::Video, VideoSource::Camera) => "camera",
        (TrackKind::Video, VideoSource::ScreenShare) => "screenShare",
    }
}

fn within(gap: Gap, end_ms: u64) -> Option<Gap> {
    (gap.from_ms < end_ms).then(|| Gap { to_ms: gap.to_ms.min(end_ms), ..gap })
}

/// As much of a text as is kept, without control characters, each of which JSON makes six of.
fn bounded(text: &str) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).take(TEXT_MAX_BYTES).collect();
    kept.truncate(kept.floor_char_boundary(TEXT_MAX_BYTES));
    kept
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn time(millis: u64) -> MediaTime {
    MediaTime::from_millis(i64::try_from(millis).unwrap_or(i64::MAX / 1_000_000))
}

/// Milliseconds of the file; nothing is before its first frame.
fn since_start(time: MediaTime) -> u64 {
    u64::try_from(time.nanos()).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests;
