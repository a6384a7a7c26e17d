//! A receiver of webhooks: takes every POST, answers 204, keeps what came.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a webhook's body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("the webhook has no header {name}"));
        value.to_str().expect("headers of webhooks are ASCII")
    }
}

#[derive(Default)]
struct Inbox {
    deliveries: Mutex<Vec<Delivery>>,
    arrived: Notify,
}

pub struct Receiver {
    inbox: Arc<Inbox>,
    url: String,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let inbox = Arc::<Inbox>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("a bound socket has an address"));
        let app = Router::new().route("/hook", post(take)).with_state(inbox.clone());
        let server =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("the receiver serves") });
        Self { inbox, url, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The first delivery, waited for at most `limit`.
    pub async fn first(&self, limit: Duration) -> Delivery {
        self.until(1, limit).await;
        self.all().remove(0)
    }

    /// Waits for so many deliveries, at most `limit`.
    pub async fn until(&self, number: usize, limit: Duration) {
        let arrived = tokio::time::timeout(limit, async {
            loop {
                let notified = self.inbox.arrived.notified();
                if self.all().len() >= number {
                    return;
                }
                notified.await;
            }
        });
        arrived.await.unwrap_or_else(|_| panic!("no {number} webhooks within {limit:?}"));
    }

    pub fn all(&self) -> Vec<Delivery> {
        self.inbox.deliveries.lock().expect("no test panics while it holds the inbox").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inbox
        .deliveries
        .lock()
        .expect("no test panics while it holds the inbox")
        .push(Delivery { headers, body });
    inbox.arrived.notify_waiters();
    StatusCode::NO_CONTENT
}
