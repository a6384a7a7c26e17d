//! Owns how a place in the list of recordings is written in an address. Pure.
//!
//! Contract: callers see letters that mean nothing to them, and only what was written here is read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::api::recorder::Position;

pub fn write(position: &Position) -> String {
    let Position { started_at, egress_id } = position;
    URL_SAFE_NO_PAD.encode(format!("{} {egress_id}", started_at.as_millisecond()))
}

/// `None`: it is no cursor of ours.
pub fn read(text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (millis, id) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    let started_at = Timestamp::from_millisecond(millis.parse().ok()?).ok()?;
    Some(Position { started_at, egress_id: id.parse().ok()? })
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
