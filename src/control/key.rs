//! The object key of a recording. Pure.
//!
//! Contract: `{room}/{startedAt in UTC}.mp4`; where a key is taken, `-2`, `-3` ... goes before `.mp4`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ids::RoomName;
use crate::storage::{InvalidKey, ObjectKey};

const EXTENSION: &str = ".mp4";

/// The key that a recording of this room asks for.
pub fn wanted(room: &RoomName, started_at: Timestamp) -> String {
    let utc = started_at.to_zoned(TimeZone::UTC);
    format!("{room}/{}{EXTENSION}", utc.strftime("%Y-%m-%dT%H-%M-%S"))
}

/// The `n`th choice for a recording that was given `key`; the first is the key itself.
pub fn nth_choice(key: &str, n: u32) -> Result<ObjectKey, InvalidKey> {
    if n <= 1 {
        return key.parse();
    }
    let stem = key.strip_suffix(EXTENSION).unwrap_or(key);
    // The database may have given it a number already: `-2` is followed by `-3`, not by `-2-2`.
    let (stem, first) = match stem.rsplit_once('-') {
        Some((front, number)) if is_suffix(stem, number) => (front, number.parse().unwrap_or(1)),
        Some(_) | None => (stem, 1_u32),
    };
    format!("{stem}-{}{EXTENSION}", first.saturating_add(n - 1)).parse()
}

/// Tells `...T10-00-00-2` from `...T10-00-00`: the time itself ends in two digits after a dash, and a
/// suffix stands behind three such groups.
fn is_suffix(stem: &str, number: &str) -> bool {
    let name = stem.rsplit('/').next().unwrap_or(stem);
    let time = name.split_once('T').map_or("", |(_, time)| time);
    time.split('-').count() == 4 && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_room_and_the_second_of_the_start() {
        let at = "2024-04-21T10:00:00.999Z".parse().unwrap();
        let room = "room-abc".parse().unwrap();
        assert_eq!(wanted(&room, at), "room-abc/2024-04-21T10-00-00.mp4");
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
    }
}
