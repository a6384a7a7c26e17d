//! Asks the LiveKit server whether a room exists, over its Twirp API (`RoomService/ListRooms`).
//!
//! Does not join anything: that is the worker's. Contract: an answer or an error within [`TIMEOUT`].

use std::time::Duration;

use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use reqwest::{Client, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

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
    /// host does.
    pub fn new(http_url: &str, api_key: &str, api_secret: SecretString) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            // The token must not go to somebody else.
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            list_rooms: format!("{http_url}/twirp/livekit.RoomService/ListRooms"),
            api_key: api_key.to_owned(),
            api_secret,
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
