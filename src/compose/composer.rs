//! The composer: takes the tracks' pictures and sound, and makes one tick after the other. Owns the count of
//! the ticks and the list of video tracks; the other files of this folder do everything else.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ids::TrackSid;
use crate::media::{
    AUDIO_RATE, Decorations, MediaTime, Participant, Picture, Size, Sound, Speaker, StreamKind, Streams,
    VideoSource, View,
};

use super::decor::{self, FontCache, WatermarkFault};
use super::figures::VideoFigures;
use super::fit;
use super::frame::Frame;
use super::hold::Hold;
use super::layout::Rect;
use super::looks;
use super::plan::Seat;
use super::room_state::{Change, RoomState, TileId, Track, TrackChange};
use super::rotate;
use super::scene::Scene;
use super::sound::{Mixer, VoiceCounters};
use super::video::{Showing, VideoState};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Ticks are a second or some behind, and a room has some changes a second. Beyond this number, the oldest
/// change takes effect before its time.
const CHANGES_MAX: usize = 1024;

#[derive(Clone, Debug)]
pub struct ComposeOptions {
    /// Without video, there is no canvas and nothing is drawn. The fields below then have no meaning.
    pub streams: Streams,
    pub size: Size,
    /// Ticks per second.
    pub frame_rate: u32,
    pub view: View,
    pub decorations: Decorations,
}

impl ComposeOptions {
    fn without_picture(self) -> Self {
        Self { size: Size { width: 0, height: 0 }, decorations: Decorations::default(), ..self }
    }
}

/// Why no pictures or no sound can be made from the options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("width and height must be even and not zero, not {width}x{height}")]
    Size { width: u32, height: u32 },
    #[error("the frame rate must be 1 to {max} per second, not {frame_rate}", max = AUDIO_RATE)]
    FrameRate { frame_rate: u32 },
    #[error("names and initials need a font, and this machine has none (on Debian: fonts-dejavu-core)")]
    NoFont,
    #[error("the watermark {} {fault}", file.display())]
    Watermark { file: PathBuf, fault: WatermarkFault },
}

/// A video track as the caller announces it.
#[derive(Clone, Debug)]
pub struct VideoTrack {
    pub sid: TrackSid,
    /// The identity of the participant who publishes the track.
    pub publisher: String,
    pub source: VideoSource,
    /// The participant's place in the order of joining. Tiles are in ascending order of this number. Those
    /// with the same number are in the order in which they were added.
    pub order: u64,
}

/// One tick of the recording.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// Counts from 0.
    pub index: u64,
    /// I420, tightly packed.
    pub canvas: &'a [u8],
    /// Interleaved stereo at [`AUDIO_RATE`]: 1600 frames, 3200 values, at 30 ticks a second.
    pub sound: &'a [i16],
}

/// All times are on the recording's timeline. A change takes effect at the first tick that is not earlier
/// than its time. Changes take effect in the order of the calls: a time before that of the last call counts
/// as equal to it. Calls for a track that does not exist (any more) do nothing: a decoder may return
/// something after its track has been removed.
pub struct Composer {
    has_picture: bool,
    frame_rate: u32,
    next_tick: u64,
    publications: u64,
    /// The room with all changes that were made.
    newest: RoomState,
    /// The changes that no tick has reached. Times never decrease.
    changes: VecDeque<(MediaTime, Change)>,
    /// The room at the last tick.
    room: RoomState,
    /// The tracks of the last tick and those that were added since, in the order of their tiles.
    videos: Vec<VideoState>,
    /// The figures of tracks that have ended, until the caller takes them.
    ended: Vec<(TrackSid, VideoFigures)>,
    decorations: Decorations,
    scene: Scene,
    frame: Frame,
    hold: Hold,
    mixer: Mixer,
}

impl Composer {
    pub fn new(options: ComposeOptions) -> Result<Self, ComposeError> {
        let ComposeOptions { streams, size, frame_rate, view, decorations } = match options.streams {
            Streams::Both | Streams::VideoOnly => options,
            Streams::AudioOnly => options.without_picture(),
        };
        let Size { width, height } = size;
        let has_picture = streams.has(StreamKind::Video);
        if has_picture && (width == 0 || height == 0 || width % 2 != 0 || height % 2 != 0) {
            return Err(ComposeError::Size { width, height });
        }
        if frame_rate == 0 || frame_rate > AUDIO_RATE {
            return Err(ComposeError::FrameRate { frame_rate });
        }
        let mut fonts = FontCache::default();
        if (decorations.names || decorations.initials) && !fonts.load() {
            return Err(ComposeError::NoFont);
        }
        let watermark = decorations.watermark.as_ref().map(|watermark| {
            let faulty = |fault| ComposeError::Watermark { file: watermark.file.clone(), fault };
            decor::load_watermark(watermark, size).map_err(faulty)
        });
        let watermark = watermark.transpose()?;
        Ok(Self {
            has_picture,
            frame_rate,
            next_tick: 0,
            publications: 0,
            newest: RoomState::new(view),
            changes: VecDeque::new(),
            room: RoomState::new(view),
            videos: Vec::new(),
            ended: Vec::new(),
            scene: Scene::new(size, view, decorations.initials),
            frame: Frame::new(size, view, watermark, fonts),
            decorations,
            hold: Hold::Over,
            mixer: Mixer::default(),
        })
    }

    /// Resumes, before the first tick, a recording that another composer began. `next_tick` is the first tick
    /// to make. If `last_frame` is known (I420, tightly packed), it is shown until the room was `joined` and
    /// everybody in it can be seen, for three seconds at most after joining.
    pub fn resume(&mut self, next_tick: u64, last_frame: Option<Vec<u8>>, joined: MediaTime) {
        self.next_tick = next_tick;
        self.mixer = Mixer::at(i64::try_from(self.frames_before(next_tick)).unwrap_or(i64::MAX));
        let whole = last_frame.filter(|frame| frame.len() == self.frame.canvas().len());
        self.hold = whole.map_or(Hold::Over, |frame| Hold::On { frame, joined });
    }

    /// Changes how the frame is divided and filled.
    pub fn set_view(&mut self, view: View, at: MediaTime) {
        self.change(Change::View(view), at);
    }

    /// Adds a participant, or changes the name of a known one.
    pub fn add_participant(&mut self, participant: Participant, at: MediaTime) {
        self.change(Change::Joined(Arc::new(participant)), at);
    }

    pub fn remove_participant(&mut self, identity: &str, at: MediaTime) {
        self.change(Change::Left(identity.to_owned()), at);
    }

    /// Sets who speaks from `at` on, loudest first.
    pub fn set_speakers(&mut self, speakers: &[Speaker], at: MediaTime) {
        self.scene.hear(speakers, at);
        let identities = speakers.iter().map(|speaker| speaker.identity.clone());
        self.change(Change::Speakers(identities.collect()), at);
    }

    /// Adds a published track. It takes its cell with the first picture that is due at a tick.
    pub fn add_video(&mut self, track: VideoTrack, at: MediaTime) {
        let VideoTrack { sid, publisher, source, order } = track;
        if self.newest.track(&sid).is_some() {
            return;
        }
        self.publications += 1;
        let id = TileId { order, publication: self.publications };
        let track = Arc::new(Track { id, sid, publisher, source });
        let place = self.videos.partition_point(|video| video.id < id);
        self.videos.insert(place, VideoState::new(&track, self.frame_rate));
        self.change(Change::Published(track), at);
    }

    /// Mutes or unmutes a track. A muted track loses its cell. Unmuted, it takes a cell again with the first
    /// picture that is captured afterwards.
    pub fn set_video_muted(&mut self, sid: &TrackSid, muted: bool, at: MediaTime) {
        if let Some(track) = self.tile(sid) {
            self.change(Change::OfTrack(track, TrackChange::Muted(muted)), at);
        }
    }

    /// Shows `label` instead of the track's picture until a picture comes: the track cannot be decoded.
    pub fn set_placeholder(&mut self, sid: &TrackSid, label: &str, at: MediaTime) {
        if let Some(track) = self.tile(sid) {
            self.change(Change::OfTrack(track, TrackChange::Placeholder(label.into())), at);
        }
    }

    pub fn remove_video(&mut self, sid: &TrackSid, at: MediaTime) {
        if let Some(track) = self.tile(sid) {
            self.change(Change::OfTrack(track, TrackChange::Removed), at);
        }
    }

    /// Takes the next picture of a track. Only a bounded number is kept, so ask [`Composer::wants_picture`]
    /// first and leave the rest in the decoder.
    pub fn picture(&mut self, sid: &TrackSid, picture: Picture) {
        if let Some(id) = self.tile(sid)
            && let Some(video) = self.videos.iter_mut().find(|video| video.id == id)
        {
            video.push(picture);
        }
    }

    /// Returns whether the next tick may need a further picture of the track: it does while no picture is
    /// later than the tick.
    pub fn wants_picture(&self, sid: &TrackSid) -> bool {
        let (tile, next_tick) = (self.tile(sid), self.next_tick_time());
        self.videos.iter().any(|video| Some(video.id) == tile && video.wants_picture(next_tick))
    }

    /// Returns the tracks whose pictures are needed, and the size in which each is drawn (before it is turned
    /// upright, and with what is cut off). The result includes all changes that were made, ahead
    /// of the ticks, so that pictures have arrived when their tick is made. A track that is not listed is not
    /// shown.
    pub fn wanted(&self) -> impl Iterator<Item = (&TrackSid, Size)> {
        let seats = self.scene.wanted(&self.newest, &self.videos, self.next_tick_time());
        self.newest.active_tracks().filter_map(move |track| {
            let cells = seats.iter().filter(|seat| seat.id == track.id).map(|seat| seat.cell);
            let sizes = cells.filter(|cell| !cell.is_empty()).map(|cell| self.size_to_fill(track, cell));
            Some((&track.sid, sizes.max_by_key(|size| size.width * size.height)?))
        })
    }

    pub fn add_audio(&mut self, sid: TrackSid) {
        self.mixer.add(sid);
    }

    /// Removes a track. Its sound up to now is still mixed.
    pub fn remove_audio(&mut self, sid: &TrackSid) {
        self.mixer.remove(sid);
    }

    /// Takes the next sound of a track, a block of any length. Sound earlier than the next tick is too late.
    /// Sound more than 10 s after it is dropped.
    pub fn sound(&mut self, sid: &TrackSid, sound: &Sound) {
        self.mixer.push(sid, sound);
    }

    /// Returns the time of the tick that [`Composer::tick`] makes next.
    pub fn next_tick_time(&self) -> MediaTime {
        // Rounded up, so that a time that was computed for a tick and rounded is not after the tick.
        let nanos = (self.next_tick * NANOS_PER_SECOND).div_ceil(u64::from(self.frame_rate));
        MediaTime::from_nanos(nanos as i64)
    }

    /// Makes the next tick.
    pub fn tick(&mut self) -> Tick<'_> {
        if self.has_picture {
            self.draw(self.next_tick_time());
        }
        let index = self.next_tick;
        self.next_tick += 1;
        let frames = self.frames_before(index + 1) - self.frames_before(index);
        Tick { index, canvas: self.hold.over(self.frame.canvas()), sound: self.mixer.mix(frames as usize) }
    }

    /// Draws the frame of the tick at `now`.
    fn draw(&mut self, now: MediaTime) {
        while let Some((at, change)) = self.changes.pop_front_if(|(at, _)| *at <= now) {
            self.take_effect(&change, at);
        }
        for video in &mut self.videos {
            video.advance(now);
        }
        self.scene.advance(&self.room, &mut self.videos, now);
        self.hold.advance(now, || self.room.active_tracks().all(|track| is_there(&self.videos, track, now)));
        let shown = |id| looks::look_of(id, &self.room, &self.videos, &self.decorations);
        self.frame.show(self.scene.view(), self.scene.seats(), shown);
        for video in &mut self.videos {
            video.count(self.scene.is_seated(video.id), now);
        }
    }

    /// Returns the frame of the last tick, black before the first: I420, tightly packed. Empty without video.
    pub fn canvas(&self) -> &[u8] {
        self.hold.over(self.frame.canvas())
    }

    /// Returns the tracks in the last tick's frame, and the size of their cells.
    pub fn cells(&self) -> impl Iterator<Item = (&TrackSid, Size)> {
        self.scene.seats().iter().filter_map(|Seat { id, cell }| {
            let video = self.videos.iter().find(|video| video.id == *id)?;
            Some((&video.sid, cell.size()))
        })
    }

    /// Returns the figures of a track that has not left the recording yet.
    pub fn video_figures(&self, sid: &TrackSid) -> Option<VideoFigures> {
        let mut videos = self.videos.iter().rev();
        videos.find(|v| v.sid == *sid).map(VideoState::figures)
    }

    /// Returns the tracks that have left the recording since the last call. The caller calls this now and
    /// then, as they are kept until then.
    pub fn take_ended(&mut self) -> Vec<(TrackSid, VideoFigures)> {
        std::mem::take(&mut self.ended)
    }

    /// Returns the counters of a track that has not left the recording yet.
    pub fn voice_counters(&self, sid: &TrackSid) -> Option<VoiceCounters> {
        self.mixer.counters(sid)
    }

    /// Returns the tile of the track's present publication. An earlier publication may still be in the frame.
    fn tile(&self, sid: &TrackSid) -> Option<TileId> {
        self.newest.track(sid).map(|track| track.id)
    }

    /// Returns the size in which the track's picture is drawn in a cell, or the cell's size before the first
    /// picture.
    fn size_to_fill(&self, track: &Track, cell: Rect) -> Size {
        let video = self.videos.iter().find(|video| video.id == track.id);
        let Some(Showing::Picture(picture)) = video.and_then(VideoState::showing) else {
            return cell.size();
        };
        let size = rotate::upright(picture.image.size(), picture.rotation);
        let fit = fit::fit_of(track.source, size, self.newest.view.fit);
        rotate::upright(fit::size_to_fill(size, cell, fit), picture.rotation)
    }

    fn change(&mut self, change: Change, at: MediaTime) {
        if !self.has_picture {
            return;
        }
        self.newest.apply(&change);
        if self.changes.len() == CHANGES_MAX
            && let Some((at, oldest)) = self.changes.pop_front()
        {
            self.take_effect(&oldest, at);
        }
        let at = self.changes.back().map_or(at, |&(last, _)| last.max(at));
        self.changes.push_back((at, change));
    }

    fn take_effect(&mut self, change: &Change, at: MediaTime) {
        self.room.apply(change);
        match change {
            Change::View(_) | Change::Joined(_) | Change::Left(_) | Change::Speakers(_) => {}
            Change::Published(track) => {
                let video = self.videos.iter_mut().find(|video| video.id == track.id);
                video.into_iter().for_each(VideoState::publish);
            }
            Change::OfTrack(id, change) => self.track_changes(*id, change, at),
        }
    }

    fn track_changes(&mut self, id: TileId, change: &TrackChange, at: MediaTime) {
        let Some(place) = self.videos.iter().position(|video| video.id == id) else { return };
        match change {
            TrackChange::Muted(muted) => self.videos[place].set_muted(*muted, at),
            TrackChange::Placeholder(label) => self.videos[place].set_placeholder(label),
            TrackChange::Removed => {
                let video = self.videos.remove(place);
                self.ended.push((video.sid.clone(), video.figures()));
            }
        }
    }

    /// Returns the number of audio frames in the first `ticks` ticks.
    fn frames_before(&self, ticks: u64) -> u64 {
        ticks * u64::from(AUDIO_RATE) / u64::from(self.frame_rate)
    }
}

/// Returns whether the track is shown or need not be waited for.
fn is_there(videos: &[VideoState], track: &Track, now: MediaTime) -> bool {
    let mut videos = videos.iter().filter(|video| video.id == track.id);
    videos.all(|video| video.showing().is_some() || video.is_withheld(now) || video.is_dead(now))
}

#[cfg(test)]
impl Composer {
    pub(super) fn seats(&self) -> &[Seat] {
        self.scene.seats()
    }

    /// Draws the last tick's frame from scratch (without a watermark).
    pub(super) fn drawn_anew(&self) -> Vec<u8> {
        let mut frame = Frame::new(self.scene.frame(), self.scene.view(), None, FontCache::default());
        let shown = |id| looks::look_of(id, &self.room, &self.videos, &self.decorations);
        frame.show(self.scene.view(), self.scene.seats(), shown);
        frame.canvas().to_vec()
    }
}
