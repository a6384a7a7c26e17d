//! Asks the LiveKit server over HTTP: whether a room exists (`RoomService/ListRooms`, by its Twirp API), whether it
//! takes our key, and whether its signalling can be reached.
//!
//! Does not join anything: that is the worker's. Contract: an answer or an error within [`TIMEOUT`] a question.

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

use super::shared::LivekitAccess;
use crate::ids::{RoomName, RoomSid};

/// A caller of `start` waits for it; a LiveKit server answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The token is made for one request; this leaves room for clocks that differ a little.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// A room that is asked for when only the answer matters. There need not be one.
const ANY_ROOM: &str = "egressd-check";

/// A client of one LiveKit server.
#[derive(Debug, Clone)]
pub struct Livekit {
    client: Client,
    /// Without a slash at its end.
    url: String,
    api_key: String,
    api_secret: SecretString,
}

/// Whose fault it is, as far as it can be told. No message holds an address or a key.
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

/// What is known of a server that has answered and takes our key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// How far its clock is ahead of ours, to half a second; nothing if it does not say.
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
            url: http_url.to_owned(),
            api_key: access.api_key.clone(),
            api_secret: access.api_secret.clone(),
        })
    }

    pub async fn room_exists(&self, room: &RoomName) -> Result<bool, LivekitError> {
        Ok(self.room_sid(room).await?.is_some())
    }

    /// The id of the room's present session; none if there is no such room.
    pub async fn room_sid(&self, room: &RoomName) -> Result<Option<RoomSid>, LivekitError> {
        let rooms = rooms(self.list_rooms(room.as_str()).await?).await?;
        Ok(rooms.into_iter().find(|found| found.name == room.as_str()).map(|found| RoomSid(found.sid)))
    }

    /// Whether it answers and takes our key, and what its clock says.
    pub async fn ask(&self) -> Result<Answered, LivekitError> {
        let sent = Timestamp::now();
        let response = self.list_rooms(ANY_ROOM).await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let ahead = date.and_then(|date| clock::ahead(date, sent, Timestamp::now()));
        rooms(response).await?;
        Ok(Answered { ahead })
    }

    /// Whether a websocket comes through to it. Takes no key.
    pub async fn try_websocket(&self) -> Result<(), LivekitError> {
        signalling::try_websocket(self).await
    }

    /// Whether it would let a recorder in. Nothing is joined, and no room is made.
    pub async fn try_token(&self) -> Result<(), LivekitError> {
        signalling::try_token(self).await
    }

    async fn list_rooms(&self, name: &str) -> Result<Response, LivekitError> {
        let grants = VideoGrants { room_list: true, ..VideoGrants::default() };
        let request = self
            .client
            .post(format!("{}/twirp/livekit.RoomService/ListRooms", self.url))
            .bearer_auth(self.token(|token| token.with_grants(grants))?)
            .json(&ListRooms { names: [name] });
        let response = request.send().await.map_err(transport)?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refusal::of(response).await),
        }
    }

    fn token(&self, granting: impl FnOnce(AccessToken) -> AccessToken) -> Result<String, LivekitError> {
        let token = AccessToken::with_api_key(&self.api_key, self.api_secret.expose_secret());
        granting(token.with_ttl(TOKEN_TTL)).to_jwt().map_err(LivekitError::Token)
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
