//! Owns how requests come in over TCP: how many connections may be open, how large a request's head may be,
//! and how long its sender may take.
//!
//! Does not own the calls: the router is an argument. The gate reads and bounds bodies. Contract: a client
//! that sends nothing, too slowly or too much holds a connection no longer than [`Timeouts`] allows, and
//! keeps nobody else out (`connections`). After cancellation, requests that are under way are finished and no
//! new ones are accepted.

mod connections;
mod stall;

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::front::Timeouts;
use connections::{ConnectionLimiter, Permit};
use stall::Impatient;

pub use connections::CallMarker;

/// Bytes of a request's head: enough for the longest target and for all headers that proxies add.
const HEAD_BYTES: usize = 16 * 1024;
/// Twice as many as browsers and proxies send.
const HEADERS: usize = 64;
/// How long to wait when the system has no more sockets. Connections end all the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long open requests may still take after cancellation.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// How many connections a listener accepts, and how long they may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    pub timeouts: Timeouts,
}

/// Serves until it is cancelled; then finishes the requests that are under way.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, cancel: CancellationToken) {
    let limiter = ConnectionLimiter::new(limits.connections);
    let open = TaskTracker::new();
    loop {
        let next = async {
            let stream = accept(&listener).await;
            (stream, limiter.take().await)
        };
        let (stream, permit) = tokio::select! {
            () = cancel.cancelled() => break,
            next = next => next,
        };
        open.spawn(connection(stream, permit, router.clone(), (limits.timeouts, cancel.clone())));
    }
    // From here on the system refuses new connections.
    drop(listener);
    open.close();
    if timeout(SHUTDOWN_GRACE, open.wait()).await.is_err() {
        tracing::info!(requests = open.len(), "requests are cut that did not end in time");
    }
}

/// Returns the next connection. Errors of a single connection are skipped. If there are no more sockets,
/// waits until some are closed.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_about_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    permit: Permit,
    router: Router,
    (timeouts, cancel): (Timeouts, CancellationToken),
) {
    // An answer is written in one piece, so waiting for more bytes gains nothing. If this fails, answers come
    // a little later.
    let _later = stream.set_nodelay(true);
    let marker = permit.call_marker();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(marker.clone());
        router.call(request)
    });
    let stream = TokioIo::new(Impatient::new(stream, timeouts.answer));
    let mut serving = pin!(http(timeouts.head).serve_connection(stream, service));
    let result = tokio::select! {
        () = permit.must_close() => return,
        result = serving.as_mut() => result,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        // The client closed the connection, was too slow or does not speak HTTP: no fault of ours.
        tracing::debug!(%error, "a connection failed");
    }
}

fn http(head: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    http
}
