//! The store: whether it can do everything that a recording needs.

use std::error::Error;

use super::finding::{Finding, Subject, sentence};
use crate::room;
use crate::storage::{self, Step, StorageConfig, StorageError, Tried};

/// The prefix of a store's settings.
#[derive(Clone, Copy)]
pub enum Which {
    First,
    Fallback,
}

pub async fn check(config: &StorageConfig, which: Which) -> Finding {
    let store = storage::open(config);
    let place = store.describe();
    let tried = store.try_out().await;
    let failed = tried.into_iter().find_map(|Tried { step, outcome }| Some((step, outcome.err()?)));
    let (subject, prefix) = match which {
        Which::First => (Subject::Store, ""),
        Which::Fallback => (Subject::Fallback, "FALLBACK_"),
    };
    match failed {
        None => subject.ok(format!("{place}: a test object was written, read back and removed")),
        Some((Step::Remove, error)) => subject.warning(
            format!("{place}: the test object cannot be removed: {}", cause(&error)),
            "recordings do without that permission (s3:DeleteObject); remove egressd-check-*.txt by hand",
        ),
        Some((step, error)) => {
            subject.fault(format!("{place}: {}", says(step, &error)), advice(step, &error, prefix))
        }
    }
}

fn says(step: Step, error: &StorageError) -> String {
    let what = match step {
        Step::Reach => "it cannot be used",
        Step::Write => "nothing can be written",
        Step::Read => "what was written cannot be read back",
        Step::Parts => "nothing can be uploaded in parts",
        Step::Remove => "nothing can be removed",
    };
    format!("{what}: {}", cause(error))
}

/// Returns what the store said, without the action that failed.
fn cause(error: &StorageError) -> String {
    match error {
        StorageError::Denied { code, message, .. }
        | StorageError::Rejected { code, message, .. }
        | StorageError::NotNow { code, message, .. }
        | StorageError::NoBucket { code, message, .. } => {
            format!("{code}, {}", message.trim_end_matches('.'))
        }
        StorageError::BucketGone { .. } => "there is no such bucket".to_owned(),
        StorageError::Unavailable { source, .. } => format!("no answer: {}", innermost(&**source)),
        StorageError::File { source, .. } => source.to_string(),
        StorageError::AlreadyExists { .. }
        | StorageError::UnknownUpload { .. }
        | StorageError::MissingPart { .. }
        | StorageError::KeyRefused { .. } => sentence(error),
    }
}

/// The last one of an SDK's nested errors says what happened.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn advice(step: Step, error: &StorageError, prefix: &str) -> String {
    match error {
        StorageError::Denied { code, .. } => match (code.as_str(), step) {
            ("InvalidAccessKeyId", _) => format!("{prefix}MINIO_ACCESS_KEY is not known to the store"),
            ("SignatureDoesNotMatch", _) => {
                format!("{prefix}MINIO_SECRET_KEY must be the secret of {prefix}MINIO_ACCESS_KEY")
            }
            // S3 always sends a code; a server that sends a bare status is not S3.
            (code, _) if code.starts_with("status ") => not_s3(prefix),
            ("RequestTimeTooSkewed", _) => "set the clocks of both machines by NTP".to_owned(),
            (_, step) => format!("allow this key {} on the bucket and its objects", permissions(step)),
        },
        StorageError::BucketGone { .. } => format!(
            "create it, or let egressd serve do so when it starts, if the key may (s3:CreateBucket); \
             {prefix}MINIO_BUCKET names it"
        ),
        StorageError::Unavailable { source, .. } if room::is_tls_fault(&**source) => format!(
            "TLS fails: the store's certificate must be of an authority that this machine trusts; a store without TLS \
             needs {prefix}MINIO_USE_SSL=false"
        ),
        StorageError::Unavailable { .. } => format!(
            "are {prefix}MINIO_ENDPOINT, {prefix}MINIO_PORT and {prefix}MINIO_USE_SSL right, and is the store running?"
        ),
        StorageError::NotNow { .. } => "try again; the store's log says more".to_owned(),
        StorageError::File { .. } => {
            "it must be a folder in which egressd's user can create files".to_owned()
        }
        StorageError::Rejected { .. }
        | StorageError::NoBucket { .. }
        | StorageError::AlreadyExists { .. }
        | StorageError::UnknownUpload { .. }
        | StorageError::MissingPart { .. }
        | StorageError::KeyRefused { .. } => not_s3(prefix),
    }
}

fn not_s3(prefix: &str) -> String {
    format!("is it a store that speaks S3 at {prefix}MINIO_ENDPOINT, and is {prefix}MINIO_REGION its region?")
}

fn permissions(step: Step) -> &'static str {
    match step {
        Step::Reach => "s3:ListBucket",
        Step::Write => "s3:PutObject and s3:GetObject",
        Step::Read => "s3:GetObject",
        Step::Parts => {
            "s3:PutObject, s3:AbortMultipartUpload, s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads"
        }
        Step::Remove => "s3:DeleteObject",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Action;

    fn denied(step: Step, code: &str) -> String {
        let action = Action::Reach { place: "the bucket".into() };
        let error = StorageError::Denied { action, code: code.into(), message: "Words.".into() };
        assert!(says(step, &error).ends_with(&format!(": {code}, Words")));
        advice(step, &error, "FALLBACK_")
    }

    #[test]
    fn each_fault_of_a_key_has_advice_of_its_own() {
        let key = "FALLBACK_MINIO_ACCESS_KEY is not known to the store";
        assert_eq!(denied(Step::Reach, "InvalidAccessKeyId"), key);
        assert!(
            denied(Step::Reach, "SignatureDoesNotMatch").starts_with("FALLBACK_MINIO_SECRET_KEY must be")
        );
        assert!(denied(Step::Reach, "RequestTimeTooSkewed").contains("clocks"));
        assert!(denied(Step::Reach, "status 401").contains("speaks S3"));
    }

    #[test]
    fn the_permission_that_a_step_lacks_is_named() {
        let lacks = |step| denied(step, "AccessDenied");
        assert!(lacks(Step::Reach).contains("s3:ListBucket on"));
        assert!(lacks(Step::Write).contains("s3:PutObject"));
        assert!(lacks(Step::Read).contains("s3:GetObject"));
        assert!(lacks(Step::Parts).contains("s3:ListMultipartUploadParts"));
    }
}
