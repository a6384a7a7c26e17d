//! The composer: takes what the tracks give, makes one tick after the other. Owns the count of the
//! ticks and which video tracks there are; everything else is done by the files beside it.

use crate::ids::TrackSid;
use crate::media::{
    AUDIO_RATE, Decorations, MediaTime, Participant, Picture, Size, Sound, Speaker, VideoSource, View,
};

use super::figures::{VideoCounters, VideoFigures};
use super::mixer::Mixer;
use super::stage::{Shown, Stage, TileId};
use super::video::VideoState;
use super::voice::VoiceCounters;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub struct ComposeOptions {
    pub size: Size,
    /// Ticks per second.
    pub frame_rate: u32,
    pub view: View,
    pub decorations: Decorations,
}

/// Options from which no picture or no sound can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("width and height must be even and not zero, not {width}x{height}")]
    Size { width: u32, height: u32 },
    #[error("the frame rate must be 1 to {max} per second, not {frame_rate}", max = AUDIO_RATE)]
    FrameRate { frame_rate: u32 },
}

/// A video track as it is announced.
#[derive(Clone, Debug)]
pub struct VideoTrack {
    pub sid: TrackSid,
    /// The identity of the participant whose it is.
    pub publisher: String,
    pub source: VideoSource,
    /// Tiles lie in ascending order of this number, those with the same number in the order in
    /// which they were added: the place of the participant in the order of joining.
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

/// Times given to it are on the recording's timeline and take effect at the first tick that is not
/// earlier. Calls that name a track that is not there (any more) do nothing: a decoder may well give
/// something out after its track has gone.
pub struct Composer {
    frame_rate: u32,
    next_tick: u64,
    publications: u64,
    /// In the order of the tiles.
    videos: Vec<VideoState>,
    /// Of the tracks that are gone.
    past: VideoCounters,
    /// The same, until somebody takes them.
    ended: Vec<(TrackSid, VideoFigures)>,
    stage: Stage,
    mixer: Mixer,
}

impl Composer {
    pub fn new(options: ComposeOptions) -> Result<Self, ComposeError> {
        let ComposeOptions { size, frame_rate, view, decorations: _ } = options;
        let Size { width, height } = size;
        if width == 0 || height == 0 || width % 2 != 0 || height % 2 != 0 {
            return Err(ComposeError::Size { width, height });
        }
        if frame_rate == 0 || frame_rate > AUDIO_RATE {
            return Err(ComposeError::FrameRate { frame_rate });
        }
        Ok(Self {
            frame_rate,
            next_tick: 0,
            publications: 0,
            videos: Vec::new(),
            past: VideoCounters::default(),
            ended: Vec::new(),
            stage: Stage::new(size, view.layout),
            mixer: Mixer::default(),
        })
    }

    /// A track is published. It takes its cell with the first picture that is due at a tick.
    pub fn add_video(&mut self, track: VideoTrack, at: MediaTime) {
        let VideoTrack { sid, publisher: _, source, order } = track;
        if self.video(&sid).is_some() {
            return;
        }
        let id = TileId { order, publication: self.publications };
        self.publications += 1;
        let place = self.videos.partition_point(|video| video.id < id);
        self.videos.insert(place, VideoState::new(id, sid, source, at, self.frame_rate));
    }

    /// From then on the frame is divided and filled like this.
    pub fn set_view(&mut self, _view: View, _at: MediaTime) {}

    pub fn add_participant(&mut self, _participant: Participant, _at: MediaTime) {}

    pub fn remove_participant(&mut self, _identity: &str, _at: MediaTime) {}

    /// Who speaks, the loudest first.
    pub fn set_speakers(&mut self, _speakers: &[Speaker], _at: MediaTime) {}

    /// Shows `label` in the place of the track's picture, until a picture comes: it cannot be decoded.
    pub fn set_placeholder(&mut self, _sid: &TrackSid, _label: &str, _at: MediaTime) {}

    /// The tracks whose pictures are needed, with the size of their cells, as of all that was told up to now:
    /// ahead of the ticks, so that pictures are there when the tick that shows them is made.
    pub fn wanted(&self) -> impl Iterator<Item = (&TrackSid, Size)> {
        self.cells()
    }

    /// A muted track gives up its cell. Unmuted, it takes it again with the first picture captured
    /// since.
    pub fn set_video_muted(&mut self, sid: &TrackSid, muted: bool, at: MediaTime) {
        if let Some(video) = self.video(sid) {
            video.set_muted(muted, at);
        }
    }

    pub fn remove_video(&mut self, sid: &TrackSid, at: MediaTime) {
        if let Some(video) = self.video(sid) {
            video.remove(at);
        }
    }

    /// The next picture of a track. Only a bounded number is kept, so ask
    /// [`Composer::wants_picture`] first and leave the rest in the decoder.
    pub fn picture(&mut self, sid: &TrackSid, picture: Picture) {
        if let Some(video) = self.video(sid) {
            video.push(picture);
        }
    }

    /// Whether a further picture of the track could matter to the next tick: none is here yet that
    /// is later than it.
    pub fn wants_picture(&self, sid: &TrackSid) -> bool {
        let next_tick = self.next_tick_time();
        let mut videos = self.videos.iter();
        videos.any(|v| v.sid == *sid && !v.is_leaving() && v.wants_picture(next_tick))
    }

    pub fn add_audio(&mut self, sid: TrackSid) {
        self.mixer.add(sid);
    }

    /// What the track has given up to now will still be heard.
    pub fn remove_audio(&mut self, sid: &TrackSid) {
        self.mixer.remove(sid);
    }

    /// The next sound of a track: a block of any length. Sound earlier than the next tick is too
    /// late, sound more than 10 s after it is not kept.
    pub fn sound(&mut self, sid: &TrackSid, sound: &Sound) {
        self.mixer.push(sid, sound);
    }

    /// The time of the tick that [`Composer::tick`] makes next.
    pub fn next_tick_time(&self) -> MediaTime {
        // Rounded up, so that a time which was computed for a tick and rounded is not after it.
        let nanos = (self.next_tick * NANOS_PER_SECOND).div_ceil(u64::from(self.frame_rate));
        MediaTime::from_nanos(nanos as i64)
    }

    /// Makes the next tick.
    pub fn tick(&mut self) -> Tick<'_> {
        let now = self.next_tick_time();
        for video in &mut self.videos {
            video.advance(now);
        }
        self.forget_removed_videos();
        self.stage.show(self.videos.iter().filter_map(shown));
        let index = self.next_tick;
        self.next_tick += 1;
        let frames = self.frames_before(index + 1) - self.frames_before(index);
        Tick { index, canvas: self.stage.canvas(), sound: self.mixer.mix(frames as usize) }
    }

    /// The frame of the last tick, black before the first: I420, tightly packed.
    pub fn canvas(&self) -> &[u8] {
        self.stage.canvas()
    }

    /// The tracks that are on the picture since the last tick, and the size of their cells.
    pub fn cells(&self) -> impl Iterator<Item = (&TrackSid, Size)> {
        self.stage.cells().filter_map(|(id, size)| {
            let video = self.videos.iter().find(|video| video.id == id)?;
            Some((&video.sid, size))
        })
    }

    /// Of a track that has not left the recording yet.
    pub fn video_figures(&self, sid: &TrackSid) -> Option<VideoFigures> {
        let mut videos = self.videos.iter().rev();
        videos.find(|v| v.sid == *sid).map(VideoState::figures)
    }

    /// The tracks that have left the recording since the last call. To be called now and then: they wait here.
    pub fn take_ended(&mut self) -> Vec<(TrackSid, VideoFigures)> {
        std::mem::take(&mut self.ended)
    }

    /// Of a track that has not left the recording yet.
    pub fn video_counters(&self, sid: &TrackSid) -> Option<VideoCounters> {
        let mut videos = self.videos.iter().rev();
        videos.find(|v| v.sid == *sid).map(VideoState::counters)
    }

    /// Of all tracks of the recording together, present and past.
    pub fn total_video_counters(&self) -> VideoCounters {
        let present = self.videos.iter().map(VideoState::counters);
        present.fold(self.past, VideoCounters::and)
    }

    /// Of a track that has not left the recording yet.
    pub fn voice_counters(&self, sid: &TrackSid) -> Option<VoiceCounters> {
        self.mixer.counters(sid)
    }

    /// The publication of the track that is not over; one that is may still wait for its last tick.
    fn video(&mut self, sid: &TrackSid) -> Option<&mut VideoState> {
        self.videos.iter_mut().find(|video| video.sid == *sid && !video.is_leaving())
    }

    fn forget_removed_videos(&mut self) {
        for video in self.videos.extract_if(.., |video| video.is_removed()) {
            self.past = self.past.and(video.counters());
            self.ended.push((video.sid.clone(), video.figures()));
        }
    }

    /// Audio frames that belong to the first `ticks` ticks.
    fn frames_before(&self, ticks: u64) -> u64 {
        ticks * u64::from(AUDIO_RATE) / u64::from(self.frame_rate)
    }
}

fn shown(video: &VideoState) -> Option<Shown<'_>> {
    let picture = video.shown()?;
    Some(Shown { id: video.id, source: video.source, image: &picture.image })
}
