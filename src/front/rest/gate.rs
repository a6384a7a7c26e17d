//! Owns the way in: every signed call passes here, and arrives at its handler authenticated, counted and with
//! its whole body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::auth::{ApiKeys, Claim, Verified};
use super::rate_limit::RateLimiter;
use super::replays::Replays;
use crate::front::ApiSettings;
use crate::front::http::problem::{Kind, Problem};
use crate::front::http::server::CallMarker;

/// Answers to a key are for nobody else, and they change from one moment to the next.
const CACHE: HeaderValue = HeaderValue::from_static("no-store");
/// Limit of a request's target, in bytes. The longest useful one has a cursor and a room's name with every
/// byte percent-encoded, and is less than half as long.
const TARGET_BYTES: usize = 4096;

pub struct Gate {
    keys: ApiKeys,
    limiter: RateLimiter,
    /// `None`: signatures may be used again.
    replays: Option<Replays>,
    body: BodyLimits,
}

/// How large a body may be, and how long it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub bytes: usize,
    pub time: Duration,
}

impl Gate {
    pub fn new(settings: &ApiSettings) -> Self {
        Self {
            keys: settings.keys.clone(),
            limiter: RateLimiter::new(settings.rate_limit, settings.keys.len()),
            replays: settings.refuse_replays.then(|| Replays::new(settings.keys.len(), Timestamp::now())),
            body: settings.body_limits(),
        }
    }

    /// Counts a request. Only correctly signed requests count: otherwise a stranger who knows a key could use
    /// up its limit. Repeated signatures do not count either, because anybody on the network path could send
    /// them.
    fn admit(&self, verified: &Verified) -> Result<(), Problem> {
        if let Some(replays) = &self.replays {
            replays.note(verified, Timestamp::now())?;
        }
        self.limiter.admit(verified.key, Instant::now()).map_err(|wait| {
            if let Some(replays) = &self.replays {
                replays.forget(verified);
            }
            Problem::new(Kind::RateLimited, "Too many requests with this API key").retry_after(wait)
        })
    }
}

/// The middleware in front of everything: refuses a target that is too long before any other code looks at
/// it.
pub async fn bound_target(request: Request, next: Next) -> Result<Response, Problem> {
    if target(request.uri()).len() > TARGET_BYTES {
        let detail = format!("The path and the query must not be longer than {TARGET_BYTES} bytes");
        return Err(Problem::new(Kind::TargetTooLong, detail));
    }
    Ok(next.run(request).await)
}

/// The middleware that authenticates and counts.
pub async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let claim = Claim::from_headers(&head.headers, Timestamp::now(), &gate.keys)?;
    let body = read_body(&head.headers, body, gate.body).await?;
    let verified = claim.verify(&head.method, target(&head.uri), &body, &gate.keys)?;
    gate.admit(&verified)?;
    let _call = head.extensions.get::<CallMarker>().cloned().map(CallMarker::begin_signed_call);
    let mut response = next.run(Request::from_parts(head, Body::from(body))).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(CACHE);
    Ok(response)
}

/// Returns the request target as it was sent.
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

pub async fn read_body(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    let BodyLimits { bytes: limit, time } = limits;
    let too_large = || {
        let detail = format!("The body must not be larger than {limit} bytes");
        Problem::new(Kind::PayloadTooLarge, detail)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    let read = async {
        let mut chunks = body.into_data_stream();
        let mut read = Vec::new();
        while let Some(chunk) = chunks.try_next().await.map_err(|_| broken_body())? {
            if read.len() + chunk.len() > limit {
                return Err(too_large());
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.into())
    };
    timeout(time, read).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} seconds", time.as_secs());
        Err(Problem::new(Kind::TooSlow, detail))
    })
}

/// The caller closed the connection or broke the encoding.
fn broken_body() -> Problem {
    Problem::bad_request("The body did not arrive as a whole")
}
