//! Owns the type of a stored delivery: its id, its state and its attempts. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::EgressId;

/// `dl_` and 24 hexadecimal digits. All attempts of a delivery have the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(String);

/// A delivery, as users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The number of the delivery, in the order of the events.
    pub number: u64,
    pub id: DeliveryId,
    pub egress_id: EgressId,
    pub event: String,
    /// The exact text that is signed and sent.
    pub body: String,
    pub created_at: Timestamp,
    pub state: DeliveryState,
    /// The last twenty attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Pending { next_attempt_at: Timestamp },
    Delivered { at: Timestamp },
    Failed { at: Timestamp },
}

/// A state without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    Pending,
    Delivered,
    Failed,
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub at: Timestamp,
    pub took: Duration,
    /// The HTTP status of the response, if there was one.
    pub status: Option<u16>,
    /// Why the attempt has failed; `None` if it succeeded.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no id of a delivery")]
pub struct InvalidDeliveryId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no state of a delivery")]
pub struct UnknownStatus(String);

impl DeliveryId {
    const PREFIX: &str = "dl_";
    const RANDOM_BYTES: usize = 12;

    /// Returns the id of a call that is made at once and is not stored.
    pub fn random() -> Self {
        let random = hex::encode(rand::random::<[u8; Self::RANDOM_BYTES]>());
        Self(format!("{}{random}", Self::PREFIX))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidDeliveryId;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryId> {
        let digits = text.strip_prefix(Self::PREFIX).filter(|digits| digits.len() == 2 * Self::RANDOM_BYTES);
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match digits.is_some_and(|digits| digits.bytes().all(lower)) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidDeliveryId(text.to_owned())),
        }
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DeliveryState {
    pub fn status(self) -> DeliveryStatus {
        match self {
            Self::Pending { .. } => DeliveryStatus::Pending,
            Self::Delivered { .. } => DeliveryStatus::Delivered,
            Self::Failed { .. } => DeliveryStatus::Failed,
        }
    }
}

impl DeliveryStatus {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_id_is_read_as_it_was_made_and_in_no_other_form() {
        let id = DeliveryId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        let upper = id.as_str().replace("dl_", "DL_");
        for wrong in
            ["", "dl_", "dl_00", &upper, "dl_0123456789abcdef0123456G", "dl_0123456789ABCDEF01234567"]
        {
            assert!(wrong.parse::<DeliveryId>().is_err(), "{wrong}");
        }
    }
}
