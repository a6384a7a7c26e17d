//! Receivers of webhooks that mean harm, or are ill. Each takes connections as they come and does to all of them the same.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What is done to a call once it has been read.
#[derive(Clone, Debug)]
pub enum Harm {
    /// Nothing is ever answered.
    Hangs,
    /// The connection is reset.
    Resets,
    /// So many are answered with 500; after that with 204.
    Fails {
        times: usize,
    },
    RedirectsTo {
        url: String,
    },
    /// 200, and a body of so many bytes.
    Floods {
        bytes: u64,
    },
    /// 200, and a body that comes byte by byte, for hours.
    Drips,
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    /// Of answers, more or less: what the kernel has taken.
    bytes: AtomicU64,
    /// The delivery id and the event of each call.
    deliveries: Mutex<Vec<(String, String)>>,
}

pub struct Hostile {
    url: String,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

impl Hostile {
    pub async fn start(harm: Harm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/", listener.local_addr().expect("a bound socket has an address"));
        let seen = Arc::<Seen>::default();
        let server = tokio::spawn(serve(listener, harm, Arc::clone(&seen)));
        Self { url, seen, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// The delivery id and the event of each call, in their order.
    pub fn deliveries(&self) -> Vec<(String, String)> {
        self.seen.deliveries.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, harm: Harm, seen: Arc<Seen>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(answer(connection, harm.clone(), Arc::clone(&seen)));
    }
}

/// Whoever has called may be gone at any time: that is the end of it.
async fn answer(mut connection: TcpStream, harm: Harm, seen: Arc<Seen>) {
    let Some(request) = read(&mut connection).await else { return };
    let delivery =
        (header(&request, "x-rtcstack-webhook-delivery"), header(&request, "x-rtcstack-webhook-event"));
    seen.deliveries.lock().expect("nobody panics with it").push(delivery);
    let number = seen.calls.fetch_add(1, Ordering::Relaxed);
    let empty = "content-length: 0\r\nconnection: close\r\n\r\n";
    let head = match &harm {
        Harm::Hangs => std::future::pending().await,
        Harm::Resets => {
            let reset = socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO));
            return reset.expect("a socket can be told to linger");
        }
        Harm::Fails { times } if number < *times => format!("HTTP/1.1 500 Internal Server Error\r\n{empty}"),
        Harm::Fails { .. } => format!("HTTP/1.1 204 No Content\r\n{empty}"),
        Harm::RedirectsTo { url } => format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {url}\r\n{empty}"),
        Harm::Floods { bytes } => format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n"),
        Harm::Drips => "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_owned(),
    };
    let (block, pause) = match harm {
        Harm::Floods { .. } => (vec![b'x'; 1 << 16], Duration::ZERO),
        Harm::Drips => (vec![b'x'], Duration::from_millis(100)),
        Harm::Hangs | Harm::Resets | Harm::Fails { .. } | Harm::RedirectsTo { .. } => {
            (vec![], Duration::ZERO)
        }
    };
    if connection.write_all(head.as_bytes()).await.is_err() || block.is_empty() {
        return;
    }
    while connection.write_all(&block).await.is_ok() {
        seen.bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

/// Head and body; `None`: it went away before.
async fn read(connection: &mut TcpStream) -> Option<String> {
    let mut request = String::new();
    loop {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((_, body)) = request.split_once("\r\n\r\n") else { continue };
        if body.len() >= header(&request, "content-length").parse().unwrap_or(0) {
            return Some(request);
        }
    }
}

fn header(request: &str, name: &str) -> String {
    let mut headers = request.lines().filter_map(|line| line.split_once(": "));
    let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}
