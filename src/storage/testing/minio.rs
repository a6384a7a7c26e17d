//! A MinIO server for tests. Tests that run at the same time share one; a test that stops it has one alone.
//!
//! Contract: it listens on loopback only, writes to a temporary folder, and ends with its last user.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tempfile::TempDir;

use crate::storage::{Cutting, S3Config};

const USER: &str = "egressd-test";
const PASSWORD: &str = "egressd-test-secret";
/// How often a start is tried: another process may take the port before the server does.
const STARTS: u32 = 5;
const POLL: Duration = Duration::from_millis(50);
/// Two minutes: MinIO takes a second, a busy machine may take long.
const POLLS: u32 = 2400;

pub struct Minio {
    server: Child,
    pub address: String,
    data: TempDir,
}

/// Whether the server accepts the credentials of [`Minio::config`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    Right,
    Others,
}

static SHARED: Mutex<Weak<Minio>> = Mutex::new(Weak::new());

impl Minio {
    /// Returns the server that other tests use now, or a new one.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().expect("no test failed while it started the server");
        shared.upgrade().unwrap_or_else(|| {
            let minio = Arc::new((0..STARTS).find_map(|_| Self::start()).expect("MinIO starts"));
            *shared = Arc::downgrade(&minio);
            minio
        })
    }

    pub fn config(&self, bucket: &str) -> S3Config {
        S3Config {
            endpoint: format!("http://{}", self.address),
            region: crate::storage::DEFAULT_REGION.to_owned(),
            bucket: bucket.to_owned(),
            access_key: USER.to_owned(),
            secret_key: PASSWORD.into(),
            cutting: Cutting::Growing,
        }
    }

    /// Returns a server that no other test uses.
    pub fn alone() -> Self {
        (0..STARTS).find_map(|_| Self::start()).expect("MinIO starts")
    }

    pub fn stop(&mut self) {
        let _killed = self.server.kill();
        let _ended = self.server.wait();
    }

    /// Starts the same server again, with the data that it has.
    pub fn start_again(&mut self, credentials: Credentials) {
        self.stop();
        self.server = serve(&self.address, self.data.path(), credentials);
        assert!(self.wait_until_ready(), "MinIO starts again");
    }

    fn start() -> Option<Self> {
        let data = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let server = serve(&address, data.path(), Credentials::Right);
        let mut minio = Self { server, address, data };
        minio.wait_until_ready().then_some(minio)
    }

    /// Returns false if the server ended instead.
    fn wait_until_ready(&mut self) -> bool {
        for _ in 0..POLLS {
            if self.server.try_wait().expect("our own child").is_some() {
                return false;
            }
            if self.says_ready() {
                return true;
            }
            std::thread::sleep(POLL);
        }
        panic!("MinIO runs but does not become ready")
    }

    fn says_ready(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.address) else {
            return false;
        };
        let host = &self.address;
        let request = format!("GET /minio/health/ready HTTP/1.0\r\nHost: {host}\r\n\r\n");
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes());
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok()
            && answer.lines().next().is_some_and(|line| line.contains(" 200 "))
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(address: &str, data: &Path, credentials: Credentials) -> Child {
    let (user, password) = match credentials {
        Credentials::Right => (USER, PASSWORD),
        Credentials::Others => ("somebody-else", "somebody-elses-secret"),
    };
    Command::new(binary())
        .args(["server", "--quiet", "--address", address])
        .args(["--console-address", &free_address()])
        .arg(data)
        .env("MINIO_ROOT_USER", user)
        .env("MINIO_ROOT_PASSWORD", password)
        .env("MINIO_BROWSER", "off")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a MinIO binary (./dev setup installs one)")
}

/// Returns an address on loopback on which nothing listens.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

fn binary() -> PathBuf {
    let cached = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/bin/minio");
    match std::env::var_os("EGRESSD_MINIO") {
        Some(named) => named.into(),
        None if cached.exists() => cached,
        None => "minio".into(),
    }
}
