//! A TCP relay in front of LiveKit's signalling port: it can cut every connection, refuse new ones, and speak TLS
//! with a certificate whose authority nobody else knows. Of what it carries it knows one word, which it replaces.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The name in the certificate.
const HOST: &str = "localhost";

pub struct SignallingRelay {
    url: String,
    ca_file: Option<PathBuf>,
    /// Connections that are open are cut when this changes; while it is `false` none is taken.
    open: watch::Sender<bool>,
    taken: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl SignallingRelay {
    /// Whenever LiveKit says the first of `words`, the second is passed on; they are equally long.
    pub async fn plain(livekit: u16, words: (String, String)) -> Self {
        assert_eq!(words.0.len(), words.1.len(), "{words:?}: the frames' lengths must stay right");
        Self::start("127.0.0.1", Way { livekit, tls: None, words: Some(Arc::new(words)) }).await
    }

    /// The same, to be reached by IPv6.
    pub async fn ipv6(livekit: u16, words: (String, String)) -> Self {
        assert_eq!(words.0.len(), words.1.len(), "{words:?}: the frames' lengths must stay right");
        Self::start("[::1]", Way { livekit, tls: None, words: Some(Arc::new(words)) }).await
    }

    /// With a certificate for `localhost`; that of its authority lies in `folder`.
    pub async fn tls(livekit: u16, folder: &Path) -> Self {
        let ca_file = folder.join("ca.pem");
        let tls = Some(acceptor(&ca_file));
        let mut relay = Self::start("127.0.0.1", Way { livekit, tls, words: None }).await;
        relay.ca_file = Some(ca_file);
        relay
    }

    async fn start(host: &str, way: Way) -> Self {
        let listener = TcpListener::bind(format!("{host}:0")).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (open, is_open) = watch::channel(true);
        let taken = Arc::<AtomicU64>::default();
        let url = match way.tls {
            None => format!("ws://{host}:{port}"),
            Some(_) => format!("wss://{HOST}:{port}"),
        };
        let server = tokio::spawn(serve(listener, way, is_open, taken.clone()));
        Self { url, ca_file: None, open, taken, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn ca_file(&self) -> &Path {
        self.ca_file.as_deref().expect("the relay speaks TLS")
    }

    /// Ends every connection; `false` also refuses all that come from now on.
    pub fn cut(&self, take_more: bool) {
        self.open.send_replace(take_more);
    }

    /// How many connections were relayed.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for SignallingRelay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// From a client to LiveKit and back.
#[derive(Clone)]
struct Way {
    livekit: u16,
    tls: Option<TlsAcceptor>,
    words: Option<Arc<(String, String)>>,
}

async fn serve(listener: TcpListener, way: Way, is_open: watch::Receiver<bool>, taken: Arc<AtomicU64>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        if !*is_open.borrow() {
            continue;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        let (way, mut is_open) = (way.clone(), is_open.clone());
        is_open.mark_unchanged();
        connections.spawn(async move {
            tokio::select! {
                () = relay(client, way) => {}
                _ = is_open.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn relay(client: TcpStream, way: Way) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", way.livekit)).await else { return };
    let words = way.words.as_deref();
    match way.tls {
        None => pass(client, server, words).await,
        Some(tls) => {
            if let Ok(client) = tls.accept(client).await {
                pass(client, server, words).await;
            }
        }
    }
}

async fn pass(client: impl AsyncRead + AsyncWrite, server: TcpStream, words: Option<&(String, String)>) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let back = async {
        // A WebSocket server masks nothing, and what it says of a candidate is one small write.
        let mut buffer = vec![0; 64 << 10];
        while let Ok(len @ 1..) = from_server.read(&mut buffer).await {
            if let Some((said, passed_on)) = words {
                replace(&mut buffer[..len], said.as_bytes(), passed_on.as_bytes());
            }
            if to_client.write_all(&buffer[..len]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = back => {}
    }
}

fn replace(bytes: &mut [u8], word: &[u8], by: &[u8]) {
    for at in 0..bytes.len().saturating_sub(word.len() - 1) {
        if bytes[at..].starts_with(word) {
            bytes[at..at + word.len()].copy_from_slice(by);
        }
    }
}

/// Makes an authority, writes its certificate to `ca_file`, and returns a server that it vouches for.
fn acceptor(ca_file: &Path) -> TlsAcceptor {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key can be made");
    let ca = authority.self_signed(&ca_key).expect("a certificate can be made");
    std::fs::write(ca_file, ca.pem()).expect("the test's folder can be written to");
    let issuer = Issuer::new(authority, ca_key);
    let key = KeyPair::generate().expect("a key can be made");
    let params = CertificateParams::new(vec![HOST.into()]).expect("the name is one of DNS");
    let certificate = params.signed_by(&key, &issuer).expect("the authority can sign");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key of rcgen's is one of rustls'");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("the key fits the certificate");
    TlsAcceptor::from(Arc::new(config))
}
