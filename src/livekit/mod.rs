//! Asks the LiveKit server over HTTP: whether a room exists (`RoomService/ListRooms`, by its Twirp API),
//! whether it accepts our key, and whether its signalling can be reached.
//!
//! Does not join rooms: workers do. Contract: every request returns within `TIMEOUT`.

mod clock;
mod refusal;
mod signalling;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use reqwest::header::DATE;
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::LivekitConfig;
use crate::ids::{RoomName, RoomSid};

/// A caller of `start` waits for this. A LiveKit server answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Of a token for one request. This leaves room for clocks that differ a little.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// The room in requests for which any room will do. It need not exist.
const ANY_ROOM: &str = "egressd-check";

/// How to reach the LiveKit server, as workers do.
pub struct LivekitAccess {
    /// `ws://` or `wss://`.
    pub url: String,
    pub api_key: String,
    pub api_secret: SecretString,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long the server may be out of reach before a recording ends.
    pub give_up_after: Duration,
}

impl From<&LivekitConfig> for LivekitAccess {
    fn from(config: &LivekitConfig) -> Self {
        let LivekitConfig { url, api_key, api_secret, ca_file, reconnect_timeout } = config.clone();
        Self { url, api_key, api_secret, ca_file, give_up_after: reconnect_timeout }
    }
}

/// A client of one LiveKit server.
#[derive(Debug, Clone)]
pub struct Livekit {
    client: Client,
    /// Without a slash at its end.
    url: String,
    api_key: String,
    api_secret: SecretString,
}

/// The cause of a failure, as far as it is known. No message holds an address or a key.
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
    #[error("LiveKit does not know the API key")]
    UnknownKey,
    #[error("LiveKit has another API secret for the key")]
    WrongSecret,
    #[error("LiveKit's clock is too far from this machine's for a token of it to be valid")]
    ClocksApart,
    #[error("what answers is not a LiveKit server (status {0})")]
    NotLivekit(StatusCode),
    #[error("LiveKit answered {0}")]
    Refused(StatusCode),
    #[error("websockets do not come through to LiveKit (status {0})")]
    NoWebsocket(StatusCode),
    #[error("LiveKit would not let a recorder into a room (status {0})")]
    NotLetIn(StatusCode),
}

/// What is known of a server that has answered and accepts our key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// How far its clock is ahead of this machine's, to half a second; `None` without a `Date`.
    pub ahead: Option<SignedDuration>,
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
    #[serde(default)]
    sid: String,
}

impl Livekit {
    /// `http_url` is the server's URL without a slash at its end. Fails if the TLS configuration of the host
    /// or of `access` is unusable.
    pub fn new(http_url: &str, access: &LivekitAccess) -> Result<Self, LivekitError> {
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            // The token must not be sent to another server.
            .redirect(redirect::Policy::none());
        if let Some(file) = &access.ca_file {
            client = client.tls_certs_merge(certificates(file)?);
        }
        let client = client.build().map_err(LivekitError::Client)?;
        Ok(Self {
            client,
            url: http_url.to_owned(),
            api_key: access.api_key.clone(),
            api_secret: access.api_secret.clone(),
        })
    }

    pub async fn room_exists(&self, room: &RoomName) -> Result<bool, LivekitError> {
        Ok(self.room_sid(room).await?.is_some())
    }

    /// Returns the id of the room's present session; `None` if there is no such room.
    pub async fn room_sid(&self, room: &RoomName) -> Result<Option<RoomSid>, LivekitError> {
        let rooms = rooms(self.list_rooms(room.as_str()).await?).await?;
        Ok(rooms.into_iter().find(|found| found.name == room.as_str()).map(|found| RoomSid(found.sid)))
    }

    /// Checks that the server answers and accepts our key; returns how far its clock is ahead.
    pub async fn ask(&self) -> Result<Answered, LivekitError> {
        let sent = Timestamp::now();
        let response = self.list_rooms(ANY_ROOM).await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let ahead = date.and_then(|date| clock::ahead(date, sent, Timestamp::now()));
        rooms(response).await?;
        Ok(Answered { ahead })
    }

    /// Checks that a websocket reaches the server. Needs no key.
    pub async fn try_websocket(&self) -> Result<(), LivekitError> {
        signalling::try_websocket(self).await
    }

    /// Checks that the server would let a recorder join. Joins and creates no room.
    pub async fn try_token(&self) -> Result<(), LivekitError> {
        signalling::try_token(self).await
    }

    /// Returns a token that joins this room as a hidden recorder, and is valid for `ttl`. The identity distinguishes several
    /// recorders in one room.
    pub fn recorder_token(
        &self,
        room: &str,
        identity: &str,
        ttl: Duration,
    ) -> Result<SecretString, LivekitError> {
        let grants = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            can_subscribe: Some(true),
            can_publish: Some(false),
            can_publish_data: Some(false),
            hidden: true,
            // This sets the room's `active_recording`, and so the clients show that they are recorded.
            recorder: true,
            ..VideoGrants::default()
        };
        let token =
            self.token(ttl, |token| token.with_identity(identity).with_kind("egress").with_grants(grants))?;
        Ok(token.into())
    }

    async fn list_rooms(&self, name: &str) -> Result<Response, LivekitError> {
        let grants = VideoGrants { room_list: true, ..VideoGrants::default() };
        let request = self
            .client
            .post(format!("{}/twirp/livekit.RoomService/ListRooms", self.url))
            .bearer_auth(self.token(TOKEN_TTL, |token| token.with_grants(grants))?)
            .json(&ListRooms { names: [name] });
        let response = request.send().await.map_err(transport)?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refusal::of(response).await),
        }
    }

    fn token(
        &self,
        ttl: Duration,
        granting: impl FnOnce(AccessToken) -> AccessToken,
    ) -> Result<String, LivekitError> {
        let token = AccessToken::with_api_key(&self.api_key, self.api_secret.expose_secret());
        granting(token.with_ttl(ttl)).to_jwt().map_err(LivekitError::Token)
    }
}

async fn rooms(response: Response) -> Result<Vec<Room>, LivekitError> {
    let status = response.status();
    let answer = response.json::<Rooms>().await;
    answer.map(|answer| answer.rooms).map_err(|error| match error.is_decode() {
        true => LivekitError::NotLivekit(status),
        false => transport(error),
    })
}

fn transport(error: reqwest::Error) -> LivekitError {
    LivekitError::Transport(error.without_url())
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, LivekitError> {
    let pem = std::fs::read(file).map_err(|source| LivekitError::CaFile { file: file.to_owned(), source })?;
    Certificate::from_pem_bundle(&pem)
        .map_err(|source| LivekitError::Certificates { file: file.to_owned(), source })
}
