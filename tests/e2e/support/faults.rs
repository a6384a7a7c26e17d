//! A UDP relay in front of LiveKit that loses, delays and blocks the recorder's datagrams, and nobody else's.
//!
//! LiveKit says that its media port is at [`FRONT`]; there the relay listens, while the server itself is bound to
//! [`BACK`]. Each client gets a socket of its own towards the server, so LiveKit tells clients apart as ever.
//! The recorder is known by its socket: the kernel says which process holds it, so a new socket of a recorder
//! that joins again is met by the same faults. Media over TCP goes past the relay, as it would past a firewall.

use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::process::free_udp_port;
use super::procfs;

/// Where clients are told to send. All of 127.0.0.0/8 is loopback, on Linux without further ado.
pub const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Where LiveKit listens.
pub const BACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Larger than any datagram of WebRTC.
const DATAGRAM_BYTES: usize = 2048;
/// A second of 25 busy tracks.
const QUEUE: usize = 8192;

/// What happens to each datagram between LiveKit and the recorder, in either direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The share that is lost, 0 to 1, each datagram by itself.
    pub loss: f64,
    /// How much later each one comes.
    pub delay: Duration,
    /// Up to this much later still, each by itself: they overtake one another.
    pub jitter: Duration,
    /// Nothing passes.
    pub blocked: bool,
    /// Towards the recorder the way is only so wide.
    pub width: Option<Width>,
}

/// A way with a queue before it.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    pub bits_per_second: u64,
    /// As long as datagrams wait at most; those that would wait longer are lost.
    pub queue: Duration,
}

/// What the relay did to the recorder's datagrams since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub to_recorder: Tally,
    pub from_recorder: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Sent on, at once or later.
    pub passed: u64,
    pub lost: u64,
    pub blocked: u64,
    /// Found the queue full.
    pub overflowed: u64,
}

pub struct FaultProxy {
    shared: Arc<Mutex<Shared>>,
    /// Dropped, it ends the relay.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    faults: Faults,
    counts: Counts,
    /// The process whose sockets, and whose children's, are the recorder's.
    recorder: Option<u32>,
}

impl FaultProxy {
    /// Relays between `FRONT` and `BACK` at `port`, at first without any fault. `seed` decides what is lost.
    pub fn open(port: u16, seed: u64) -> Self {
        Self::open_at(FRONT.into(), port, seed)
    }

    /// Likewise, with its front at another address, which may be one of IPv6.
    pub fn open_at(front: IpAddr, port: u16, seed: u64) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (stop, stopped) = oneshot::channel();
        let front = std::net::UdpSocket::bind((front, port)).expect("the relay's port is free");
        front.set_nonblocking(true).expect("a socket can be made non-blocking");
        let state = Arc::clone(&shared);
        // A thread and a runtime of its own: tests wait for child processes, and would hold the datagrams up.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            LocalSet::new().block_on(&runtime, async move {
                let front = UdpSocket::from_std(front).expect("a runtime takes a socket");
                let relay = Relay::new(front, (BACK, port).into(), state, seed);
                tokio::select! {
                    _ = stopped => (),
                    () = relay.run() => (),
                }
            });
        });
        Self { shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Faults meet the sockets of this process and of its children, from their first datagram on.
    pub fn aim_at(&self, process: u32) {
        self.lock().recorder = Some(process);
    }

    /// From now on; what is already delayed comes as it would have come.
    pub fn set(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("the relay does not panic")
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the relay has already been printed.
            let _ = thread.join();
        }
    }
}

struct Relay {
    front: UdpSocket,
    server: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    random: StdRng,
    flows: Vec<Flow>,
    by_client: HashMap<SocketAddr, usize>,
    delayed: BinaryHeap<Delayed>,
    /// When the way to the recorder has carried all that waits.
    busy_until: Instant,
    /// What the server sent to which flow's client.
    answers: mpsc::Receiver<(usize, Vec<u8>)>,
    answered: mpsc::Sender<(usize, Vec<u8>)>,
}

/// One client's way to the server.
struct Flow {
    client: SocketAddr,
    socket: Arc<UdpSocket>,
    recorder: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Towards {
    Server,
    Client,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    /// The heap gives out its greatest.
    due: std::cmp::Reverse<Instant>,
    flow: usize,
    towards: Towards,
    datagram: Vec<u8>,
}

impl Relay {
    fn new(front: UdpSocket, server: SocketAddr, shared: Arc<Mutex<Shared>>, seed: u64) -> Self {
        let (answered, answers) = mpsc::channel(QUEUE);
        Self {
            front,
            server,
            shared,
            random: StdRng::seed_from_u64(seed),
            flows: Vec::new(),
            by_client: HashMap::new(),
            delayed: BinaryHeap::new(),
            busy_until: Instant::now(),
            answers,
            answered,
        }
    }

    async fn run(mut self) {
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            let due = self.delayed.peek().map(|first| first.due.0);
            tokio::select! {
                received = self.front.recv_from(&mut buffer) => {
                    // An ICMP error about a client that has gone.
                    let Ok((len, client)) = received else { continue };
                    let flow = self.flow_of(client).await;
                    self.take(flow, Towards::Server, buffer[..len].to_vec()).await;
                }
                Some((flow, datagram)) = self.answers.recv() => self.take(flow, Towards::Client, datagram).await,
                () = until(due), if due.is_some() => self.send_due(Instant::now()).await,
            }
        }
    }

    async fn flow_of(&mut self, client: SocketAddr) -> usize {
        if let Some(&flow) = self.by_client.get(&client) {
            return flow;
        }
        let socket = UdpSocket::bind((BACK, 0)).await.expect("loopback has a free port");
        socket.connect(self.server).await.expect("loopback can be reached");
        let socket = Arc::new(socket);
        let flow = self.flows.len();
        tokio::task::spawn_local(pass_on(Arc::clone(&socket), flow, self.answered.clone()));
        let owner = self.lock().recorder;
        let recorder = owner.is_some_and(|id| procfs::holds_udp_socket(id, client));
        self.flows.push(Flow { client, socket, recorder });
        self.by_client.insert(client, flow);
        flow
    }

    /// Decides what becomes of a datagram.
    async fn take(&mut self, flow: usize, towards: Towards, datagram: Vec<u8>) {
        if !self.flows[flow].recorder {
            self.send(flow, towards, &datagram).await;
            return;
        }
        let draw: f64 = self.random.random();
        let stretch: f64 = self.random.random();
        let Faults { loss, delay, jitter, blocked, width } = self.lock().faults;
        let lost = draw < loss;
        let width = width.filter(|_| !blocked && !lost && towards == Towards::Client);
        let waits = match width {
            Some(width) => self.wait(width, datagram.len()),
            None => Some(Duration::ZERO),
        };
        self.tally(towards, |tally| match (blocked, lost, waits) {
            (true, ..) => tally.blocked += 1,
            (false, true, _) => tally.lost += 1,
            (false, false, None) => tally.overflowed += 1,
            (false, false, Some(_)) => tally.passed += 1,
        });
        let Some(waits) = waits.filter(|_| !blocked && !lost) else { return };
        let later = waits + delay + jitter.mul_f64(stretch);
        if later.is_zero() {
            self.send(flow, towards, &datagram).await;
        } else {
            let due = std::cmp::Reverse(Instant::now() + later);
            self.delayed.push(Delayed { due, flow, towards, datagram });
        }
    }

    /// How long a datagram is under way, the queue included; none if that is full.
    fn wait(&mut self, width: Width, bytes: usize) -> Option<Duration> {
        let now = Instant::now();
        let waits = self.busy_until.saturating_duration_since(now);
        if waits > width.queue {
            return None;
        }
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / width.bits_per_second as f64);
        self.busy_until = now + waits + takes;
        Some(waits + takes)
    }

    async fn send_due(&mut self, now: Instant) {
        while self.delayed.peek().is_some_and(|first| first.due.0 <= now)
            && let Some(Delayed { flow, towards, datagram, .. }) = self.delayed.pop()
        {
            self.send(flow, towards, &datagram).await;
        }
    }

    /// UDP promises nothing: an error is an ICMP message about an earlier datagram, and this one is lost.
    async fn send(&self, flow: usize, towards: Towards, datagram: &[u8]) {
        let Flow { client, socket, .. } = &self.flows[flow];
        let _ = match towards {
            Towards::Server => socket.send(datagram).await,
            Towards::Client => self.front.send_to(datagram, *client).await,
        };
    }

    fn tally(&self, towards: Towards, count: impl FnOnce(&mut Tally)) {
        let counts = &mut self.lock().counts;
        count(match towards {
            Towards::Server => &mut counts.from_recorder,
            Towards::Client => &mut counts.to_recorder,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("tests do not panic while they hold the relay")
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}

/// Hands the server's answers to one client to the relay.
async fn pass_on(socket: Arc<UdpSocket>, flow: usize, answered: mpsc::Sender<(usize, Vec<u8>)>) {
    let mut buffer = [0; DATAGRAM_BYTES];
    while !answered.is_closed() {
        // An error is an ICMP message: the server is not there just now.
        if let Ok(len) = socket.recv(&mut buffer).await
            && answered.send((flow, buffer[..len].to_vec())).await.is_err()
        {
            return;
        }
    }
}

/// A UDP port that is free at both addresses.
pub fn free_port() -> u16 {
    loop {
        let port = free_udp_port();
        if std::net::UdpSocket::bind((IpAddr::V4(FRONT), port)).is_ok() {
            return port;
        }
    }
}

mod tests;
