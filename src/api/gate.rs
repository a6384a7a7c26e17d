//! Owns the way in: every call but the health check passes here, and arrives at its handler
//! authenticated, counted and with its whole body.

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

use super::ApiSettings;
use super::auth::{ApiKeys, Claim, Verified};
use super::problem::{Kind, Problem};
use super::rate_limit::RateLimiter;
use super::replays::Replays;
use super::server::Vouch;

/// What is sent to somebody with a key is nobody else's, and another thing a moment later.
const CACHE: HeaderValue = HeaderValue::from_static("no-store");
/// Bytes of a request's target: the longest one that means anything, a cursor and a room's name with every byte
/// percent-encoded, has less than half of it.
const TARGET_BYTES: usize = 4096;

pub struct Gate {
    keys: ApiKeys,
    limiter: RateLimiter,
    /// `None`: signatures may be used again.
    replays: Option<Replays>,
    body: BodyLimits,
}

/// What a body may take.
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

    /// Only what is signed counts, or a stranger who knows a key could use up its limit. So it is with what is sent
    /// again: anybody on the way could do that.
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

/// The middleware in front of everything: a target that is too long is looked at by nobody.
pub async fn bound_target(request: Request, next: Next) -> Result<Response, Problem> {
    if target(request.uri()).len() > TARGET_BYTES {
        let detail = format!("The path and the query must not be longer than {TARGET_BYTES} bytes");
        return Err(Problem::new(Kind::TargetTooLong, detail));
    }
    Ok(next.run(request).await)
}

/// The middleware.
pub async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let claim = Claim::from_headers(&head.headers, Timestamp::now(), &gate.keys)?;
    let body = read_body(&head.headers, body, gate.body).await?;
    let verified = claim.verify(&head.method, target(&head.uri), &body, &gate.keys)?;
    gate.admit(&verified)?;
    let _vouched = head.extensions.get::<Vouch>().cloned().map(Vouch::signed);
    let mut response = next.run(Request::from_parts(head, Body::from(body))).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(CACHE);
    Ok(response)
}

/// The request target as it was sent.
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

/// The caller went away or broke the encoding.
fn broken_body() -> Problem {
    Problem::bad_request("The body did not arrive as a whole")
}
