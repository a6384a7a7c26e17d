//! Turns the SDK's errors into ours: what the store said, and what it means. No I/O.

use std::error::Error;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::storage::error::{Action, Cause, StorageError};
use crate::storage::key::ObjectKey;

/// Why a call failed, without the action that it was for.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing was sent, because the request itself is wrong.
    NotSent { message: String },
    /// No answer came, or none that is readable.
    NoAnswer(Cause),
    /// The store answered with an error.
    Answer { status: u16, code: String, message: String },
}

/// Codes that mean "not now", whatever the status.
const PASSING_CODES: [&str; 7] = [
    "InternalError",
    "OperationAborted",
    "ConditionalRequestConflict",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownWrite",
];

/// Codes that are about the object's name: S3's, MinIO's, and that of a HEAD, whose answer has no body.
/// Another error of such a request may be taken for one of these. That costs nothing: a usual name is spelled
/// the same anyway.
const NAME_CODES: [&str; 4] =
    ["KeyTooLongError", "XMinioInvalidObjectName", "XMinioInvalidResourceName", "status 400"];

/// The one refusal that creating the bucket may solve.
pub(super) const NO_BUCKET: &str = "NoSuchBucket";

impl Fault {
    pub fn not_sent(error: &impl Error) -> Self {
        Self::NotSent { message: DisplayErrorContext(error).to_string() }
    }

    pub fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Answer { code, .. } if code == wanted)
    }

    pub fn is_not_found(&self) -> bool {
        self.has_status(404) && !self.has_code(NO_BUCKET)
    }

    pub fn is_precondition_failed(&self) -> bool {
        self.has_status(412)
    }

    pub fn is_not_implemented(&self) -> bool {
        self.has_status(501)
    }

    pub fn is_unknown_upload(&self) -> bool {
        self.has_code("NoSuchUpload")
    }

    fn has_status(&self, wanted: u16) -> bool {
        matches!(self, Self::Answer { status, .. } if *status == wanted)
    }

    /// Returns the error of a call for this action.
    pub fn during(self, action: Action) -> StorageError {
        match self {
            Self::NotSent { message } => {
                StorageError::Rejected { action, code: "not sent".to_owned(), message }
            }
            Self::NoAnswer(source) => StorageError::Unavailable { action, source },
            Self::Answer { status, code, message } => answered(action, status, code, message),
        }
    }

    /// Returns the error of a call about an existing upload.
    pub fn of_upload(self, key: &ObjectKey, action: Action) -> StorageError {
        if self.is_unknown_upload() {
            return StorageError::UnknownUpload { key: key.clone() };
        }
        self.during(action)
    }

    /// Returns the error for a bucket that does not exist and was not created.
    pub fn no_bucket(self, bucket: &str) -> StorageError {
        let place = format!("the bucket {bucket}");
        match self.during(Action::Create { place }) {
            StorageError::Denied { code, message, .. } | StorageError::Rejected { code, message, .. } => {
                StorageError::NoBucket { bucket: bucket.to_owned(), code, message }
            }
            other => other,
        }
    }
}

fn answered(action: Action, status: u16, code: String, message: String) -> StorageError {
    // 501 means that this store does not implement the call. Every other 5xx may pass.
    let passing = PASSING_CODES.contains(&code.as_str())
        || matches!(status, 408 | 429)
        || (status >= 500 && status != 501);
    if let (400, true, Some(key)) = (status, NAME_CODES.contains(&code.as_str()), action.key()) {
        return StorageError::KeyRefused { key: key.clone(), code };
    }
    match status {
        _ if passing => StorageError::NotNow { action, code, message },
        _ if code == NO_BUCKET => StorageError::BucketGone { action },
        401 | 403 => StorageError::Denied { action, code, message },
        _ => StorageError::Rejected { action, code, message },
    }
}

impl<E> From<SdkError<E>> for Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        let status = error.raw_response().map(|r| r.status().as_u16());
        match error {
            SdkError::ConstructionFailure(_) => Self::not_sent(&error),
            SdkError::ServiceError(answer) => {
                let status = status.unwrap_or_default();
                // The answer to a HEAD has no body, so it has neither code nor message.
                let code = answer.err().code().map(str::to_owned);
                let message = answer.err().message().unwrap_or("no further details");
                Self::Answer {
                    status,
                    code: code.unwrap_or_else(|| format!("status {status}")),
                    message: message.to_owned(),
                }
            }
            // Timeouts, connections, and answers that are not S3's. They have no arms of their own, since the
            // SDK's enum may grow and they all mean the same.
            other => Self::NoAnswer(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, code: &str) -> StorageError {
        let fault = Fault::Answer { status, code: code.to_owned(), message: "words".to_owned() };
        let key = "room/x.mp4".parse().expect("a valid key");
        fault.during(Action::PutPart { key, part: 3 })
    }

    #[test]
    fn what_may_pass_is_transient() {
        let cases = [
            (503, "SlowDown"),
            (500, "InternalError"),
            (502, "status 502"),
            (429, "TooManyRequests"),
            (400, "RequestTimeout"),
            (409, "OperationAborted"),
        ];
        for (status, code) in cases {
            assert!(error_of(status, code).is_transient(), "{status} {code}");
        }
    }

    #[test]
    fn what_somebody_must_repair_is_not_transient() {
        let cases =
            [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "EntityTooSmall"), (501, "NotImplemented")];
        for (status, code) in cases {
            assert!(!error_of(status, code).is_transient(), "{status} {code}");
        }
    }

    #[test]
    fn a_name_that_the_store_does_not_take_is_told_apart() {
        for code in NAME_CODES {
            assert!(matches!(error_of(400, code), StorageError::KeyRefused { .. }), "{code}");
        }
        assert!(matches!(error_of(400, "InvalidPart"), StorageError::Rejected { .. }));
    }

    fn no_bucket_after(status: u16, code: &str) -> StorageError {
        let fault = Fault::Answer { status, code: code.to_owned(), message: "words".to_owned() };
        fault.no_bucket("recordings")
    }

    #[test]
    fn a_bucket_that_may_not_be_created_is_an_error_that_says_what_to_do() {
        let error = no_bucket_after(403, "AccessDenied");
        assert!(matches!(error, StorageError::NoBucket { .. }), "{error:?}");
        assert!(error.to_string().contains("create it, or allow"), "{error}");
        assert!(no_bucket_after(503, "SlowDown").is_transient());
    }

    #[test]
    fn a_message_says_what_was_done_and_what_the_store_said() {
        let text = error_of(400, "EntityTooSmall").to_string();
        let expected = "the store refused to upload part 3 of room/x.mp4 (EntityTooSmall: words)";
        assert_eq!(text, expected);
    }
}
