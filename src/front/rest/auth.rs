//! Owns who may call: API keys and request signatures (contract, part 2). Pure: the time is an argument.
//!
//! Contract: checks run in the order key, headers, timestamp, signature, and the first fault is returned. The
//! headers are checked before the body is read; only [`Claim::verify`] needs the body.

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
pub const MAX_SKEW_S: u64 = 300;

/// An API key and the secret that its requests are signed with.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub key: SecretString,
    pub secret: SecretString,
}

/// The keys that are known. There are few: every request's key is compared with all of them.
#[derive(Debug, Clone)]
pub struct ApiKeys(Vec<ApiKey>);

/// Which of the [`ApiKeys`] a request was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyIndex(pub usize);

/// A request whose headers are right, and whose signature is still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    key: KeyIndex,
    /// As sent, because it is part of the signed text.
    timestamp: Vec<u8>,
    /// The same timestamp, in Unix seconds.
    seconds: i64,
    signature: Vec<u8>,
}

/// A request whose signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub key: KeyIndex,
    /// Unix seconds.
    pub timestamp: i64,
    pub signature: [u8; 32],
}

/// Why a request is not let in. The messages may be shown to the caller.
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

    /// Takes the same time whichever key it is, and however much of it is right.
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
    /// Checks everything that can be checked without the body.
    pub fn from_headers(headers: &HeaderMap, now: Timestamp, keys: &ApiKeys) -> Result<Self, AuthError> {
        let key = given(headers, KEY_HEADER).ok_or(AuthError::KeyMissing)?;
        let key = keys.find(key).filter(|_| is_given_once(headers, KEY_HEADER)).ok_or(AuthError::KeyWrong)?;
        let timestamp = given(headers, TIMESTAMP_HEADER).ok_or(AuthError::TimestampMissing)?;
        let signature = given(headers, SIGNATURE_HEADER).ok_or(AuthError::SignatureMissing)?;
        if !is_given_once(headers, TIMESTAMP_HEADER) {
            return Err(AuthError::TimestampNotANumber);
        }
        let seconds = near(timestamp, now)?;
        if !is_given_once(headers, SIGNATURE_HEADER) {
            return Err(AuthError::SignatureWrong);
        }
        Ok(Self { key, timestamp: timestamp.to_owned(), seconds, signature: signature.to_owned() })
    }

    /// `target` is the path and query exactly as sent, still percent-encoded.
    pub fn verify(
        self,
        method: &Method,
        target: &str,
        body: &[u8],
        keys: &ApiKeys,
    ) -> Result<Verified, AuthError> {
        let ApiKey { secret, .. } = keys.0.get(self.key.0).ok_or(AuthError::KeyWrong)?;
        let expected = sign(secret, method, target, &self.timestamp, body);
        let sent = self.signature.strip_prefix(b"sha256=").unwrap_or(&self.signature);
        // Both are hexadecimal text. That the comparison reveals a length other than 64 gives no secret away.
        if bool::from(hex::encode(expected).as_bytes().ct_eq(sent)) {
            Ok(Verified { key: self.key, timestamp: self.seconds, signature: expected })
        } else {
            Err(AuthError::SignatureWrong)
        }
    }
}

/// An empty header counts as missing.
fn given<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.get(name).map(|value| value.as_bytes()).filter(|value| !value.is_empty())
}

/// If a header is there twice, a proxy may have checked the other one.
fn is_given_once(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().count() == 1
}

/// Returns a timestamp in Unix seconds if it is close enough to now.
fn near(sent: &[u8], now: Timestamp) -> Result<i64, AuthError> {
    let digits = sent.strip_prefix(b"-").unwrap_or(sent);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(AuthError::TimestampNotANumber);
    }
    let seconds = std::str::from_utf8(sent).ok().and_then(|text| text.parse::<i64>().ok());
    // A whole number that does not fit into an i64 is too far from now.
    match seconds {
        Some(seconds) if seconds.abs_diff(now.as_second()) <= MAX_SKEW_S => Ok(seconds),
        Some(_) | None => Err(AuthError::TimestampTooFarOff),
    }
}

fn sign(secret: &SecretString, method: &Method, target: &str, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    let body_hash = hex::encode(Sha256::digest(body));
    let parts = [method.as_str().as_bytes(), target.as_bytes(), timestamp, body_hash.as_bytes()];
    mac.update(&parts.join(&b'\n'));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the vectors below were signed.
    const NOW: i64 = 1_713_693_600;
    const START: &str = "/v1/rooms/room-abc/recording/start";
    /// Made with Python: `hmac.new(b"s3cr3t", "\n".join([method, target, timestamp,
    /// sha256(body).hexdigest()]).encode(), sha256).hexdigest()`, with an empty body.
    const START_SIGNATURE: &str = "077140c52d2dbcce13c10ae2bee68ffa140530e33893f4eb5de52c7790b87863";

    fn keys() -> ApiKeys {
        let key = |key: &str, secret: &str| ApiKey { key: key.into(), secret: secret.into() };
        ApiKeys::new(vec![key("other", "another"), key("key", "s3cr3t")])
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
    }

    fn claim(pairs: &[(&'static str, &str)]) -> Result<Claim, AuthError> {
        let now = Timestamp::from_second(NOW).unwrap();
        Claim::from_headers(&headers(pairs), now, &keys())
    }

    /// Checks a request from its headers to its signature, with the right key and timestamp.
    fn signed(method: Method, target: &str, body: &str, signature: &str) -> Result<KeyIndex, AuthError> {
        let claim = claim(&[
            (KEY_HEADER, "key"),
            (TIMESTAMP_HEADER, &NOW.to_string()),
            (SIGNATURE_HEADER, signature),
        ])?;
        claim.verify(&method, target, body.as_bytes(), &keys()).map(|verified| verified.key)
    }

    #[test]
    fn signatures_of_another_implementation_are_accepted() {
        let vectors = [
            (Method::POST, START, "", START_SIGNATURE),
            (
                Method::GET,
                "/v1/rooms/Z%C3%BCrich%20a/recording?x=%2F&y",
                "",
                "502e4110dcc91bc9e9fea7c76a97a98e1965393917fa0168ffb247cba0b8e16f",
            ),
            (
                Method::POST,
                "/v1/webhooks",
                r#"{"url":"https://hooks.example/","events":["*"]}"#,
                "439288d4d9f5aa0f95f55d650fac31e2c3dc54308e01866a46f27f5994026209",
            ),
        ];
        for (method, target, body, signature) in vectors {
            assert_eq!(signed(method.clone(), target, body, signature), Ok(KeyIndex(1)));
            let prefixed = format!("sha256={signature}");
            assert_eq!(signed(method, target, body, &prefixed), Ok(KeyIndex(1)));
        }
    }

    #[test]
    fn a_signature_of_anything_else_is_wrong() {
        let wrong = Err(AuthError::SignatureWrong);
        assert_eq!(signed(Method::GET, START, "", START_SIGNATURE), wrong);
        assert_eq!(signed(Method::POST, &format!("{START}?"), "", START_SIGNATURE), wrong);
        assert_eq!(signed(Method::POST, START, "{}", START_SIGNATURE), wrong);
        let other_time = claim(&[
            (KEY_HEADER, "key"),
            (TIMESTAMP_HEADER, &(NOW + 1).to_string()),
            (SIGNATURE_HEADER, START_SIGNATURE),
        ]);
        let judged = |claim: Result<Claim, AuthError>| {
            claim.unwrap().verify(&Method::POST, START, b"", &keys()).map(|verified| verified.key)
        };
        assert_eq!(judged(other_time), wrong);
        let other_key = claim(&[
            (KEY_HEADER, "other"),
            (TIMESTAMP_HEADER, &NOW.to_string()),
            (SIGNATURE_HEADER, START_SIGNATURE),
        ]);
        assert_eq!(judged(other_key), wrong);
    }

    #[test]
    fn a_signature_of_another_form_is_wrong() {
        let upper = START_SIGNATURE.to_uppercase();
        let longer = format!("{START_SIGNATURE}00");
        let twice = format!("sha256=sha256={START_SIGNATURE}");
        let shorter = &START_SIGNATURE[..63];
        for signature in [&upper, &longer, &twice, shorter, "sha256=", "sha512=00", "x"] {
            let result = signed(Method::POST, START, "", signature);
            assert_eq!(result, Err(AuthError::SignatureWrong), "{signature}");
        }
    }

    #[test]
    fn the_first_fault_in_the_order_of_the_contract_is_the_answer() {
        let key = (KEY_HEADER, "key");
        let time = (TIMESTAMP_HEADER, "1713693600");
        let signature = (SIGNATURE_HEADER, START_SIGNATURE);
        let cases: [(&[(&'static str, &str)], AuthError); 8] = [
            (&[], AuthError::KeyMissing),
            (&[time, signature], AuthError::KeyMissing),
            (&[(KEY_HEADER, ""), time, signature], AuthError::KeyMissing),
            (&[(KEY_HEADER, "kez"), time, signature], AuthError::KeyWrong),
            (&[(KEY_HEADER, "key2")], AuthError::KeyWrong),
            (&[key, signature], AuthError::TimestampMissing),
            (&[key, time], AuthError::SignatureMissing),
            (&[key, (TIMESTAMP_HEADER, "x")], AuthError::SignatureMissing),
        ];
        for (pairs, expected) in cases {
            assert_eq!(claim(pairs), Err(expected), "{pairs:?}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_is_wrong() {
        let all =
            [(KEY_HEADER, "key"), (TIMESTAMP_HEADER, "1713693600"), (SIGNATURE_HEADER, START_SIGNATURE)];
        let wrong = [AuthError::KeyWrong, AuthError::TimestampNotANumber, AuthError::SignatureWrong];
        for (again, wrong) in all.into_iter().zip(wrong) {
            let mut headers = headers(&all);
            headers.append(again.0, again.1.parse().unwrap());
            let now = Timestamp::from_second(NOW).unwrap();
            assert_eq!(Claim::from_headers(&headers, now, &keys()), Err(wrong));
        }
    }

    #[test]
    fn a_timestamp_may_be_300_s_off_and_no_more() {
        let at = |timestamp: &str| {
            let pairs =
                [(KEY_HEADER, "key"), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, START_SIGNATURE)];
            claim(&pairs).err()
        };
        for skew in [-300, 0, 300] {
            assert_eq!(at(&(NOW + skew).to_string()), None, "{skew}");
        }
        for far in [NOW - 301, NOW + 301, 0, -NOW, i64::MAX, i64::MIN] {
            assert_eq!(at(&far.to_string()), Some(AuthError::TimestampTooFarOff), "{far}");
        }
        assert_eq!(at("99999999999999999999"), Some(AuthError::TimestampTooFarOff));
        for text in ["now", "1713693600.5", "+1713693600", "1713693600s", "0x66", "-", "1 2"] {
            assert_eq!(at(text), Some(AuthError::TimestampNotANumber), "{text}");
        }
    }
}
