//! Why a recording is not in the store: one text for the log, another for users.

use std::io;

use crate::mp4::Mp4Error;
use crate::storage::{InvalidKey, StorageError};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the upload cannot be written down")]
    Database(#[from] StoreError),
    #[error("the recording's key is none")]
    Key(#[from] InvalidKey),
    #[error("cannot read the spool")]
    Spool(#[source] io::Error),
    #[error("the spool has no usable beginning")]
    Index(#[source] Mp4Error),
    #[error("the spool's index is of {indexed} bytes of media, its fragments hold {found}")]
    Inconsistent { indexed: u64, found: u64 },
    #[error("the store holds {found:?} bytes of {expected}, or other ones")]
    NotAsSent { expected: u64, found: Option<u64> },
    #[error("the store has lost parts that were removed from the spool, {released} bytes of media")]
    Forgotten { released: u64 },
    #[error("nobody waits for the upload any more")]
    Abandoned,
}

/// How much of a recording that cannot be stored is still in its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    All,
    /// The store has lost media that was removed from the spool.
    Rest,
}

/// Longer error codes of a store are cut off: users see them.
const LONGEST_CODE: usize = 40;

impl UploadError {
    /// Returns how much the spool still holds after this error.
    pub fn left(&self) -> Left {
        match self {
            Self::Forgotten { .. } => Left::Rest,
            Self::Storage(_)
            | Self::Database(_)
            | Self::Key(_)
            | Self::Spool(_)
            | Self::Index(_)
            | Self::Inconsistent { .. }
            | Self::NotAsSent { .. }
            | Self::Abandoned => Left::All,
        }
    }

    /// Returns the reason for users and operators, without a path, an address, a secret or a full stop.
    pub fn reason(&self) -> String {
        match self {
            Self::Storage(error) => storage_reason(error),
            Self::Database(_) => "the recorder's database cannot be written".into(),
            Self::Spool(_) => "the recording cannot be read from the recorder's disk".into(),
            Self::Index(_) | Self::Inconsistent { .. } => {
                "the recording on the recorder's disk is damaged".into()
            }
            Self::NotAsSent { .. } => "the store does not hold what was sent to it".into(),
            Self::Forgotten { .. } => {
                "the store has lost parts of the recording that had been removed from the recorder's disk"
                    .into()
            }
            Self::Key(_) => "the recording has no usable name".into(),
            Self::Abandoned => "the recorder is ending".into(),
        }
    }
}

fn storage_reason(error: &StorageError) -> String {
    match error {
        StorageError::Unavailable { .. } => "the store does not answer".into(),
        StorageError::NotNow { code, .. } => format!("the store is not ready ({})", word(code)),
        StorageError::Denied { code, .. } => format!("the store refuses access ({})", word(code)),
        StorageError::Rejected { code, .. } => format!("the store refuses the upload ({})", word(code)),
        StorageError::KeyRefused { .. } => "the store does not take the recording's name".into(),
        StorageError::NoBucket { code, .. } => {
            format!("the bucket does not exist and cannot be created ({})", word(code))
        }
        StorageError::BucketGone { .. } => "the bucket does not exist".into(),
        StorageError::AlreadyExists { .. } => "another file has the recording's name".into(),
        StorageError::UnknownUpload { .. } => "the store has forgotten the upload".into(),
        StorageError::MissingPart { .. } => "the store has lost a part of the recording".into(),
        StorageError::File { source, .. } => {
            format!("the recordings' folder cannot be written ({})", source.kind())
        }
    }
}

/// Returns the store's error code, with letters, digits, spaces and hyphens only.
fn word(code: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || *c == ' ' || *c == '-';
    code.chars().filter(fits).take(LONGEST_CODE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Action;

    #[test]
    fn a_reason_names_neither_the_stores_address_nor_a_path() {
        let action = || Action::Reach { place: "the bucket b at http://10.0.0.7:9000".into() };
        let source = || io::Error::new(io::ErrorKind::PermissionDenied, "/srv/recordings: no");
        let errors = [
            StorageError::Unavailable { action: action(), source: "connect to 10.0.0.7".into() },
            StorageError::Denied {
                action: action(),
                code: "AccessDenied".into(),
                message: "10.0.0.7".into(),
            },
            StorageError::NotNow { action: action(), code: "Slow<b>Down".into(), message: "/srv".into() },
            StorageError::File { action: action(), source: source() },
        ];
        let mut reasons: Vec<_> =
            errors.into_iter().map(|error| UploadError::Storage(error).reason()).collect();
        reasons.push(UploadError::Spool(source()).reason());
        assert_eq!(
            reasons,
            [
                "the store does not answer",
                "the store refuses access (AccessDenied)",
                "the store is not ready (SlowbDown)",
                "the recordings' folder cannot be written (permission denied)",
                "the recording cannot be read from the recorder's disk",
            ]
        );
    }
}
