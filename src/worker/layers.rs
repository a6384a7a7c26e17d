//! What the SFU is told about each video track: the size at which it is shown, or that it is not. Pure: time is an
//! argument.
//!
//! A layout that goes to and fro must not drive the SFU from layer to layer, each of which begins with a keyframe. So
//! a track that needs more is given more at once, and one that needs less keeps what it has until it has needed less
//! for some time.

use std::collections::HashMap;
use std::time::Duration;

use crate::ids::TrackSid;
use crate::media::{MediaTime, Size};
use crate::room::RoomCommand;

/// How long a track must have needed less before it gets less: the stage of `speaker` changes hands faster.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Default)]
pub struct Layers {
    tracks: HashMap<TrackSid, Track>,
}

#[derive(Default)]
struct Track {
    /// Nothing comes anyway, and the SFU must be ready for when it does.
    muted: bool,
    /// Before anything is told, the SFU sends the largest layer.
    told: Option<Need>,
    /// Since when it has needed less than it gets.
    less_since: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    Shown(Size),
    Nothing,
}

impl Layers {
    pub fn add(&mut self, sid: TrackSid, muted: bool) {
        self.tracks.insert(sid, Track { muted, ..Track::default() });
    }

    pub fn set_muted(&mut self, sid: &TrackSid, muted: bool) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.muted = muted;
            track.less_since = None;
        }
    }

    pub fn remove(&mut self, sid: &TrackSid) {
        self.tracks.remove(sid);
    }

    /// The SFU has forgotten what it was told.
    pub fn tell_again(&mut self) {
        for track in self.tracks.values_mut() {
            track.told = None;
        }
    }

    /// What the SFU must be told now. `wanted` are the tracks that are needed, with the sizes of their pictures on the
    /// frame; those that are not in it are not needed.
    pub fn update<'a>(
        &mut self,
        wanted: impl Iterator<Item = (&'a TrackSid, Size)>,
        now: MediaTime,
    ) -> Vec<RoomCommand> {
        let wanted: HashMap<&TrackSid, Size> = wanted.collect();
        let command = |(sid, track): (&TrackSid, &mut Track)| {
            let need = wanted.get(sid).map_or(Need::Nothing, |size| Need::Shown(*size));
            track.tell(need, now).map(|need| need.command(sid))
        };
        self.tracks.iter_mut().filter_map(command).collect()
    }
}

impl Track {
    /// What is to be told, if anything.
    fn tell(&mut self, need: Need, now: MediaTime) -> Option<Need> {
        let settled = self.told == Some(need) || (self.muted && need == Need::Nothing);
        if settled {
            self.less_since = None;
            return None;
        }
        if !need.is_urgent(self.told) {
            let since = *self.less_since.get_or_insert(now);
            if now < since + PATIENCE {
                return None;
            }
        }
        self.less_since = None;
        self.told = Some(need);
        Some(need)
    }
}

impl Need {
    /// Whether the layer that comes may be too small for this, or was never chosen for it.
    fn is_urgent(self, told: Option<Self>) -> bool {
        match (self, told) {
            (Self::Shown(size), Some(Self::Shown(told))) => {
                size.width > told.width || size.height > told.height
            }
            (Self::Shown(_), Some(Self::Nothing) | None) => true,
            (Self::Nothing, _) => false,
        }
    }

    fn command(self, sid: &TrackSid) -> RoomCommand {
        match self {
            Self::Shown(size) => RoomCommand::ShownAt { sid: sid.clone(), size },
            Self::Nothing => RoomCommand::Hidden(sid.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Size = Size { width: 1280, height: 720 };
    const SMALL: Size = Size { width: 212, height: 132 };

    fn sid() -> TrackSid {
        TrackSid("TR_a".into())
    }

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    fn one_track() -> Layers {
        let mut layers = Layers::default();
        layers.add(sid(), false);
        layers
    }

    /// What is told of the one track, shortly.
    fn told(layers: &mut Layers, need: Option<Size>, at: i64) -> Option<Need> {
        let (sid, now) = (sid(), ms(at));
        let mut commands = layers.update(need.map(|size| (&sid, size)).into_iter(), now);
        assert!(commands.len() <= 1, "one command for one track");
        commands.pop().map(|command| match command {
            RoomCommand::ShownAt { size, .. } => Need::Shown(size),
            RoomCommand::Hidden(_) => Need::Nothing,
            RoomCommand::RequestKeyframe(_) => panic!("nobody asked for a keyframe"),
        })
    }

    #[test]
    fn a_size_is_told_at_once_and_only_once() {
        let mut layers = one_track();
        assert_eq!(told(&mut layers, Some(SMALL), 0), Some(Need::Shown(SMALL)));
        assert_eq!(told(&mut layers, Some(SMALL), 33), None);
        assert_eq!(told(&mut layers, Some(SMALL), 60_000), None);
    }

    #[test]
    fn more_is_told_at_once_and_less_only_after_a_while() {
        let mut layers = one_track();
        told(&mut layers, Some(SMALL), 0);
        assert_eq!(told(&mut layers, Some(LARGE), 100), Some(Need::Shown(LARGE)));
        assert_eq!(told(&mut layers, Some(SMALL), 1_000), None);
        assert_eq!(told(&mut layers, Some(SMALL), 4_999), None);
        assert_eq!(told(&mut layers, Some(SMALL), 5_000), Some(Need::Shown(SMALL)));
    }

    #[test]
    fn a_stage_that_goes_to_and_fro_changes_no_layer() {
        let mut layers = one_track();
        told(&mut layers, Some(LARGE), 0);
        for second in 1..60 {
            let need = if second % 4 == 0 { LARGE } else { SMALL };
            assert_eq!(told(&mut layers, Some(need), second * 1000), None, "after {second} s");
        }
    }

    #[test]
    fn a_track_that_is_not_shown_is_hidden_after_a_while_and_comes_back_at_once() {
        let mut layers = one_track();
        told(&mut layers, Some(LARGE), 0);
        assert_eq!(told(&mut layers, None, 1_000), None);
        assert_eq!(told(&mut layers, None, 5_000), Some(Need::Nothing));
        assert_eq!(told(&mut layers, None, 9_000), None);
        assert_eq!(told(&mut layers, Some(SMALL), 9_033), Some(Need::Shown(SMALL)));
    }

    #[test]
    fn a_track_that_was_never_shown_is_hidden_too() {
        let mut layers = one_track();
        assert_eq!(told(&mut layers, None, 0), None);
        assert_eq!(told(&mut layers, None, 4_000), Some(Need::Nothing));
    }

    #[test]
    fn a_muted_track_is_left_as_it_is_so_that_its_first_picture_is_not_late() {
        let mut layers = one_track();
        told(&mut layers, Some(SMALL), 0);
        layers.set_muted(&sid(), true);
        assert_eq!(told(&mut layers, None, 60_000), None);
        layers.set_muted(&sid(), false);
        assert_eq!(told(&mut layers, None, 60_100), None);
        assert_eq!(told(&mut layers, Some(SMALL), 60_200), None);
    }

    #[test]
    fn an_sfu_that_was_restarted_is_told_again() {
        let mut layers = one_track();
        told(&mut layers, Some(SMALL), 0);
        layers.tell_again();
        assert_eq!(told(&mut layers, Some(SMALL), 33), Some(Need::Shown(SMALL)));
    }

    #[test]
    fn of_a_track_that_went_nothing_is_told() {
        let mut layers = one_track();
        layers.remove(&sid());
        assert_eq!(told(&mut layers, Some(SMALL), 0), None);
        assert_eq!(told(&mut layers, None, 60_000), None);
    }
}
