//! A fake LiveKit that lists its rooms, and does nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::livekit::{Livekit, LivekitAccess};

pub struct FakeLivekit {
    url: String,
    rooms: Arc<Mutex<String>>,
    server: Option<JoinHandle<()>>,
}

impl FakeLivekit {
    /// Its rooms; `None` if it does not respond.
    pub async fn start(rooms: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let known = Arc::new(Mutex::new(rooms.unwrap_or_default().to_owned()));
        let answers = Arc::clone(&known);
        let server = rooms.map(|_| {
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let rooms = answers.lock().unwrap().clone();
                    answer(stream, &rooms).await;
                }
            })
        });
        Self { url, rooms: known, server }
    }

    /// Replaces its rooms.
    pub fn knows(&self, rooms: &str) {
        *self.rooms.lock().unwrap() = rooms.to_owned();
    }

    pub fn client(&self) -> Livekit {
        let access = LivekitAccess {
            url: "ws://livekit".into(),
            api_key: "key".into(),
            api_secret: "secret".into(),
            ca_file: None,
            give_up_after: Duration::from_secs(60),
        };
        Livekit::new(&self.url, &access).unwrap()
    }
}

impl Drop for FakeLivekit {
    fn drop(&mut self) {
        self.server.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(mut stream: TcpStream, rooms: &str) {
    let mut request = [0; 4096];
    let _read = stream.read(&mut request).await;
    let len = rooms.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{rooms}"
    );
    let _written = stream.write_all(answer.as_bytes()).await;
}
