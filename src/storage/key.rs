//! The key of an object, valid by construction. Pure.
//!
//! Contract: joined to a folder's path, a key names a path inside this folder.

use std::fmt;
use std::str::FromStr;

/// A relative path with `/` between its segments, such as `room-abc/2024-04-21T10-00-00.mp4`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Why a string is not a valid key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    #[error("an object key must have 1 to {max} bytes, this one has {len}", max = ObjectKey::MAX_BYTES)]
    Length { len: usize },
    #[error("an object key must not contain control characters")]
    ControlCharacter,
    #[error("an object key must not begin or end with a slash, nor contain two in a row")]
    EmptySegment,
    #[error("no part of an object key may be \".\" or \"..\"")]
    Dots,
}

impl ObjectKey {
    /// The longest key that S3 allows.
    pub const MAX_BYTES: usize = 1024;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the segment after the last slash.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(s: &str) -> Result<Self, InvalidKey> {
        if s.is_empty() || s.len() > Self::MAX_BYTES {
            return Err(InvalidKey::Length { len: s.len() });
        }
        if s.chars().any(char::is_control) {
            return Err(InvalidKey::ControlCharacter);
        }
        for segment in s.split('/') {
            match segment {
                "" => return Err(InvalidKey::EmptySegment),
                "." | ".." => return Err(InvalidKey::Dots),
                _ => {}
            }
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_could_leave_its_folder_is_refused() {
        let cases = [
            ("", InvalidKey::Length { len: 0 }),
            ("/etc/passwd", InvalidKey::EmptySegment),
            ("room/", InvalidKey::EmptySegment),
            ("room//x.mp4", InvalidKey::EmptySegment),
            ("..", InvalidKey::Dots),
            ("room/../../x.mp4", InvalidKey::Dots),
            ("./x.mp4", InvalidKey::Dots),
            ("room/x\0.mp4", InvalidKey::ControlCharacter),
            ("room/x\n.mp4", InvalidKey::ControlCharacter),
        ];
        for (key, why) in cases {
            assert_eq!(key.parse::<ObjectKey>(), Err(why), "{key:?}");
        }
        let long = "x".repeat(1025);
        assert_eq!(long.parse::<ObjectKey>(), Err(InvalidKey::Length { len: 1025 }));
    }

    #[test]
    fn the_name_is_the_last_part() {
        for (key, name) in [("x.mp4", "x.mp4"), ("a/b/x.mp4", "x.mp4")] {
            assert_eq!(key.parse::<ObjectKey>().map(|k| k.name().to_owned()), Ok(name.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn every_accepted_key_is_made_of_ordinary_names_only(s in "[a./\\\\ é]{1,12}") {
            if let Ok(key) = s.parse::<ObjectKey>() {
                let ordinary = |c: Component| matches!(c, Component::Normal(_));
                prop_assert!(Path::new(key.as_str()).components().all(ordinary));
            }
        }
    }
}
