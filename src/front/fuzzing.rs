//! Gives the fuzz targets (`fuzz/`) access to this folder's private readers. Compiled for them only.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::rest::auth::{ApiKey, ApiKeys, Claim};
pub use super::rest::fuzzing::{options, room, view_change, webhook};

/// Returns whether a request with these headers is let in, though its sender does not know the secret.
pub fn admits(headers: &[(&str, &[u8])], target: &str, body: &[u8]) -> bool {
    let headers: HeaderMap = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(*name).ok()?, HeaderValue::from_bytes(value).ok()?))
        })
        .collect();
    let keys = ApiKeys::new(vec![ApiKey { key: "key".into(), secret: "nobody knows".into() }]);
    let now = Timestamp::from_second(1_713_693_600).expect("it is in 2024");
    let claim = Claim::from_headers(&headers, now, &keys);
    claim.and_then(|claim| claim.verify(&Method::POST, target, body, &keys)).is_ok()
}
