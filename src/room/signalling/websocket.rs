//! The websocket of signalling: over TCP, or over TLS with the system's certificate authorities and those of
//! a file. LiveKit's signalling crates use it as their client.
//!
//! Contract: [`install`] holds for the whole process, since those crates take one client per process. A
//! certificate is always checked, and the error for a refused one says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use livekit_net::{Header, TransportError, WsClient, WsConnectResult, WsConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use url::Url;

use super::tls;
use crate::room::RoomError;

/// The file that the process's client trusts.
static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Makes signalling trust the certificates in `ca_file` besides the system's.
pub fn install(ca_file: Option<&Path>) -> Result<(), RoomError> {
    let tls = tls::connector(ca_file)?;
    let wanted = ca_file.map(Path::to_owned);
    let installed = INSTALLED.get_or_init(|| {
        livekit_net::set_ws_client(Arc::new(Client { tls }));
        wanted.clone()
    });
    match *installed == wanted {
        true => Ok(()),
        false => Err(RoomError::TrustIsSettled),
    }
}

struct Client {
    tls: TlsConnector,
}

#[async_trait]
impl WsClient for Client {
    async fn connect(
        &self,
        url: String,
        headers: Vec<Header>,
        timeout_ms: u64,
    ) -> Result<WsConnectResult, TransportError> {
        let connect = self.open(&url, &headers);
        let connected = tokio::time::timeout(Duration::from_millis(timeout_ms), connect).await;
        Ok(WsConnectResult { connection: connected.map_err(|_| TransportError::Timeout)?? })
    }
}

impl Client {
    async fn open(&self, url: &str, headers: &[Header]) -> Result<Arc<dyn WsConnection>, TransportError> {
        let request = request(url, headers)?;
        let url = Url::parse(url).map_err(failure)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let tcp = TcpStream::connect((host, port)).await.map_err(failure)?;
        tcp.set_nodelay(true).map_err(failure)?;
        if url.scheme() != "wss" {
            return shake_hands(request, tcp).await;
        }
        let name = host.to_owned().try_into().map_err(failure)?;
        let secured = self.tls.connect(name, tcp).await;
        let secured = secured.map_err(|error| {
            TransportError::Connection(format!("no TLS with {host}:{port}: {}", tls::explained(&error)))
        })?;
        shake_hands(request, secured).await
    }
}

struct Connection<S> {
    writer: Mutex<SplitSink<WebSocketStream<S>, Message>>,
    reader: Mutex<SplitStream<WebSocketStream<S>>>,
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsConnection for Connection<S> {
    async fn send(&self, frame: Vec<u8>) -> Result<(), TransportError> {
        self.writer.lock().await.send(Message::Binary(frame.into())).await.map_err(failure)
    }

    async fn recv(&self) -> Result<Option<Vec<u8>>, TransportError> {
        let mut reader = self.reader.lock().await;
        loop {
            match reader.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(Some(frame.into())),
                Some(Ok(Message::Ping(payload))) => {
                    let _ = self.writer.lock().await.send(Message::Pong(payload)).await;
                }
                // LiveKit signals in binary; tungstenite never returns a frame without its message.
                Some(Ok(Message::Pong(_) | Message::Text(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                // A killed server does not close its websocket properly.
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Io(_))) => {
                    return Ok(None);
                }
                Some(Err(error)) => return Err(failure(error)),
            }
        }
    }

    async fn close(&self) {
        let _ = self.writer.lock().await.close().await;
    }
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    request: Request<()>,
    stream: S,
) -> Result<Arc<dyn WsConnection>, TransportError> {
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((websocket, _)) => {
            let (writer, reader) = websocket.split();
            Ok(Arc::new(Connection { writer: Mutex::new(writer), reader: Mutex::new(reader) }))
        }
        Err(WsError::Http(response)) => Err(TransportError::Http { status: response.status().as_u16() }),
        Err(error) => Err(failure(error)),
    }
}

fn request(url: &str, headers: &[Header]) -> Result<Request<()>, TransportError> {
    let mut request = url.into_client_request().map_err(failure)?;
    for Header { name, value } in headers {
        let name: HeaderName = name.parse().map_err(failure)?;
        request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(failure)?);
    }
    Ok(request)
}

fn failure(error: impl std::fmt::Display) -> TransportError {
    TransportError::Connection(error.to_string())
}
