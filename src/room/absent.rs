//! The tracks that were there before the connection to the server was lost and have not come back since. Pure.
//!
//! A server that was restarted has an empty room at first, and its clients need some seconds to come back, with
//! new tracks in the place of the old ones. Until then an old track is as it was: its picture stays, frozen.

use crate::ids::TrackSid;
use crate::media::TrackKind;

use super::roster::PublishedTrack;

#[derive(Default)]
pub struct Absent {
    tracks: Vec<AbsentTrack>,
}

struct AbsentTrack {
    track: PublishedTrack,
    /// The track that is to be seen in its place as soon as it has a picture.
    successor: Option<TrackSid>,
}

impl Absent {
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    pub fn add(&mut self, tracks: impl IntoIterator<Item = PublishedTrack>) {
        self.tracks.extend(tracks.into_iter().map(|track| AbsentTrack { track, successor: None }));
    }

    /// The track itself has come back.
    pub fn returned(&mut self, sid: &str) -> Option<PublishedTrack> {
        let at = self.tracks.iter().position(|absent| absent.track.sid.as_str() == sid)?;
        Some(self.tracks.remove(at).track)
    }

    /// `new` comes in the place of a track, if it is of the same kind and shows the same thing: it takes over that
    /// one's place in the order.
    pub fn succeed(&mut self, new: &mut PublishedTrack) -> Succession {
        let mut free = self.tracks.iter_mut().enumerate().filter(|(_, absent)| absent.successor.is_none());
        let Some((at, old)) = free.find(|(_, absent)| is_in_place_of(new, &absent.track)) else {
            return Succession::None;
        };
        new.order = old.track.order;
        // Sound cannot freeze, and a muted track has no picture that could take over.
        if new.kind == TrackKind::Audio || new.muted {
            return Succession::AtOnce(self.tracks.remove(at).track.sid);
        }
        old.successor = Some(new.sid.clone());
        Succession::WithItsFirstPicture
    }

    /// A picture of `sid` is there; the track in whose place it came is over.
    pub fn succeeded(&mut self, sid: &TrackSid) -> Option<TrackSid> {
        let at = self.tracks.iter().position(|absent| absent.successor.as_ref() == Some(sid))?;
        Some(self.tracks.remove(at).track.sid)
    }

    /// The publisher has left for good.
    pub fn gone(&mut self, publisher: &str) -> Vec<TrackSid> {
        let gone = self.tracks.extract_if(.., |absent| absent.track.publisher == publisher);
        gone.map(|absent| absent.track.sid).collect()
    }

    /// They have had time enough.
    pub fn give_up(&mut self) -> Vec<TrackSid> {
        std::mem::take(&mut self.tracks).into_iter().map(|absent| absent.track.sid).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Succession {
    /// Nothing is absent in whose place it could come.
    None,
    WithItsFirstPicture,
    /// That track is over.
    AtOnce(TrackSid),
}

fn is_in_place_of(new: &PublishedTrack, old: &PublishedTrack) -> bool {
    let same_thing = new.kind == TrackKind::Audio || new.source == old.source;
    new.publisher == old.publisher && new.kind == old.kind && same_thing
}
