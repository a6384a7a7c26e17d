//! Owns which web pages may call. A request without an `Origin` comes from no page and passes, and so does one of a page
//! that came from here.
//!
//! Contract: a cross-origin call from an origin that is not listed is refused before anything else
//! looks at it, and not merely left without the headers that browsers want.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::{Kind, Problem};

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("content-type, x-api-key, x-rtcstack-timestamp, x-rtcstack-signature");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("retry-after");
const FETCH_SITE: &str = "sec-fetch-site";
/// Seconds a browser may remember a preflight's answer: short, so that a changed list takes effect.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// The middleware; `origins` are those listed.
pub async fn check(
    State(origins): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match judge(request.method(), request.headers(), &origins) {
        Verdict::NotCrossOrigin => Ok(next.run(request).await),
        Verdict::Preflight(origin) => Ok(preflight_answer(origin)),
        Verdict::Listed(origin) => {
            let mut response = next.run(request).await;
            allow(response.headers_mut(), origin);
            Ok(response)
        }
        Verdict::NotListed => Err(Problem::new(Kind::Forbidden, "Calls from this origin are not allowed")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    NotCrossOrigin,
    /// A browser asks whether it may call.
    Preflight(HeaderValue),
    Listed(HeaderValue),
    NotListed,
}

fn judge(method: &Method, headers: &HeaderMap, origins: &[String]) -> Verdict {
    let Some(origin) = headers.get(ORIGIN) else {
        return Verdict::NotCrossOrigin;
    };
    if is_own(headers, origin) {
        return Verdict::NotCrossOrigin;
    }
    if !origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) {
        return Verdict::NotListed;
    }
    if method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        Verdict::Preflight(origin.clone())
    } else {
        Verdict::Listed(origin.clone())
    }
}

/// Browsers send an `Origin` with every call that may change something, also to where the page came from. That it did
/// they say themselves, which a proxy leaves as it is (Fetch Metadata, section 2.3); those that say nothing are believed
/// if the page and the call name the same host and port. Nothing is given away by that: a signature is wanted all the same.
fn is_own(headers: &HeaderMap, origin: &HeaderValue) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => {
            let of_page = origin.as_bytes().split(|byte| *byte == b'/').nth(2);
            headers.get(HOST).is_some_and(|host| of_page == Some(host.as_bytes()))
        }
    }
}

fn preflight_answer(origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow(headers, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, headers: &[(&'static str, &'static str)]) -> Verdict {
        let pairs =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        judge(&method, &pairs.collect(), &["https://app.example".to_owned()])
    }

    #[test]
    fn a_call_that_no_page_makes_passes() {
        assert_eq!(judged(Method::POST, &[]), Verdict::NotCrossOrigin);
    }

    #[test]
    fn a_page_that_came_from_here_passes() {
        let own = ("origin", "https://egress.example:8443");
        let host = ("host", "egress.example:8443");
        let judged = |headers: &[(&'static str, &'static str)]| judged(Method::POST, headers);
        assert_eq!(judged(&[own, host]), Verdict::NotCrossOrigin);
        // A proxy may call it by another name.
        let behind = ("host", "egressd:8080");
        assert_eq!(judged(&[own, behind, ("sec-fetch-site", "same-origin")]), Verdict::NotCrossOrigin);
        assert_eq!(judged(&[own, behind]), Verdict::NotListed);
        for site in ["same-site", "cross-site", "none"] {
            assert_eq!(judged(&[own, host, ("sec-fetch-site", site)]), Verdict::NotListed, "{site}");
        }
        for origin in ["https://egress.example", "https://egress.example:8443.evil", "null"] {
            assert_eq!(judged(&[("origin", origin), host]), Verdict::NotListed, "{origin}");
        }
    }

    #[test]
    fn an_origin_is_allowed_only_exactly_as_listed() {
        let listed = HeaderValue::from_static("https://app.example");
        assert_eq!(judged(Method::GET, &[("origin", "https://app.example")]), Verdict::Listed(listed));
        for origin in
            ["http://app.example", "https://app.example:8443", "https://app.example.evil", "null", "*"]
        {
            assert_eq!(judged(Method::GET, &[("origin", origin)]), Verdict::NotListed, "{origin}");
        }
    }

    #[test]
    fn a_preflight_is_answered_only_to_a_listed_origin() {
        let asks = ("access-control-request-method", "POST");
        assert_eq!(
            judged(Method::OPTIONS, &[("origin", "https://app.example"), asks]),
            Verdict::Preflight(HeaderValue::from_static("https://app.example"))
        );
        assert_eq!(judged(Method::OPTIONS, &[("origin", "https://evil.example"), asks]), Verdict::NotListed);
    }
}
