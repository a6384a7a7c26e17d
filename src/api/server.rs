//! Owns how requests come in over TCP: how many connections there may be, how large a request's head, and how long its
//! sender may take.
//!
//! Does not own what is asked: the router is handed in. Bodies are read, and bounded, at the gate. Contract: whoever sends
//! nothing, too slowly or too much holds a connection for as long as [`Patience`] has it at most, and keeps nobody else out
//! (`seats`). Once it is cancelled, requests that are under way are finished, and no others are taken.

mod seats;
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

use super::Patience;
use seats::{Seat, Seats};
use stall::Impatient;

pub use seats::Vouch;

/// Bytes of a request's head; the longest target and every header that a proxy adds have their place.
const HEAD_BYTES: usize = 16 * 1024;
/// Twice what browsers and proxies send.
const HEADERS: usize = 64;
/// How long to wait where the system has no more sockets to give: connections end all the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long open requests may still take once the service is to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What a listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    pub patience: Patience,
}

/// Serves until it is cancelled; requests that are under way then are finished.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, cancel: CancellationToken) {
    let seats = Seats::new(limits.connections);
    let open = TaskTracker::new();
    loop {
        let next = async {
            let stream = accept(&listener).await;
            (stream, seats.take().await)
        };
        let (stream, seat) = tokio::select! {
            () = cancel.cancelled() => break,
            next = next => next,
        };
        open.spawn(connection(stream, seat, router.clone(), (limits.patience, cancel.clone())));
    }
    // New ones are refused by the system from here on.
    drop(listener);
    open.close();
    if timeout(SHUTDOWN_GRACE, open.wait()).await.is_err() {
        tracing::info!(requests = open.len(), "requests are cut that did not end in time");
    }
}

/// The next connection. What fails of one is its own; where sockets have run out, some must end first.
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
    seat: Seat,
    router: Router,
    (patience, cancel): (Patience, CancellationToken),
) {
    // Answers are written in one piece; waiting for more of them gains nothing. Without it they come a little later.
    let _later = stream.set_nodelay(true);
    let vouch = seat.vouch();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(vouch.clone());
        router.call(request)
    });
    let stream = TokioIo::new(Impatient::new(stream, patience.answer));
    let mut serving = pin!(http(patience.head).serve_connection(stream, service));
    let result = tokio::select! {
        () = seat.must_leave() => return,
        result = serving.as_mut() => result,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        // Whoever is at the other end broke it off, was too slow or speaks no HTTP: nothing of ours.
        tracing::debug!(%error, "a connection failed");
    }
}

fn http(head: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    http
}
