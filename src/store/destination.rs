//! Owns the two stores to which a recording may go, and their words in the database.

use std::str::FromStr;

/// One of the configured stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Destination {
    #[default]
    Primary,
    /// The store that gets a recording when the first store cannot be reached for long.
    Fallback,
}

impl Destination {
    pub const ALL: [Self; 2] = [Self::Primary, Self::Fallback];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
        }
    }
}

impl FromStr for Destination {
    type Err = UnknownDestination;

    fn from_str(word: &str) -> Result<Self, UnknownDestination> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == word);
        known.ok_or_else(|| UnknownDestination(word.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no store of recordings")]
pub struct UnknownDestination(String);
