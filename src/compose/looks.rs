//! What a tile shows at the moment: picture, notice or initials, and the decorations on it.

use crate::media::{Decorations, VideoSource};

use super::room_state::{RoomState, TileId, Track};
use super::tile::{Content, Shown};
use super::video::{Showing, VideoState};

/// Returns `None` for a tile that does not exist (any more). `videos` are in the order of their tiles.
pub(super) fn look_of<'a>(
    id: TileId,
    room: &'a RoomState,
    videos: &'a [VideoState],
    decorations: &Decorations,
) -> Option<Shown<'a>> {
    let (identity, source, content) = match room.active_tracks().find(|track| track.id == id) {
        Some(track) => (track.publisher.as_str(), track.source, content_of(track, videos)?),
        None => {
            let person = room.people().find(|person| TileId::of_person(person.order) == id)?;
            let initials = Content::Initials(room.name_of(&person.identity));
            (person.identity.as_str(), VideoSource::Camera, initials)
        }
    };
    Some(Shown {
        content,
        name: decorations.names.then(|| room.name_of(identity)),
        speaks: decorations.speaker_border && source == VideoSource::Camera && room.speaks(identity),
    })
}

fn content_of<'a>(track: &Track, videos: &'a [VideoState]) -> Option<Content<'a>> {
    let video = &videos[videos.binary_search_by_key(&track.id, |video| video.id).ok()?];
    Some(match video.showing()? {
        Showing::Picture(picture) => Content::Picture { picture, source: track.source },
        Showing::Label(label) => Content::Notice(label),
    })
}
