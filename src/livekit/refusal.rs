//! The meaning of a response that is not a success. LiveKit says it in words only (livekit-server,
//! `pkg/service/auth.go`).

use reqwest::{Response, StatusCode};

use super::LivekitError;

/// LiveKit's text is a line. It is interpreted but never shown, because it quotes the token.
const WORDS_MAX: usize = 4096;

pub async fn of(mut response: Response) -> LivekitError {
    let status = response.status();
    let mut words = Vec::new();
    // A body that breaks off is interpreted as far as it was received.
    while words.len() < WORDS_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        words.extend_from_slice(&piece);
    }
    meaning(status, &String::from_utf8_lossy(&words))
}

fn meaning(status: StatusCode, words: &str) -> LivekitError {
    let says = |what: &str| words.contains(what);
    match status {
        StatusCode::UNAUTHORIZED if says("invalid API key") => LivekitError::UnknownKey,
        StatusCode::UNAUTHORIZED if says("(nbf)") || says("(exp)") || says("(iat)") => {
            LivekitError::ClocksApart
        }
        StatusCode::UNAUTHORIZED if says("invalid token") => LivekitError::WrongSecret,
        // The server or a proxy before it fails for now. Or the server wants a permission, but our tokens
        // have all of them.
        _ if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429) => {
            LivekitError::Refused(status)
        }
        _ => LivekitError::NotLivekit(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(status: u16, words: &str) -> String {
        meaning(StatusCode::from_u16(status).unwrap(), words).to_string()
    }

    #[test]
    fn key_secret_and_clock_are_told_apart() {
        let token = "invalid token: eyJh.eyJp.PB-Z, error: go-jose/go-jose";
        let cases = [
            ("invalid API key: other".to_owned(), "LiveKit does not know the API key"),
            (
                format!("{token}: error in cryptographic primitive"),
                "LiveKit has another API secret for the key",
            ),
            (
                format!("{token}/jwt: validation failed, token not valid yet (nbf)"),
                "LiveKit's clock is too far from this machine's for a token of it to be valid",
            ),
        ];
        for (words, meaning) in cases {
            assert_eq!(words_of(401, &words), meaning);
        }
    }

    #[test]
    fn a_proxy_whose_server_is_away_is_no_stranger() {
        assert_eq!(words_of(502, "<html>"), "LiveKit answered 502 Bad Gateway");
    }

    #[test]
    fn a_server_that_has_no_such_call_is_none_of_livekit() {
        assert_eq!(
            words_of(404, "404 page not found"),
            "what answers is not a LiveKit server (status 404 Not Found)"
        );
        assert!(words_of(302, "").contains("not a LiveKit server"));
    }
}
