//! The `filepath` of a start: a template of the object's key. Pure.
//!
//! Contract: for any template and room name, the result is a relative path of ordinary names that ends in
//! `.mp4`. It is short enough that a number can be inserted before the extension.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ids::{EgressId, RoomName, RoomSid};

const EXTENSION: &str = ".mp4";
/// The longest key that S3 takes.
pub const KEY_BYTES: usize = 1024;
/// The most bytes before the extension if the name is taken: a dash and a number.
const NUMBER_BYTES: usize = 11;
/// The longest name that file systems accept, less the number. A local folder's recordings need this.
const NAME_BYTES: usize = 255 - NUMBER_BYTES;

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filepath(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    RoomName,
    RoomId,
    EgressId,
    Time,
    Utc,
}

/// The values of the placeholders for one recording.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub room: &'a RoomName,
    /// LiveKit's id of the room's present session (`RM_...`).
    pub room_sid: &'a RoomSid,
    pub egress_id: &'a EgressId,
    pub started_at: Timestamp,
}

/// The fault of a template, or of the key that it makes; users see it as the fault of `filepath`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilepath {
    #[error("must have 1 to {KEY_BYTES} bytes, this one has {len}")]
    Length { len: usize },
    #[error("must be short enough to have at most {max} bytes as a key, not {len}", max = KEY_BYTES - NUMBER_BYTES)]
    Expanded { len: usize },
    #[error("must not begin with a slash: it is relative to the bucket")]
    Absolute,
    #[error("must not have two slashes in a row")]
    EmptyPart,
    #[error("must not have a part that is \".\" or \"..\"")]
    Dots,
    #[error("must not have a part of more than {NAME_BYTES} bytes")]
    LongPart,
    #[error("must not have a folder whose name ends in {EXTENSION}: it could take a recording's place")]
    FolderLikeAFile,
    #[error("must not contain control characters")]
    ControlCharacter,
    #[error("must not contain a backslash: parts are separated by slashes")]
    Backslash,
    #[error("must have no other braces than {{room_name}}, {{room_id}}, {{egress_id}}, {{time}} and {{utc}}")]
    Braces,
}

impl FromStr for Filepath {
    type Err = InvalidFilepath;

    fn from_str(text: &str) -> Result<Self, InvalidFilepath> {
        if text.is_empty() || text.len() > KEY_BYTES {
            return Err(InvalidFilepath::Length { len: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidFilepath::ControlCharacter);
        }
        if text.contains('\\') {
            return Err(InvalidFilepath::Backslash);
        }
        check_parts(text.strip_suffix('/').unwrap_or(text))?;
        pieces(text).map(Self)
    }
}

impl Filepath {
    /// Returns the key that a recording asks for.
    pub fn expand(&self, facts: Facts<'_>) -> Result<String, InvalidFilepath> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(placeholder) => placeholder.stands_for(facts),
        };
        let mut key: String = self.0.iter().map(text).collect();
        if key.ends_with('/') {
            key.push_str(&timestamp(facts.started_at));
        }
        if !key.ends_with(EXTENSION) {
            key.push_str(EXTENSION);
        }
        if key.len() > KEY_BYTES - NUMBER_BYTES {
            return Err(InvalidFilepath::Expanded { len: key.len() });
        }
        check_parts(&key)?;
        Ok(key)
    }
}

/// Returns a recording's start as used in names: in UTC, without colons, which some file systems do not
/// accept.
pub fn timestamp(started_at: Timestamp) -> String {
    started_at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H-%M-%S").to_string()
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "room_name" => Self::RoomName,
            "room_id" => Self::RoomId,
            "egress_id" => Self::EgressId,
            "time" => Self::Time,
            "utc" => Self::Utc,
            _ => return None,
        })
    }

    /// Times have the format of LiveKit's egress (2006-01-02T150405 and 20060102150405000), both in UTC.
    fn stands_for(self, facts: Facts<'_>) -> String {
        let Facts { room, room_sid, egress_id, started_at } = facts;
        let utc = started_at.to_zoned(TimeZone::UTC);
        match self {
            Self::RoomName => room.to_string(),
            Self::RoomId => room_sid.to_string(),
            Self::EgressId => egress_id.to_string(),
            Self::Time => utc.strftime("%Y-%m-%dT%H%M%S").to_string(),
            Self::Utc => utc.strftime("%Y%m%d%H%M%S%3f").to_string(),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, InvalidFilepath> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, braced) = rest.split_at(at);
        let (name, after) =
            braced.strip_prefix('{').and_then(|b| b.split_once('}')).ok_or(InvalidFilepath::Braces)?;
        let placeholder = Placeholder::named(name).ok_or(InvalidFilepath::Braces)?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Placeholder(placeholder));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn check_parts(path: &str) -> Result<(), InvalidFilepath> {
    if path.is_empty() || path.starts_with('/') {
        return Err(InvalidFilepath::Absolute);
    }
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    if folders.split('/').any(|folder| folder.ends_with(EXTENSION)) {
        return Err(InvalidFilepath::FolderLikeAFile);
    }
    for part in path.split('/') {
        match part {
            "" => return Err(InvalidFilepath::EmptyPart),
            "." | ".." => return Err(InvalidFilepath::Dots),
            long if long.len() > NAME_BYTES => return Err(InvalidFilepath::LongPart),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn expanded_in(room: &str, template: &str) -> Result<String, InvalidFilepath> {
        let egress_id = "EG_abcdefghijkl".parse().unwrap();
        let facts = Facts {
            room: &room.parse().unwrap(),
            room_sid: &RoomSid("RM_hhPaxz8zyzxs".into()),
            egress_id: &egress_id,
            started_at: "2024-04-21T10:00:05.678Z".parse().unwrap(),
        };
        template.parse::<Filepath>()?.expand(facts)
    }

    #[test]
    fn placeholders_stand_for_what_is_known_of_the_recording() {
        for (template, key) in [
            ("x.mp4", "x.mp4"),
            ("{room_name}/{time}.mp4", "daily/2024-04-21T100005.mp4"),
            ("a/{room_id}-{egress_id}", "a/RM_hhPaxz8zyzxs-EG_abcdefghijkl.mp4"),
            ("{utc}", "20240421100005678.mp4"),
            ("{room_name}{room_name}", "dailydaily.mp4"),
        ] {
            assert_eq!(expanded_in("daily", template).as_deref(), Ok(key), "{template}");
        }
    }

    #[test]
    fn a_folder_gets_a_file_with_the_time_and_a_name_its_extension() {
        assert_eq!(expanded_in("daily", "a/{room_name}/").as_deref(), Ok("a/daily/2024-04-21T10-00-05.mp4"));
        assert_eq!(expanded_in("daily", "a/b.mov").as_deref(), Ok("a/b.mov.mp4"));
    }

    #[test]
    fn what_is_no_path_inside_the_bucket_is_refused() {
        let cases = [
            ("", InvalidFilepath::Length { len: 0 }),
            ("/", InvalidFilepath::Absolute),
            ("/etc/passwd", InvalidFilepath::Absolute),
            ("//x", InvalidFilepath::Absolute),
            ("a//b", InvalidFilepath::EmptyPart),
            ("a//", InvalidFilepath::EmptyPart),
            ("..", InvalidFilepath::Dots),
            ("../", InvalidFilepath::Dots),
            ("a/../b", InvalidFilepath::Dots),
            ("./a", InvalidFilepath::Dots),
            ("a\\b", InvalidFilepath::Backslash),
            ("a\0b", InvalidFilepath::ControlCharacter),
            ("a\n", InvalidFilepath::ControlCharacter),
            ("a.mp4/b", InvalidFilepath::FolderLikeAFile),
            ("{room}", InvalidFilepath::Braces),
            ("{Room_name}", InvalidFilepath::Braces),
            ("{room_name", InvalidFilepath::Braces),
            ("room_name}", InvalidFilepath::Braces),
            ("{{time}}", InvalidFilepath::Braces),
            ("{room_name}.mp4/", InvalidFilepath::FolderLikeAFile),
        ];
        for (template, why) in cases {
            assert_eq!(expanded_in("daily", template), Err(why), "{template:?}");
        }
        let long = "x/".repeat(512) + "x";
        assert_eq!(expanded_in("daily", &long), Err(InvalidFilepath::Length { len: 1025 }));
        assert_eq!(expanded_in("daily", &"x".repeat(245)), Err(InvalidFilepath::LongPart));
    }

    #[test]
    fn a_key_is_short_enough_for_a_number_whatever_the_room_is_called() {
        let room = "r".repeat(200);
        let template = ["{room_name}"; 5].join("/");
        assert_eq!(expanded_in(&room, &template).map(|key| key.len()), Ok(1008));
        let template = ["{room_name}"; 6].join("/");
        assert_eq!(expanded_in(&room, &template), Err(InvalidFilepath::Expanded { len: 1209 }));
        assert_eq!(expanded_in(&"r".repeat(256), "a/{room_name}"), Err(InvalidFilepath::LongPart));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_in_its_folder_and_is_an_mp4(
            template in "([a./\\\\é ]|\\{room_name\\}|\\{time\\}){1,9}",
            room in "[a.\\\\é :]{1,5}",
        ) {
            prop_assume!(room.parse::<RoomName>().is_ok());
            if let Ok(key) = expanded_in(&room, &template) {
                let ordinary = |c: Component| matches!(c, Component::Normal(_));
                prop_assert!(Path::new(&key).components().all(ordinary), "{key}");
                prop_assert!(key.ends_with(EXTENSION) && !key.starts_with('/') && !key.contains("//"));
            }
        }
    }
}
