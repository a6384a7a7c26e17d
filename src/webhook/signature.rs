//! Owns the signature of a delivery. Pure.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// `sha256=` and the lower-case hex of HMAC-SHA256 over the exact body, keyed with the webhook's secret.
pub fn signature(secret: &SecretString, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s BODY | openssl dgst -sha256 -hmac SECRET`
    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        let cases = [
            (
                "whsec_1",
                r#"{"event":"egress_ended"}"#,
                "8494742eb4ff1ecbae0e5598a7ddf2b31158fa67699114921ba868ef6e13d0c8",
            ),
            ("k", "", "8bb990c40a7d61cb97597a942125025be50ac8beb74436e3735b98893a7f6620"),
        ];
        for (secret, body, expected) in cases {
            assert_eq!(signature(&secret.into(), body.as_bytes()), format!("sha256={expected}"));
        }
    }
}
