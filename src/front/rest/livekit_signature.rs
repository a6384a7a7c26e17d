//! Owns whether a call comes from the LiveKit server. LiveKit's webhooks carry a token that is signed with
//! the API secret and contains the hash of the body.
//!
//! Contract: the body is not read before the token is verified, and not parsed before its hash is.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_token::TokenVerifier;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The API key and secret that LiveKit signs with.
#[derive(Debug, Clone)]
pub struct LivekitKey {
    pub key: String,
    pub secret: SecretString,
}

/// A caller with a valid token of LiveKit's.
#[derive(Debug, PartialEq, Eq)]
pub struct LivekitClaim {
    /// In base64, as it was sent.
    body_hash: String,
}

/// Why a call is not from LiveKit. The messages may be shown to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLivekit {
    #[error("Authorization must be the token that LiveKit sends with its webhooks")]
    TokenMissing,
    #[error("the token is not of this LiveKit server's key, or has expired")]
    TokenWrong,
    #[error("the token is of another body")]
    BodyWrong,
}

impl LivekitKey {
    /// Verifies the token. LiveKit sends it bare; others put `Bearer` before it.
    pub fn claim(&self, headers: &HeaderMap) -> Result<LivekitClaim, NotLivekit> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let header = header.ok_or(NotLivekit::TokenMissing)?;
        let token = header.strip_prefix("Bearer ").unwrap_or(header);
        // This checks the algorithm, the signature, the issuer and the times.
        let claims = TokenVerifier::with_api_key(&self.key, self.secret.expose_secret()).verify(token);
        let claims = claims.map_err(|_| NotLivekit::TokenWrong)?;
        Ok(LivekitClaim { body_hash: claims.sha256 })
    }
}

impl LivekitClaim {
    pub fn verify(self, body: &[u8]) -> Result<(), NotLivekit> {
        let expected = STANDARD.encode(Sha256::digest(body));
        match bool::from(expected.as_bytes().ct_eq(self.body_hash.as_bytes())) {
            true => Ok(()),
            false => Err(NotLivekit::BodyWrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use livekit_token::AccessToken;

    use super::*;

    const BODY: &[u8] = br#"{"event":"room_finished"}"#;
    const SECRET: &str = "a-secret-of-thirty-two-characters";

    fn key() -> LivekitKey {
        LivekitKey { key: "key".to_owned(), secret: SECRET.into() }
    }

    fn token(key: &str, secret: &str, body: &[u8]) -> AccessToken {
        AccessToken::with_api_key(key, secret).with_sha256(&STANDARD.encode(Sha256::digest(body)))
    }

    fn judged(header: &str) -> Result<(), NotLivekit> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
        key().claim(&headers)?.verify(BODY)
    }

    #[test]
    fn a_token_of_livekits_key_over_the_body_is_believed_with_or_without_its_scheme() {
        let token = token("key", SECRET, BODY).to_jwt().unwrap();
        assert_eq!(judged(&token), Ok(()));
        assert_eq!(judged(&format!("Bearer {token}")), Ok(()));
    }

    #[test]
    fn nobody_else_is_believed() {
        let jwt = |token: AccessToken| token.to_jwt().unwrap();
        let good = jwt(token("key", SECRET, BODY));
        let mut parts = good.split('.');
        let (_, claims) = (parts.next(), parts.next().unwrap());
        let unsigned = format!(
            "{}.{claims}.",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)
        );
        let hour = Duration::from_secs(3600);
        for (fault, header) in [
            ("another secret", jwt(token("key", "another-secret-of-as-many-letters", BODY))),
            ("another key", jwt(token("other", SECRET, BODY))),
            ("no signature", unsigned),
            ("no token", "abc".to_owned()),
            ("nothing", String::new()),
            ("changed claims", good.replacen(claims, &claims.to_lowercase(), 1)),
        ] {
            assert_eq!(judged(&header), Err(NotLivekit::TokenWrong), "{fault}");
        }
        let of_another = jwt(token("key", SECRET, b"{}"));
        assert_eq!(judged(&of_another), Err(NotLivekit::BodyWrong));
        let of_none = jwt(AccessToken::with_api_key("key", SECRET).with_ttl(hour));
        assert_eq!(judged(&of_none), Err(NotLivekit::BodyWrong), "such as lets a participant into a room");
        assert_eq!(key().claim(&HeaderMap::new()), Err(NotLivekit::TokenMissing));
    }
}
