//! Identifiers as types, each valid by construction. No I/O.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `EG_` and 12 characters of `[A-Za-z0-9]`, as LiveKit names its egresses.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EgressId(String);

/// `wh_` and 16 characters of `[A-Za-z0-9]`: random, or made from a name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookId(String);

/// A LiveKit room name that is fit to be the first part of an object key: 1 to 256 bytes of UTF-8,
/// no control characters, no `/`, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// LiveKit's id of a published track (`TR_...`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackSid(pub String);

/// LiveKit's id of a room from its beginning to its end (`RM_...`); the next one of the same name has another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomSid(pub String);

/// Why a string is not the id or name it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("expected {prefix} and {len} characters of A-Z, a-z and 0-9")]
    Form { prefix: &'static str, len: usize },
    #[error("a room name must have 1 to {max} bytes, this one has {len}", max = RoomName::MAX_BYTES)]
    Length { len: usize },
    #[error("a room name must not contain control characters")]
    ControlCharacter,
    #[error("a room name must not contain a slash")]
    Slash,
    #[error("a room name must be neither \".\" nor \"..\"")]
    Dots,
}

impl EgressId {
    const PREFIX: &str = "EG_";
    const RANDOM_LEN: usize = 12;

    /// A new id from the operating system's seeded cryptographic generator.
    pub fn random() -> Self {
        Self(random_id(Self::PREFIX, Self::RANDOM_LEN))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WebhookId {
    const PREFIX: &str = "wh_";
    const RANDOM_LEN: usize = 16;

    pub fn random() -> Self {
        Self(random_id(Self::PREFIX, Self::RANDOM_LEN))
    }

    /// The same for the same name, always.
    pub fn of_name(name: &str) -> Self {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let hash = Sha256::digest(name);
        let letters =
            hash.iter().take(Self::RANDOM_LEN).map(|&byte| LETTERS[usize::from(byte) % LETTERS.len()]);
        Self(Self::PREFIX.chars().chain(letters.map(char::from)).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomName {
    pub const MAX_BYTES: usize = 256;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TrackSid {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomSid {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EgressId {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        check_form(s, Self::PREFIX, Self::RANDOM_LEN).map(|()| Self(s.to_owned()))
    }
}

impl FromStr for WebhookId {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        check_form(s, Self::PREFIX, Self::RANDOM_LEN).map(|()| Self(s.to_owned()))
    }
}

impl FromStr for RoomName {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        if s.is_empty() || s.len() > Self::MAX_BYTES {
            return Err(InvalidId::Length { len: s.len() });
        }
        if s.chars().any(char::is_control) {
            return Err(InvalidId::ControlCharacter);
        }
        if s.contains('/') {
            return Err(InvalidId::Slash);
        }
        if s == "." || s == ".." {
            return Err(InvalidId::Dots);
        }
        Ok(Self(s.to_owned()))
    }
}

fn random_id(prefix: &str, len: usize) -> String {
    // `rand::rng()` is ChaCha12, seeded and reseeded by the operating system.
    let random = rand::rng().sample_iter(&Alphanumeric).take(len).map(char::from);
    prefix.chars().chain(random).collect()
}

fn check_form(s: &str, prefix: &'static str, len: usize) -> Result<(), InvalidId> {
    let random = s.strip_prefix(prefix).filter(|r| r.len() == len);
    match random {
        Some(r) if r.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(()),
        Some(_) | None => Err(InvalidId::Form { prefix, len }),
    }
}

macro_rules! string_conversions {
    ($($id:ident),+) => {$(
        impl TryFrom<String> for $id {
            type Error = InvalidId;
            fn try_from(s: String) -> Result<Self, InvalidId> { s.parse() }
        }
        impl From<$id> for String {
            fn from(id: $id) -> String { id.0 }
        }
    )+};
}
string_conversions!(EgressId, WebhookId, RoomName);

macro_rules! shown_as_string {
    ($($id:ident),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )+};
}
shown_as_string!(EgressId, WebhookId, RoomName, TrackSid, RoomSid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_egress_id_parses_as_one() {
        let id = EgressId::random();
        assert_eq!(id.as_str().len(), 15);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
    }

    #[test]
    fn a_webhook_id_of_a_name_is_one_and_stays_the_same() {
        let id = WebhookId::of_name("webhooks.billing");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.as_str(), "wh_YmB7x4mkraGFOM5d", "deliveries in databases hang on it");
        assert_ne!(id, WebhookId::of_name("webhooks.Billing"));
    }

    #[test]
    fn an_egress_id_of_another_form_is_refused() {
        for wrong in ["", "EG_", "EG_abc", "EG_abcdefghijkl1", "EG_abcdefghijk-", "XX_abcdefghijkl"] {
            assert!(wrong.parse::<EgressId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_room_name_is_refused_where_it_cannot_be_part_of_an_object_key() {
        let cases = [
            ("", InvalidId::Length { len: 0 }),
            (".", InvalidId::Dots),
            ("..", InvalidId::Dots),
            ("a/b", InvalidId::Slash),
            ("a\nb", InvalidId::ControlCharacter),
            ("a\0b", InvalidId::ControlCharacter),
        ];
        for (name, why) in cases {
            assert_eq!(name.parse::<RoomName>(), Err(why), "{name:?}");
        }
        let long = "x".repeat(257);
        assert_eq!(long.parse::<RoomName>(), Err(InvalidId::Length { len: 257 }));
    }

    #[test]
    fn a_room_name_may_be_any_other_text() {
        for name in ["room", "...", "Zürich 会議", "a b", "%2e", "x".repeat(256).as_str()] {
            assert_eq!(name.parse::<RoomName>().map(String::from), Ok(name.to_owned()));
        }
    }
}
