//! One video track in figures for the quality report: its pictures, and its time in the frame. Knows nothing
//! of its place in the frame.
//!
//! A freeze is a time in which a camera in the frame, unmuted, sends no new picture for more than half a
//! second. All of that time counts, from the tick of the last picture on. A screen share has no freezes: a
//! screen on which nothing changes sends nothing, which looks the same as a loss of all packets.

use std::time::Duration;

use crate::media::{MediaTime, Size, VideoSource};

/// A shorter pause does not count as a freeze. Cameras in the dark go down to 5 pictures a second.
const FREEZE: Duration = Duration::from_millis(500);
/// A shared window that is resized by hand would make an endless list.
const SIZES_MAX: usize = 32;

/// What happened to a track's pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoCounters {
    /// Pictures that were shown for at least one tick.
    pub shown: u64,
    /// Pictures that were replaced by a newer one before the next tick.
    pub skipped: u64,
    /// Pictures that were captured while the track was muted, or while the layout did not show it.
    pub hidden: u64,
    /// The SFU's blank pictures, and broken ones.
    pub unusable: u64,
}

/// All figures of a track at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoFigures {
    pub counters: VideoCounters,
    /// The time in the frame.
    pub seen: Duration,
    /// How much of this time was frozen.
    pub frozen: Duration,
    pub longest_freeze: Option<Freeze>,
    /// The sizes of the pictures before they were turned upright, with their counts, in the order of first
    /// appearance. After 32 sizes, further ones are not listed.
    pub sizes: Vec<(Size, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub from: MediaTime,
    pub length: Duration,
}

/// Counts the figures of one track, tick by tick.
#[derive(Debug)]
pub(super) struct FigureCounter {
    /// Determines the length of a tick.
    frame_rate: u32,
    freezes: bool,
    counters: VideoCounters,
    seen: u64,
    frozen: u64,
    /// The present picture, while the track is in the frame.
    present: Option<PictureRun>,
    longest: Option<PictureRun>,
    sizes: Vec<(Size, u64)>,
}

/// A run of ticks with one picture.
#[derive(Clone, Copy, Debug)]
struct PictureRun {
    from: MediaTime,
    ticks: u64,
}

/// What a track showed at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// The track is not in the frame.
    Absent,
    /// The track is not in the frame, but a new picture came.
    UnseenPicture,
    /// The track is in the frame with a new picture.
    NewPicture,
    SamePicture,
}

impl VideoCounters {
    /// Returns the sum of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            shown: self.shown + other.shown,
            skipped: self.skipped + other.skipped,
            hidden: self.hidden + other.hidden,
            unusable: self.unusable + other.unusable,
        }
    }
}

impl FigureCounter {
    pub(super) fn new(source: VideoSource, frame_rate: u32) -> Self {
        Self {
            frame_rate,
            freezes: source == VideoSource::Camera,
            counters: VideoCounters::default(),
            seen: 0,
            frozen: 0,
            present: None,
            longest: None,
            sizes: Vec::new(),
        }
    }

    pub(super) fn came(&mut self, size: Size) {
        if let Some((_, pictures)) = self.sizes.iter_mut().find(|(known, _)| *known == size) {
            *pictures += 1;
        } else if self.sizes.len() < SIZES_MAX {
            self.sizes.push((size, 1));
        }
    }

    pub(super) fn unusable(&mut self) {
        self.counters.unusable += 1;
    }

    pub(super) fn skipped(&mut self) {
        self.counters.skipped += 1;
    }

    pub(super) fn hidden(&mut self) {
        self.counters.hidden += 1;
    }

    /// Counts the tick at `now`.
    pub(super) fn tick(&mut self, visibility: Visibility, now: MediaTime) {
        match visibility {
            Visibility::NewPicture => self.counters.shown += 1,
            Visibility::UnseenPicture => self.counters.hidden += 1,
            Visibility::SamePicture | Visibility::Absent => {}
        }
        self.present = match (visibility, self.present) {
            (Visibility::Absent | Visibility::UnseenPicture, _) => None,
            (Visibility::SamePicture, Some(run)) => Some(PictureRun { ticks: run.ticks + 1, ..run }),
            (Visibility::NewPicture, _) | (Visibility::SamePicture, None) => {
                Some(PictureRun { from: now, ticks: 1 })
            }
        };
        let Some(run) = self.present else { return };
        self.seen += 1;
        if self.freezes && self.time_of(run.ticks) > FREEZE {
            self.freeze(run);
        }
    }

    pub(super) fn figures(&self) -> VideoFigures {
        VideoFigures {
            counters: self.counters,
            seen: self.time_of(self.seen),
            frozen: self.time_of(self.frozen),
            longest_freeze: self
                .longest
                .map(|run| Freeze { from: run.from, length: self.time_of(run.ticks) }),
            sizes: self.sizes.clone(),
        }
    }

    fn freeze(&mut self, run: PictureRun) {
        let was_frozen = self.time_of(run.ticks - 1) > FREEZE;
        self.frozen += if was_frozen { 1 } else { run.ticks };
        if self.longest.is_none_or(|longest| run.ticks >= longest.ticks) {
            self.longest = Some(run);
        }
    }

    fn time_of(&self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks * 1_000_000_000 / u64::from(self.frame_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Visibility::{Absent, NewPicture, SamePicture};

    fn figures_of(source: VideoSource, runs: &[(Visibility, u64)]) -> VideoFigures {
        let mut counter = FigureCounter::new(source, 30);
        let each = runs.iter().flat_map(|&(visibility, ticks)| (0..ticks).map(move |_| visibility));
        for (tick, visibility) in each.enumerate() {
            counter.tick(visibility, MediaTime::from_nanos(tick as i64 * 1_000_000_000 / 30));
        }
        counter.figures()
    }

    #[test]
    fn pictures_twice_a_second_are_no_freeze() {
        let twice = [(NewPicture, 1), (SamePicture, 14)].repeat(10);
        let figures = figures_of(VideoSource::Camera, &twice);
        assert_eq!(figures.seen, Duration::from_secs(5));
        assert_eq!((figures.frozen, figures.longest_freeze), (Duration::ZERO, None));
    }

    #[test]
    fn a_freeze_counts_whole_from_its_last_picture_on_and_the_longest_is_told() {
        let runs = [
            (NewPicture, 30),
            (SamePicture, 29),
            (NewPicture, 30),
            (SamePicture, 59),
            (NewPicture, 1),
            (SamePicture, 14),
        ];
        let figures = figures_of(VideoSource::Camera, &runs);
        assert_eq!(figures.frozen, Duration::from_secs(3));
        let longest = figures.longest_freeze.unwrap();
        assert_eq!(longest.length, Duration::from_secs(2));
        assert_eq!(longest.from, MediaTime::from_nanos(88 * 1_000_000_000 / 30));
    }

    #[test]
    fn time_off_the_picture_is_neither_seen_nor_frozen() {
        let figures = figures_of(VideoSource::Camera, &[(NewPicture, 10), (Absent, 300), (SamePicture, 10)]);
        assert_eq!(figures.seen, Duration::from_nanos(20 * 1_000_000_000 / 30));
        assert_eq!(figures.frozen, Duration::ZERO);
    }

    #[test]
    fn a_still_screen_share_is_not_frozen() {
        let figures = figures_of(VideoSource::ScreenShare, &[(NewPicture, 1), (SamePicture, 299)]);
        assert_eq!(figures.seen, Duration::from_secs(10));
        assert_eq!(figures.frozen, Duration::ZERO);
    }

    #[test]
    fn sizes_are_listed_as_they_first_came_and_never_without_end() {
        let mut counter = FigureCounter::new(VideoSource::Camera, 30);
        let size = |width| Size { width, height: 90 };
        for width in [160, 320, 160].into_iter().chain(1000..2000) {
            counter.came(size(width));
        }
        let sizes = counter.figures().sizes;
        assert_eq!(sizes[..3], [(size(160), 2), (size(320), 1), (size(1000), 1)]);
        assert_eq!(sizes.len(), SIZES_MAX);
    }
}
