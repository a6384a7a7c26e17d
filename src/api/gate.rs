//! Owns the way in: every call but the health check passes here, and arrives at its handler
//! authenticated, counted and with its whole body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::ApiSettings;
use super::auth::{ApiKeys, Claim};
use super::problem::{Kind, Problem};
use super::rate_limit::RateLimiter;

/// How long a caller may take to send a body; a mebibyte takes a second on a slow line.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Gate {
    keys: ApiKeys,
    limiter: RateLimiter,
    body_limit: usize,
}

impl Gate {
    pub fn new(settings: &ApiSettings) -> Self {
        Self {
            keys: settings.keys.clone(),
            limiter: RateLimiter::new(settings.rate_limit, settings.keys.len()),
            body_limit: settings.body_limit,
        }
    }
}

/// The middleware.
pub async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let claim = Claim::from_headers(&head.headers, Timestamp::now(), &gate.keys)?;
    let body = read_body(&head.headers, body, gate.body_limit).await?;
    // Only what is signed counts, or a stranger who knows a key could use up its limit.
    let key = claim.verify(&head.method, target(&head.uri), &body, &gate.keys)?;
    gate.limiter.admit(key, Instant::now()).map_err(|wait| {
        Problem::new(Kind::RateLimited, "Too many requests with this API key").retry_after(wait)
    })?;
    Ok(next.run(Request::from_parts(head, Body::from(body))).await)
}

/// The request target as it was sent.
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

pub async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
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
    timeout(BODY_TIMEOUT, read).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
        Err(Problem::new(Kind::TooSlow, detail))
    })
}

/// The caller went away or broke the encoding.
fn broken_body() -> Problem {
    Problem::bad_request("The body did not arrive as a whole")
}
