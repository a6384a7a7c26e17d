//! Owns which web pages may call. A request without an `Origin` comes from no page and passes. So does a
//! request of a page that this service sent.
//!
//! Contract: a cross-origin call from an origin that is not listed is refused before any other code sees it.
//! Leaving out the headers that browsers want would not be enough.

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
/// How many seconds a browser may keep the answer to a preflight: few, so that a changed list takes effect.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// The middleware. `origins` are the listed ones.
pub async fn check(
    State(origins): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match judge(request.method(), request.headers(), &origins) {
        Decision::NotCrossOrigin => Ok(next.run(request).await),
        Decision::Preflight(origin) => Ok(preflight_answer(origin)),
        Decision::Listed(origin) => {
            let mut response = next.run(request).await;
            allow(response.headers_mut(), origin);
            Ok(response)
        }
        Decision::NotListed => Err(Problem::new(Kind::Forbidden, "Calls from this origin are not allowed")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    NotCrossOrigin,
    /// A browser asks whether a page of this origin may call.
    Preflight(HeaderValue),
    Listed(HeaderValue),
    NotListed,
}

fn judge(method: &Method, headers: &HeaderMap, origins: &[String]) -> Decision {
    let Some(origin) = headers.get(ORIGIN) else {
        return Decision::NotCrossOrigin;
    };
    if is_own(headers, origin) {
        return Decision::NotCrossOrigin;
    }
    if !origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) {
        return Decision::NotListed;
    }
    if method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        Decision::Preflight(origin.clone())
    } else {
        Decision::Listed(origin.clone())
    }
}

/// Returns whether the page comes from this service. Browsers send an `Origin` with every call that may
/// change something, even to the page's own origin. They also send `Sec-Fetch-Site`, which a proxy does not
/// change (Fetch Metadata, section 2.3). A browser that sends none is believed if the page and the call name
/// the same host and port. That gives nothing away: every call must still be signed.
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

    fn judged(method: Method, headers: &[(&'static str, &'static str)]) -> Decision {
        let pairs =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        judge(&method, &pairs.collect(), &["https://app.example".to_owned()])
    }

    #[test]
    fn a_call_that_no_page_makes_passes() {
        assert_eq!(judged(Method::POST, &[]), Decision::NotCrossOrigin);
    }

    #[test]
    fn a_page_that_came_from_here_passes() {
        let own = ("origin", "https://egress.example:8443");
        let host = ("host", "egress.example:8443");
        let judged = |headers: &[(&'static str, &'static str)]| judged(Method::POST, headers);
        assert_eq!(judged(&[own, host]), Decision::NotCrossOrigin);
        // A proxy may call the service by another name.
        let behind = ("host", "egressd:8080");
        assert_eq!(judged(&[own, behind, ("sec-fetch-site", "same-origin")]), Decision::NotCrossOrigin);
        assert_eq!(judged(&[own, behind]), Decision::NotListed);
        for site in ["same-site", "cross-site", "none"] {
            assert_eq!(judged(&[own, host, ("sec-fetch-site", site)]), Decision::NotListed, "{site}");
        }
        for origin in ["https://egress.example", "https://egress.example:8443.evil", "null"] {
            assert_eq!(judged(&[("origin", origin), host]), Decision::NotListed, "{origin}");
        }
    }

    #[test]
    fn an_origin_is_allowed_only_exactly_as_listed() {
        let listed = HeaderValue::from_static("https://app.example");
        assert_eq!(judged(Method::GET, &[("origin", "https://app.example")]), Decision::Listed(listed));
        for origin in
            ["http://app.example", "https://app.example:8443", "https://app.example.evil", "null", "*"]
        {
            assert_eq!(judged(Method::GET, &[("origin", origin)]), Decision::NotListed, "{origin}");
        }
    }

    #[test]
    fn a_preflight_is_answered_only_to_a_listed_origin() {
        let asks = ("access-control-request-method", "POST");
        assert_eq!(
            judged(Method::OPTIONS, &[("origin", "https://app.example"), asks]),
            Decision::Preflight(HeaderValue::from_static("https://app.example"))
        );
        assert_eq!(judged(Method::OPTIONS, &[("origin", "https://evil.example"), asks]), Decision::NotListed);
    }
}
