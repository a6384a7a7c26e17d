//! The tracks that existed before the connection to the server was lost and have not come back since. Pure.
//!
//! A restarted server has an empty room at first. Its clients need some seconds to come back, with new tracks
//! in the place of the old ones. Until then an old track stays published, and its picture freezes.

use super::published::PublishedTrack;
use crate::ids::TrackSid;
use crate::media::TrackKind;

#[derive(Default)]
pub struct Absent {
    tracks: Vec<AbsentTrack>,
}

struct AbsentTrack {
    track: PublishedTrack,
    /// The track that replaces this one as soon as it has a picture.
    successor: Option<TrackSid>,
}

impl Absent {
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    pub fn add(&mut self, tracks: impl IntoIterator<Item = PublishedTrack>) {
        self.tracks.extend(tracks.into_iter().map(|track| AbsentTrack { track, successor: None }));
    }

    /// Removes and returns the absent track `sid`, which has come back itself.
    pub fn returned(&mut self, sid: &str) -> Option<PublishedTrack> {
        let at = self.tracks.iter().position(|absent| absent.track.sid.as_str() == sid)?;
        Some(self.tracks.remove(at).track)
    }

    /// Lets `new` replace an absent track of the same kind that shows the same thing. `new` takes over that
    /// track's place in the order.
    pub fn succeed(&mut self, new: &mut PublishedTrack) -> Succession {
        let mut free = self.tracks.iter_mut().enumerate().filter(|(_, absent)| absent.successor.is_none());
        let Some((at, old)) = free.find(|(_, absent)| is_in_place_of(new, &absent.track)) else {
            return Succession::None;
        };
        new.order = old.track.order;
        // Frozen sound makes no sense, and a muted track has no picture that could replace the old one.
        if new.kind == TrackKind::Audio || new.muted {
            return Succession::AtOnce(self.tracks.remove(at).track.sid);
        }
        old.successor = Some(new.sid.clone());
        Succession::WithItsFirstPicture
    }

    /// Takes note of the first picture of `sid`; returns the track that it replaces, which is over now.
    pub fn succeeded(&mut self, sid: &TrackSid) -> Option<TrackSid> {
        let at = self.tracks.iter().position(|absent| absent.successor.as_ref() == Some(sid))?;
        Some(self.tracks.remove(at).track.sid)
    }

    /// Removes and returns the tracks of a publisher who has left for good.
    pub fn gone(&mut self, publisher: &str) -> Vec<TrackSid> {
        let gone = self.tracks.extract_if(.., |absent| absent.track.publisher == publisher);
        gone.map(|absent| absent.track.sid).collect()
    }

    /// Removes and returns all absent tracks: they had time enough to come back.
    pub fn give_up(&mut self) -> Vec<TrackSid> {
        std::mem::take(&mut self.tracks).into_iter().map(|absent| absent.track.sid).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Succession {
    /// The new track replaces none.
    None,
    WithItsFirstPicture,
    /// The replaced track, which is over.
    AtOnce(TrackSid),
}

fn is_in_place_of(new: &PublishedTrack, old: &PublishedTrack) -> bool {
    let same_thing = new.kind == TrackKind::Audio || new.source == old.source;
    new.publisher == old.publisher && new.kind == old.kind && same_thing
}
