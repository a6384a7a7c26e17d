//! Owns how a position in a list is written into a URL: in a list of recordings, or in a list with numbers.
//! Pure.
//!
//! Contract: a cursor is opaque to callers, and only a cursor that was written here is read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::front::http::problem::Problem;
use crate::store::Position;

/// Precedes a number, so that a cursor of one list is not read as a cursor of another.
const NUMBER: &str = "number";

pub fn write(position: &Position) -> String {
    let Position { started_at, egress_id } = position;
    URL_SAFE_NO_PAD.encode(format!("{} {egress_id}", started_at.as_millisecond()))
}

/// Returns `None` if the text is not a cursor that `write` made.
pub fn read(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (millis, id) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    let started_at = Timestamp::from_millisecond(millis.parse().ok()?).ok()?;
    Some(Position { started_at, egress_id: id.parse().ok()? })
}

pub fn write_number(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{NUMBER} {number}"))
}

/// Returns `None` if the text is not a cursor that `write_number` made.
pub fn read_number(text: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (word, number) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    (word == NUMBER).then(|| number.parse().ok())?
}

/// Returns the problem for a cursor that cannot be read.
pub fn refusal() -> Problem {
    Problem::bad_request("cursor must be the nextCursor of an earlier answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EgressId;

    #[test]
    fn what_is_written_is_read() {
        let started_at = "2024-04-21T10:00:00.123Z".parse().unwrap();
        let position = Position { started_at, egress_id: EgressId::random() };
        let text = write(&position);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(read(&text), Some(position));
    }

    #[test]
    fn a_number_is_read_as_it_was_written_and_not_as_a_place_of_another_list() {
        assert_eq!(read_number(&write_number(7)), Some(7));
        assert_eq!(read(&write_number(7)), None);
        let started_at = "2024-04-21T10:00:00.123Z".parse().unwrap();
        assert_eq!(read_number(&write(&Position { started_at, egress_id: EgressId::random() })), None);
        assert_eq!(read_number(&URL_SAFE_NO_PAD.encode("number -7")), None);
    }

    #[test]
    fn what_is_no_cursor_is_not_read() {
        let made_up = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let cases = [
            String::new(),
            "x".to_owned(),
            "%%%".to_owned(),
            made_up("1713693600123"),
            made_up("now EG_abcdefghijkl"),
            made_up("1713693600123 EG_"),
            made_up("9223372036854775807 EG_abcdefghijkl"),
        ];
        for text in cases {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
