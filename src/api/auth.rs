//! Owns who may call: API keys and request signatures (contract, part 2). Pure: the time is an argument.
//!
//! Contract: checks run in the order key, headers, timestamp, signature, and the first fault is the
//! answer. The headers are judged before anybody reads the body, which [`Claim::verify`] needs.

use axum::http::{HeaderMap, Method};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

pub const KEY_HEADER: &str = "x-api-key";
pub const TIMESTAMP_HEADER: &str = "x-rtcstack-timestamp";
pub const SIGNATURE_HEADER: &str = "x-rtcstack-signature";

/// How far a timestamp may be off, either way.
const MAX_SKEW_S: u64 = 300;

/// An API key and the secret that its requests are signed with.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub key: SecretString,
    pub secret: SecretString,
}

/// The keys that are known. Few: every one of them is compared with at each request.
#[derive(Debug, Clone)]
pub struct ApiKeys(Vec<ApiKey>);

/// Which of the [`ApiKeys`] a request was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyIndex(pub usize);

/// A request whose headers hold, and whose signature is still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    key: KeyIndex,
    /// As sent: it is part of what was signed.
    timestamp: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a request is not let in. The messages are fit to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("X-Api-Key is missing")]
    KeyMissing,
    #[error("X-Api-Key is not known")]
    KeyWrong,
    #[error("X-RTCstack-Timestamp is missing")]
    TimestampMissing,
    #[error("X-RTCstack-Signature is missing")]
    SignatureMissing,
    #[error("X-RTCstack-Timestamp must be whole Unix seconds")]
    TimestampNotANumber,
    #[error("X-RTCstack-Timestamp is more than {MAX_SKEW_S} s from now")]
    TimestampTooFarOff,
    #[error("X-RTCstack-Signature is wrong")]
    SignatureWrong,
}

impl ApiKeys {
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(keys)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes as long whichever key it is, and however much of it is right.
    fn find(&self, sent: &[u8]) -> Option<KeyIndex> {
        let sent = Sha256::digest(sent);
        let mut found = None;
        for (index, ApiKey { key, .. }) in self.0.iter().enumerate() {
            let known = Sha256::digest(key.expose_secret().as_bytes());
            let equal: Choice = known.ct_eq(&sent);
            if bool::from(equal) {
                found = Some(KeyIndex(index));
            }
        }
        found
    }
}

impl Claim {
    /// Judges all that can be judged without the body.
    pub fn from_headers(
        headers: &HeaderMap,
        now: Timestamp,
        keys: &ApiKeys,
    ) -> Result<Self, AuthError> {
        let header = |name, missing| {
            let value = headers.get(name).map(|value| value.as_bytes().to_owned());
            value.filter(|value| !value.is_empty()).ok_or(missing)
        };
        let key = header(KEY_HEADER, AuthError::KeyMissing)?;
        let key = keys.find(&key).ok_or(AuthError::KeyWrong)?;
        let timestamp = header(TIMESTAMP_HEADER, AuthError::TimestampMissing)?;
        let signature = header(SIGNATURE_HEADER, AuthError::SignatureMissing)?;
        check_timestamp(&timestamp, now)?;
        Ok(Self {
            key,
            timestamp,
            signature,
        })
    }

    /// `target` is the path and query exactly as sent, still percent-encoded.
    pub fn verify(
        self,
        method: &Method,
        target: &str,
        body: &[u8],
        keys: &ApiKeys,
    ) -> Result<KeyIndex, AuthError> {
        let ApiKey { secret, .. } = keys.0.get(self.key.0).ok_or(AuthError::KeyWrong)?;
        let expected = sign(secret, method, target, &self.timestamp, body);
        let sent = self
            .signature
            .strip_prefix(b"sha256=")
            .unwrap_or(&self.signature);
        // Both are hexadecimal text; a length other than 64 is no secret.
        if bool::from(expected.as_bytes().ct_eq(sent)) {
            Ok(self.key)
        } else {
            Err(AuthError::SignatureWrong)
        }
    }
}

fn check_timestamp(sent: &[u8], now: Timestamp) -> Result<(), AuthError> {
    let digits = sent.strip_prefix(b"-").unwrap_or(sent);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(AuthError::TimestampNotANumber);
    }
    let seconds = std::str::from_utf8(sent)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    // A whole number that no i64 holds is far from now.
    match seconds {
        Some(seconds) if seconds.abs_diff(now.as_second()) <= MAX_SKEW_S => Ok(()),
        Some(_) | None => Err(AuthError::TimestampTooFarOff),
    }
}

fn sign(
    secret: &SecretString,
    method: &Method,
    target: &str,
    timestamp: &[u8],
    body: &[u8],
) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    let body_hash = hex::encode(Sha256::digest(body));
    let parts = [
        method.as_str().as_bytes(),
        target.as_bytes(),
        timestamp,
        body_hash.as_bytes(),
    ];
    mac.update(&parts.join(&b'\n'));
    hex::encode(mac.finalize().into_bytes())
}
