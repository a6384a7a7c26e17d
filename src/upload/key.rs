//! The object key of a recording. Pure.
//!
//! Contract: it is the key that the start asked for (`filepath`), or `{room}/{startedAt in UTC}.mp4`. If a
//! key is taken, `-2`, `-3` ... is put before `.mp4`. A store that refuses the key itself gets a plain key.

use sha2::{Digest, Sha256};

use crate::filepath::{self, Facts, Filepath, InvalidFilepath};
use crate::storage::{InvalidKey, ObjectKey};

/// From this choice on, keys are plain: any store accepts them. Fewer recordings than this begin in one
/// second.
pub const PLAIN: u32 = 1_000_001;

const EXTENSION: &str = ".mp4";
/// How many bytes a plain segment may have. File systems, and so MinIO, take names of 255 bytes. Some of them
/// are for what is put before and after the segment.
const PLAIN_BYTES: usize = 200;

/// Returns the key that a recording asks for.
pub fn wanted(asked: Option<&Filepath>, facts: Facts<'_>) -> Result<String, InvalidFilepath> {
    match asked {
        Some(template) => template.expand(facts),
        None => Ok(format!("{}/{}{EXTENSION}", facts.room, filepath::timestamp(facts.started_at))),
    }
}

/// Returns the `n`th choice of the recording that has reserved `key`. The first choice is the key itself.
pub fn nth_choice(key: &str, n: u32) -> Result<ObjectKey, InvalidKey> {
    if n >= PLAIN {
        return nth_choice(&plain(key), n - PLAIN + 1);
    }
    if n <= 1 {
        return key.parse();
    }
    let stem = key.strip_suffix(EXTENSION).unwrap_or(key);
    // The reserved key may have a number already: `-3` follows `-2`, and not `-2-2`.
    let (stem, first) = match stem.rsplit_once('-') {
        Some((front, number)) if is_suffix(stem, number) => (front, number.parse().unwrap_or(1)),
        Some(_) | None => (stem, 1_u32),
    };
    format!("{stem}-{}{EXTENSION}", first.saturating_add(n - 1)).parse()
}

/// Returns the key with plain segments. A segment that is plain already stays.
fn plain(key: &str) -> String {
    let stem = key.strip_suffix(EXTENSION).unwrap_or(key);
    stem.split('/').map(plain_segment).collect::<Vec<_>>().join("/") + EXTENSION
}

/// Adds a hash to a segment that has changed: otherwise two rooms could get the same segment.
fn plain_segment(segment: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let mut spelled: String = segment.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    spelled.truncate(spelled.floor_char_boundary(PLAIN_BYTES));
    match spelled == segment {
        true => spelled,
        false => format!("{spelled}~{}", hex::encode(&Sha256::digest(segment)[..4])),
    }
}

/// Returns whether `number` is the number of a key, as in `...T10-00-00-2`, and not the seconds of its time,
/// as in `...T10-00-00`. A number comes after three groups.
fn is_suffix(stem: &str, number: &str) -> bool {
    let name = stem.rsplit('/').next().unwrap_or(stem);
    let time = name.split_once('T').map_or("", |(_, time)| time);
    time.split('-').count() == 4 && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoomSid;

    #[test]
    fn the_key_is_the_room_and_the_second_of_the_start() {
        let facts = Facts {
            room: &"room-abc".parse().unwrap(),
            room_sid: &RoomSid("RM_1".into()),
            egress_id: &"EG_abcdefghijkl".parse().unwrap(),
            started_at: "2024-04-21T10:00:00.999Z".parse().unwrap(),
        };
        assert_eq!(wanted(None, facts).as_deref(), Ok("room-abc/2024-04-21T10-00-00.mp4"));
        let asked = "a/{room_name}/{room_id}".parse().unwrap();
        assert_eq!(wanted(Some(&asked), facts).as_deref(), Ok("a/room-abc/RM_1.mp4"));
    }

    #[test]
    fn a_taken_key_is_followed_by_numbered_ones() {
        let choice = |key: &str, n| nth_choice(key, n).unwrap().to_string();
        let key = "T-1-2-3/2024-04-21T10-00-00.mp4";
        assert_eq!(choice(key, 1), key);
        assert_eq!(choice(key, 2), "T-1-2-3/2024-04-21T10-00-00-2.mp4");
        assert_eq!(choice(key, 3), "T-1-2-3/2024-04-21T10-00-00-3.mp4");
        let numbered = "room/2024-04-21T10-00-00-2.mp4";
        assert_eq!(choice(numbered, 1), numbered);
        assert_eq!(choice(numbered, 2), "room/2024-04-21T10-00-00-3.mp4");
        assert_eq!(choice("a/latest.mp4", 2), "a/latest-2.mp4");
    }

    #[test]
    fn a_plain_key_is_one_that_any_store_takes() {
        let choice = |key: &str, n| nth_choice(key, n).unwrap().to_string();
        let name = "2024-04-21T10-00-00";
        let dots = format!("..\\..\\evil/{name}.mp4");
        assert_eq!(choice(&dots, 1), dots);
        assert_eq!(choice(&dots, PLAIN), format!(".._.._evil~65592c3f/{name}.mp4"));
        assert_eq!(choice(&dots, PLAIN + 1), format!(".._.._evil~65592c3f/{name}-2.mp4"));
        let long = choice(&format!("{}/{name}.mp4", "\u{20ac}".repeat(85)), PLAIN);
        assert!(long.split('/').all(|segment| segment.len() < 255), "{long}");
        let usual = format!("Z\u{fc}rich-1/{name}.mp4");
        assert_eq!(choice(&usual, PLAIN), usual);
        assert_eq!(choice("a/b:c.mp4", PLAIN + 1), "a/b_c~333edf7c-2.mp4");
    }

    #[test]
    fn plain_keys_of_different_rooms_are_different() {
        let spelled = |room: &str| nth_choice(&format!("{room}/x.mp4"), PLAIN).unwrap();
        assert_ne!(spelled("a\\b"), spelled("a:b"));
        assert_ne!(spelled(&"x".repeat(255)), spelled(&"x".repeat(256)));
    }
}
