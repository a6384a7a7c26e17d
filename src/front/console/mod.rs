//! Owns the web console as files: which files are sent under `/console`, and what browsers may do with them.
//!
//! The pages sign their calls themselves and use the API like any other client. Their scripts are in `files`.
//! Contract: the files hold no secret and are sent to everybody. They run no script and load no style but
//! their own, connect to this service only, play media from the recordings' stores only, and cannot be framed
//! by another page.

mod files;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use self::files::{File, PAGE};
use super::ApiSettings;
use super::http::problem::{Kind, Problem};
use super::rest::RateLimit;

/// What the console must know about the service that serves it.
#[derive(Debug, Clone, Default)]
pub struct ConsoleSettings {
    /// Origins of the stores, such as `http://minio:9000`: the player may load media from them.
    pub stores: Vec<String>,
}

/// Browsers ask each time whether a file has changed, so no old script calls a newer API after an upgrade.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// A window that opened the console, or that the console opens, cannot reach into it.
const OPENER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
const RESOURCE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// Returns the console's routes, none of which is signed. Returns no routes if the console is switched off.
pub fn router(settings: &ApiSettings) -> Router {
    let Some(console) = &settings.console else { return Router::new() };
    let policy = HeaderValue::from_str(&policy(&console.stores)).expect("sources hold printable ASCII only");
    let pace = Pace::of(settings.rate_limit);
    Router::new()
        .route("/console", get(page))
        .route("/console/", get(to_page))
        .route("/console/pace.json", get(async move || Json(pace)))
        .route("/console/{file}", get(file))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Policy(Arc::new(policy)))
}

/// The `Content-Security-Policy`.
#[derive(Clone)]
struct Policy(Arc<HeaderValue>);

/// The rate limit of an API key, so that the console can stay below it.
#[derive(Clone, Copy, Serialize)]
struct Pace {
    calls: usize,
    seconds: f64,
}

impl Pace {
    fn of(limit: RateLimit) -> Self {
        Self { calls: limit.max, seconds: limit.window.as_secs_f64() }
    }
}

async fn page(State(policy): State<Policy>, headers: HeaderMap) -> Response {
    answer(&PAGE, &policy, &headers)
}

async fn file(
    State(policy): State<Policy>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found =
        files::find(&name).ok_or_else(|| Problem::new(Kind::NotFound, "The console has no such file"))?;
    Ok(answer(found, &policy, &headers))
}

/// Redirects `/console/` to `/console`: the page names its files relative to itself, and a slash at the end
/// would break these names. The redirect is relative, too, because a proxy may serve egressd below a path of
/// its own.
async fn to_page() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "../console")]).into_response()
}

async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path does not take this method")
}

fn answer(file: &File, policy: &Policy, asked: &HeaderMap) -> Response {
    let tag = file.tag();
    let known = asked.get(IF_NONE_MATCH).is_some_and(|known| names(known, &tag));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.text.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(CACHE_CONTROL, CACHE);
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("a tag is hexadecimal in quotes"));
    headers.insert(CONTENT_SECURITY_POLICY, policy.0.as_ref().clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.extend([OPENER, RESOURCE]);
    response
}

/// Returns whether an `If-None-Match` contains this tag (RFC 9110, section 13.1.2).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// Returns the policy: images may be blobs, because the page makes blobs of previews; media come from the
/// stores.
fn policy(stores: &[String]) -> String {
    let mut media: Vec<&str> = stores.iter().map(|store| source(store)).collect();
    media.dedup();
    let media = if media.is_empty() { "'none'".to_owned() } else { media.join(" ") };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src {media}; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Returns the store's origin as a policy source. The grammar (CSP 3, section 2.3.1) has no form for an IPv6
/// address, for example; such a store is named by its scheme alone.
fn source(store: &str) -> &str {
    let Some((scheme, place)) = store.split_once("://") else { return "https:" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    match (place.bytes().all(plain), scheme) {
        (true, _) => store,
        (false, "http") => "http:",
        (false, _) => "https:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_loads_from_the_stores_and_from_nowhere_else() {
        let media = |stores: &[&str]| {
            let stores: Vec<String> = stores.iter().map(|store| (*store).to_owned()).collect();
            let policy = policy(&stores);
            policy.split("; ").find_map(|part| part.strip_prefix("media-src ")).unwrap().to_owned()
        };
        assert_eq!(media(&[]), "'none'");
        assert_eq!(media(&["http://minio:9000"]), "http://minio:9000");
        let two = ["https://s3.eu.example:443", "http://10.0.0.7:9000"];
        assert_eq!(media(&two), "https://s3.eu.example:443 http://10.0.0.7:9000");
        assert_eq!(media(&["http://[::1]:9000"]), "http:");
        assert_eq!(media(&["https://a;script-src *:443"]), "https:");
    }

    #[test]
    fn a_tag_is_known_in_every_form_that_a_browser_sends() {
        let tag = PAGE.tag();
        let known = |text: &str| names(&HeaderValue::from_str(text).unwrap(), &tag);
        assert!(known(&tag) && known(&format!("W/{tag}")) && known(&format!("\"x\", {tag}")) && known("*"));
        assert!(!known("\"x\"") && !known(""));
    }
}
