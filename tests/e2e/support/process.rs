//! A child process that cannot outlive its test: killed by its id when dropped, its output in a file.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it answers. Far above what is seen (below 2 s), so that only a server that
/// never comes up reaches it.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long one may take until it has gone.
const END_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; standard output and standard error go to `NAME.log` in `folder`.
    pub fn start(name: &'static str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file can be made");
        let same = file.try_clone().expect("a file handle can be doubled");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(same)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        Self { name, child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says yes; a process that ends before that fails the test with its log.
    pub async fn until(&mut self, mut ready: impl AsyncFnMut() -> bool) {
        let begin = Instant::now();
        while !ready().await {
            if let Some(status) = self.child.try_wait().expect("a child can be asked for its status") {
                panic!("{} ended with {status} before it was ready:\n{}", self.name, self.log_tail());
            }
            assert!(begin.elapsed() < START_LIMIT, "{} does not answer:\n{}", self.name, self.log_tail());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it the hard way, if it still runs.
    pub fn kill(&mut self) {
        // Either call fails only for a process that is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has gone by itself; its exit code, if it was no signal that ended it.
    pub async fn gone(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked for its status") {
                return status.code();
            }
            assert!(begin.elapsed() < END_LIMIT, "{} does not end:\n{}", self.name, self.log_tail());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The last lines that the process wrote, the long ones cut.
    pub fn log_tail(&self) -> String {
        const LINES: usize = 60;
        const CHARACTERS: usize = 400;
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<String> = log.lines().map(|line| line.chars().take(CHARACTERS).collect()).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- last lines of {} ----\n{}", self.log.display(), self.log_tail());
        }
    }
}

/// A TCP port of the loopback interface that nobody uses now and that no other test of this process was given.
pub fn free_tcp_port() -> u16 {
    free_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

/// The same of UDP.
pub fn free_udp_port() -> u16 {
    free_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}

/// A port is taken some time after it was found free, and again when a server is started anew. Until then nobody must get
/// it: neither another test, nor a connection or a listener that takes any. Those get one that is above all of these (32768
/// and more, `ip_local_port_range` in ip(7)).
fn free_port(is_free: impl Fn(u16) -> bool) -> u16 {
    const FIRST: u32 = 16_000;
    const COUNT: u32 = 16_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Two runs of the tests on one machine begin at different ports.
        let begin = std::process::id().wrapping_mul(397);
        let next = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT).expect("all of them are ports");
        if is_free(port) {
            return port;
        }
    }
}
