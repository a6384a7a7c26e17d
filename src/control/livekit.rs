//! Asks the LiveKit server whether a room exists, over its Twirp API (`RoomService/ListRooms`).
//!
//! Does not join anything: that is the worker's. Contract: an answer or an error within [`TIMEOUT`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use reqwest::{Certificate, Client, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::shared::LivekitAccess;
use crate::ids::RoomName;

/// A caller of `start` waits for it; a LiveKit server answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The token is made for one request; this leaves room for clocks that differ a little.
const TOKEN_TTL: Duration = Duration::from_secs(60);

/// A client of one LiveKit server.
#[derive(Debug, Clone)]
pub struct Livekit {
    client: Client,
    list_rooms: String,
    api_key: String,
    api_secret: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum LivekitError {
    #[error("cannot read the certificates in {file}")]
    CaFile { file: PathBuf, source: std::io::Error },
    #[error("cannot use the certificates in {file}")]
    Certificates { file: PathBuf, source: reqwest::Error },
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("no token could be made")]
    Token(#[source] AccessTokenError),
    #[error("no answer from LiveKit")]
    Transport(#[source] reqwest::Error),
    #[error("LiveKit answered {0}; check its API key and secret")]
    Refused(StatusCode),
}

#[derive(Serialize)]
struct ListRooms<'a> {
    names: [&'a str; 1],
}

#[derive(Deserialize)]
struct Rooms {
    #[serde(default)]
    rooms: Vec<Room>,
}

#[derive(Deserialize)]
struct Room {
    #[serde(default)]
    name: String,
}

impl Livekit {
    /// `http_url` is the server's URL without a slash at its end. Fails where the TLS set-up of the
    /// host does, or that of `access`.
    pub fn new(http_url: &str, access: &LivekitAccess) -> Result<Self, LivekitError> {
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            // The token must not go to somebody else.
            .redirect(redirect::Policy::none());
        if let Some(file) = &access.ca_file {
            client = client.tls_certs_merge(certificates(file)?);
        }
        let client = client.build().map_err(LivekitError::Client)?;
        Ok(Self {
            client,
            list_rooms: format!("{http_url}/twirp/livekit.RoomService/ListRooms"),
            api_key: access.api_key.clone(),
            api_secret: access.api_secret.clone(),
        })
    }

    pub async fn room_exists(&self, room: &RoomName) -> Result<bool, LivekitError> {
        let request = self
            .client
            .post(&self.list_rooms)
            .bearer_auth(self.token()?)
            .json(&ListRooms { names: [room.as_str()] });
        let transport = |error: reqwest::Error| LivekitError::Transport(error.without_url());
        let response = request.send().await.map_err(transport)?;
        if !response.status().is_success() {
            return Err(LivekitError::Refused(response.status()));
        }
        let answer: Rooms = response.json().await.map_err(transport)?;
        Ok(answer.rooms.iter().any(|found| found.name == room.as_str()))
    }

    fn token(&self) -> Result<String, LivekitError> {
        let grants = VideoGrants { room_list: true, ..VideoGrants::default() };
        AccessToken::with_api_key(&self.api_key, self.api_secret.expose_secret())
            .with_ttl(TOKEN_TTL)
            .with_grants(grants)
            .to_jwt()
            .map_err(LivekitError::Token)
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, LivekitError> {
    let pem = std::fs::read(file).map_err(|source| LivekitError::CaFile { file: file.to_owned(), source })?;
    Certificate::from_pem_bundle(&pem)
        .map_err(|source| LivekitError::Certificates { file: file.to_owned(), source })
}
