//! Whatever happens in a room, in whatever order: tiles never overlap, never leave the frame, every active
//! track is seen exactly once, the frame looks as if it had been drawn from scratch, and every tick is one
//! frame.

use proptest::prelude::*;

use super::*;
use crate::compose::plan::Seat;
use crate::media::Participant;

const PEOPLE: u8 = 6;
/// Longer than any wait: 0.5 s for pictures that were not asked for.
const QUIET_TICKS: usize = 20;

#[derive(Clone, Debug)]
enum Event {
    Join(u8),
    Leave(u8),
    Publish(u8, VideoSource),
    Unpublish(u8, VideoSource),
    Mute(u8, VideoSource, bool),
    Picture(u8, VideoSource, u8),
    Undecodable(u8, VideoSource),
    Speakers(Vec<u8>),
    View(View),
    Ticks(u8),
}

#[derive(Clone, Debug)]
struct Story {
    frame: Size,
    decorated: bool,
    events: Vec<Event>,
}

fn stories() -> impl Strategy<Value = Story> {
    let frame = prop_oneof![Just(size(320, 180)), Just(size(180, 320)), Just(size(66, 98)), Just(size(2, 2))];
    let events = prop::collection::vec(event(), 1..80);
    (frame, any::<bool>(), events).prop_map(|(frame, decorated, events)| Story { frame, decorated, events })
}

fn event() -> impl Strategy<Value = Event> {
    let source = || prop_oneof![4 => Just(VideoSource::Camera), 1 => Just(VideoSource::ScreenShare)];
    let person = || 0..PEOPLE;
    prop_oneof![
        1 => person().prop_map(Event::Join),
        1 => person().prop_map(Event::Leave),
        4 => (person(), source()).prop_map(|(who, what)| Event::Publish(who, what)),
        2 => (person(), source()).prop_map(|(who, what)| Event::Unpublish(who, what)),
        3 => (person(), source(), any::<bool>()).prop_map(|(who, what, muted)| Event::Mute(who, what, muted)),
        8 => (person(), source(), any::<u8>()).prop_map(|(who, what, seed)| Event::Picture(who, what, seed)),
        1 => (person(), source()).prop_map(|(who, what)| Event::Undecodable(who, what)),
        3 => prop::collection::vec(person(), 0..3).prop_map(Event::Speakers),
        2 => view().prop_map(Event::View),
        8 => (1..20_u8).prop_map(Event::Ticks),
    ]
}

fn view() -> impl Strategy<Value = View> {
    let layout = prop_oneof![Just(Layout::Grid), Just(Layout::Speaker), Just(Layout::SingleSpeaker)];
    let theme = prop_oneof![Just(Theme::Dark), Just(Theme::Light)];
    let fit = prop_oneof![Just(FitChoice::ByShape), Just(FitChoice::Cover), Just(FitChoice::Contain)];
    (layout, theme, fit).prop_map(|(layout, theme, fit)| View { layout, theme, fit })
}

/// Returns a picture whose size, rotation and colour depend on the seed.
fn picture(seed: u8, at: MediaTime) -> crate::media::Picture {
    let sizes = [size(64, 36), size(36, 64), size(63, 35), size(160, 90), size(8, 8), size(48, 48)];
    let turns = [Rotation::Upright, Rotation::Upright, Rotation::By90, Rotation::By180, Rotation::By270];
    let image = Image::plain(sizes[seed as usize % 6], [16 + seed / 2, seed, 255 - seed]);
    image.turned(turns[seed as usize / 6 % 5], at)
}

fn name_of(person: u8) -> String {
    format!("P{person}")
}

fn sid_of(person: u8, source: VideoSource) -> crate::ids::TrackSid {
    sid(&format!("TR_{person}_{source:?}"))
}

/// The composer, and the room that its frames should show.
struct Play {
    frame: Size,
    composer: Composer,
    view: View,
    /// The published tracks, and whether each is muted.
    tracks: Vec<(u8, VideoSource, bool)>,
    ticks: u64,
}

impl Play {
    fn new(story: &Story) -> Self {
        let decorations =
            Decorations { names: story.decorated, speaker_border: story.decorated, ..Decorations::default() };
        let composer = Composer::new(ComposeOptions { decorations, ..options(story.frame, 30) }).unwrap();
        Self { frame: story.frame, composer, view: View::default(), tracks: Vec::new(), ticks: 0 }
    }

    fn tell(&mut self, event: &Event) {
        let at = self.composer.next_tick_time();
        match event {
            Event::Join(who) => {
                let (identity, name) = (name_of(*who), format!("Name of {who}"));
                self.composer.add_participant(Participant { identity, name, order: (*who).into() }, at);
            }
            Event::Leave(who) => self.composer.remove_participant(&name_of(*who), at),
            Event::Publish(who, source) => {
                let (sid, order) = (sid_of(*who, *source), u64::from(*who));
                self.composer
                    .add_video(VideoTrack { sid, publisher: name_of(*who), source: *source, order }, at);
                if !self.tracks.iter().any(|(w, s, _)| (w, s) == (who, source)) {
                    self.tracks.push((*who, *source, false));
                }
            }
            Event::Unpublish(who, source) => {
                self.composer.remove_video(&sid_of(*who, *source), at);
                self.tracks.retain(|(w, s, _)| (w, s) != (who, source));
            }
            Event::Mute(who, source, muted) => {
                self.composer.set_video_muted(&sid_of(*who, *source), *muted, at);
                let track = self.tracks.iter_mut().find(|(w, s, _)| (w, s) == (who, source));
                track.into_iter().for_each(|track| track.2 = *muted);
            }
            Event::Picture(who, source, seed) => {
                self.composer.picture(&sid_of(*who, *source), picture(*seed, at));
            }
            Event::Undecodable(who, source) => {
                self.composer.set_placeholder(&sid_of(*who, *source), "cannot be decoded", at);
            }
            Event::Speakers(who) => {
                let speaker = |who: &u8| Speaker { identity: name_of(*who), level: 0.5 };
                self.composer.set_speakers(&who.iter().map(speaker).collect::<Vec<_>>(), at);
            }
            Event::View(view) => {
                self.view = *view;
                self.composer.set_view(*view, at);
            }
            Event::Ticks(number) => (0..*number).for_each(|_| self.tick()),
        }
    }

    fn tick(&mut self) {
        let bytes = self.composer.canvas().len();
        let tick = self.composer.tick();
        assert_eq!((tick.index, tick.canvas.len()), (self.ticks, bytes));
        self.ticks += 1;
        self.check_seats();
    }

    fn check_seats(&self) {
        let (seats, frame) = (self.composer.seats(), self.frame);
        for (index, &Seat { id, cell }) in seats.iter().enumerate().filter(|(_, seat)| !seat.cell.is_empty())
        {
            assert!(cell.x + cell.width <= frame.width && cell.y + cell.height <= frame.height, "{cell:?}");
            for other in &seats[..index] {
                assert_ne!(other.id, id);
                let apart = other.cell.x + other.cell.width <= cell.x
                    || cell.x + cell.width <= other.cell.x
                    || other.cell.y + other.cell.height <= cell.y
                    || cell.y + cell.height <= other.cell.y;
                assert!(apart || other.cell.is_empty(), "{cell:?} and {:?} overlap", other.cell);
            }
        }
    }

    /// Lets all active tracks send pictures, without any other event, until nothing is waited for any more.
    fn settle(&mut self) {
        for _ in 0..QUIET_TICKS {
            for (who, source, _) in self.tracks.clone() {
                let at = self.composer.next_tick_time();
                let colour = [100 + who, 90, 200];
                let image = Image::plain(size(64, 36), colour).at(at);
                self.composer.picture(&sid_of(who, source), image);
            }
            self.tick();
        }
    }

    fn check_who_is_seen(&self) {
        let mut seen: Vec<String> = self.composer.cells().map(|(sid, _)| sid.to_string()).collect();
        seen.sort();
        let active = self.tracks.iter().filter(|(.., muted)| !muted);
        let mut active: Vec<String> =
            active.map(|(who, source, _)| sid_of(*who, *source).to_string()).collect();
        active.sort();
        match self.view.layout {
            Layout::Grid | Layout::Speaker => assert_eq!(seen, active),
            Layout::SingleSpeaker => {
                assert_eq!(seen.len(), active.len().min(1));
                assert!(seen.iter().all(|sid| active.contains(sid)));
            }
        }
        let mut wanted: Vec<String> = self.composer.wanted().map(|(sid, _)| sid.to_string()).collect();
        wanted.sort();
        assert!(wanted.windows(2).all(|pair| pair[0] != pair[1]));
        let empty = |sid: &String| {
            let mut cells = self.composer.cells();
            cells.any(|(cell, size)| cell.as_str() == sid && (size.width == 0 || size.height == 0))
        };
        assert!(seen.iter().all(|sid| wanted.contains(sid) || empty(sid)), "{seen:?}, {wanted:?}");
    }

    /// Checks that the frame, which was drawn piece by piece, equals the one that is drawn from scratch.
    fn check_picture(&self) {
        let drawn = self.composer.drawn_anew();
        assert!(drawn == self.composer.canvas(), "something old is left on the frame");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_happens_every_active_track_is_seen_once_and_nothing_overlaps(story in stories()) {
        let mut play = Play::new(&story);
        for event in &story.events {
            play.tell(event);
        }
        play.settle();
        play.check_who_is_seen();
        play.check_picture();
        let counted = play.ticks;
        assert_eq!(play.composer.next_tick_time(), at_tick_rounded_up(counted));
    }
}

fn at_tick_rounded_up(tick: u64) -> MediaTime {
    MediaTime::from_nanos((tick * 1_000_000_000).div_ceil(30) as i64)
}
