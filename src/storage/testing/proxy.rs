//! A proxy in front of a store that resets, delays, truncates and hangs, and counts the requests.
//!
//! Contract: the seed decides the fault of each connection; the client's next connection has the next one.
//! The proxy listens on loopback only and ends when it is dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How many bytes are passed on at a time.
const CHUNK: usize = 64 * 1024;

/// How the proxy treats connections.
#[derive(Clone, Copy)]
pub enum Mood {
    /// Passes everything on, and delays each answer by this much.
    Slow(Duration),
    /// Disturbs most connections, some only after megabytes.
    Evil { seed: u64 },
}

pub struct Proxy {
    pub address: String,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    under_way: AtomicUsize,
    peak: AtomicUsize,
    /// For each part number, the body's length in each request.
    parts: Mutex<BTreeMap<u32, Vec<u64>>>,
    disturbed: AtomicUsize,
}

/// What happens to one connection.
#[derive(Clone, Copy)]
enum Fate {
    Passed,
    /// The connection is reset after so many bytes to the store.
    Reset(usize),
    /// After so many bytes, the connection stays open but passes nothing on.
    Hangs(usize),
    /// The answer ends after so many bytes.
    Truncated(usize),
    Late(Duration),
}

impl Proxy {
    pub async fn before(store: &str, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let (seen, store) = (Arc::new(Seen::default()), store.to_owned());
        let accepting = tokio::spawn(accept(listener, store, mood, Arc::clone(&seen)));
        Self { address, seen, accepting }
    }

    /// Returns the most parts that were under way at the same time.
    pub fn peak(&self) -> usize {
        self.seen.peak.load(Ordering::SeqCst)
    }

    /// Returns how many connections had a fault.
    pub fn disturbed(&self) -> usize {
        self.seen.disturbed.load(Ordering::SeqCst)
    }

    /// Returns the parts that were sent, by number, with the length of each attempt.
    pub fn parts(&self) -> BTreeMap<u32, Vec<u64>> {
        self.seen.parts.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, store: String, mood: Mood, seen: Arc<Seen>) {
    let mut random = StdRng::seed_from_u64(match mood {
        Mood::Slow(_) => 0,
        Mood::Evil { seed } => seed,
    });
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let fate = match mood {
            Mood::Slow(delay) => Fate::Late(delay),
            Mood::Evil { .. } => draw(&mut random),
        };
        // If the store is not reachable, the client's connection is closed.
        if let Ok(server) = TcpStream::connect(&store).await {
            connections.spawn(pass(client, server, fate, Arc::clone(&seen)));
        }
        while connections.try_join_next().is_some() {}
    }
}

fn draw(random: &mut StdRng) -> Fate {
    let bytes = if random.random_bool(0.5) { 2000 } else { 6_000_000 };
    match random.random_range(0..6) {
        0 => Fate::Reset(random.random_range(0..bytes)),
        1 => Fate::Hangs(random.random_range(0..bytes)),
        2 => Fate::Truncated(random.random_range(0..600)),
        3 => Fate::Late(Duration::from_millis(random.random_range(0..300))),
        _ => Fate::Passed,
    }
}

async fn pass(client: TcpStream, server: TcpStream, fate: Fate, seen: Arc<Seen>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut sent, mut answered, mut carrying) = (0, 0, false);
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                let Ok(len @ 1..) = read else { break };
                sent += len;
                carrying |= seen.request(&up[..len]);
                match fate {
                    Fate::Reset(after) if sent > after => { seen.disturb(); break }
                    Fate::Hangs(after) if sent > after => {
                        seen.disturb();
                        seen.done(&mut carrying);
                        // Until the client closes the connection.
                        while let Ok(1..) = from_client.read(&mut up).await {
                            tokio::time::sleep(Duration::from_secs(600)).await;
                        }
                        break
                    }
                    _ => if to_server.write_all(&up[..len]).await.is_err() { break },
                }
            }
            read = from_server.read(&mut down) => {
                let Ok(len @ 1..) = read else { break };
                answered += len;
                if let Fate::Late(delay) = fate {
                    tokio::time::sleep(delay).await;
                }
                if !down[..len].starts_with(b"HTTP/1.1 100") {
                    seen.done(&mut carrying);
                }
                let len = match fate {
                    Fate::Truncated(after) if answered > after => { seen.disturb(); 0 }
                    _ => len,
                };
                if len == 0 || to_client.write_all(&down[..len]).await.is_err() { break }
            }
        }
    }
    seen.done(&mut carrying);
}

impl Seen {
    fn disturb(&self) {
        self.disturbed.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns whether these bytes begin a request that carries a part: clients begin a write with the head.
    fn request(&self, bytes: &[u8]) -> bool {
        let Some((number, len)) = part_request(bytes) else { return false };
        self.parts.lock().expect("nobody panicked").entry(number).or_default().push(len);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(under_way, Ordering::SeqCst);
        true
    }

    fn done(&self, carrying: &mut bool) {
        if std::mem::take(carrying) {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn part_request(bytes: &[u8]) -> Option<(u32, u64)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let (_, number) = head.strip_prefix("PUT ")?.lines().next()?.split_once("partNumber=")?;
    let number = number.split(['&', ' ']).next()?.parse().ok()?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let len = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some((number, len.1.parse().ok()?))
}
