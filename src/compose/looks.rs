//! What a tile shows at the moment: picture, notice or initials, and the decorations on it.

use crate::media::{Decorations, VideoSource};

use super::cast::{Cast, TileId, Track};
use super::tile::{Content, Shown};
use super::video::{Showing, VideoState};

/// Returns `None` for a tile that does not exist (any more). `videos` are in the order of their tiles.
pub(super) fn look_of<'a>(
    id: TileId,
    cast: &'a Cast,
    videos: &'a [VideoState],
    decorations: &Decorations,
) -> Option<Shown<'a>> {
    let (identity, source, content) = match cast.active_tracks().find(|track| track.id == id) {
        Some(track) => (track.publisher.as_str(), track.source, content_of(track, videos)?),
        None => {
            let person = cast.people().find(|person| TileId::of_person(person.order) == id)?;
            let initials = Content::Initials(cast.name_of(&person.identity));
            (person.identity.as_str(), VideoSource::Camera, initials)
        }
    };
    Some(Shown {
        content,
        name: decorations.names.then(|| cast.name_of(identity)),
        speaks: decorations.speaker_border && source == VideoSource::Camera && cast.speaks(identity),
    })
}

fn content_of<'a>(track: &Track, videos: &'a [VideoState]) -> Option<Content<'a>> {
    let video = &videos[videos.binary_search_by_key(&track.id, |video| video.id).ok()?];
    Some(match video.showing()? {
        Showing::Picture(picture) => Content::Picture { picture, source: track.source },
        Showing::Label(label) => Content::Notice(label),
    })
}
