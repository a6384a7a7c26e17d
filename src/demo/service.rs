//! Owns `egressd serve` as the demo runs it, with its embedded defaults, and the calls to its REST API,
//! signed as any client signs them.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::livekit::LiveKit;
use super::process::Process;
use super::random_secret;
use crate::config::SETTINGS;
use crate::ids::{EgressId, RoomName};

/// Where the service keeps recordings below its data folder when it has no bucket.
const RECORDINGS: &str = "recordings";

pub struct Service {
    pub process: Process,
    pub rest: Rest,
}

/// A client of the recording API.
pub struct Rest {
    http: reqwest::Client,
    pub base: String,
    api_key: String,
    api_secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    pub egress_id: EgressId,
    pub started_at: jiff::Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    pub egress_id: EgressId,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Service {
    pub async fn start(http: &reqwest::Client, livekit: &LiveKit, dir: &Path) -> anyhow::Result<Self> {
        let (api_key, api_secret) = ("demo".to_owned(), random_secret());
        let port = free_port().context("no free port on the loopback interface")?;
        let this_program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut command = Command::new(this_program);
        // The user's own deployment may have set these.
        for name in SETTINGS {
            command.env_remove(name);
        }
        command
            .arg("serve")
            .env("API_HOST", "127.0.0.1")
            .env("API_PORT", port.to_string())
            .env("API_KEY", &api_key)
            .env("API_SECRET", &api_secret)
            .env("LIVEKIT_URL_INTERNAL", &livekit.url)
            .env("LIVEKIT_API_KEY", &livekit.api_key)
            .env("LIVEKIT_API_SECRET", &livekit.api_secret)
            .env("EGRESSD_DATA_DIR", dir);
        let mut process = Process::start("egressd serve", command, &dir.join("egressd.log"))?;
        let base = format!("http://127.0.0.1:{port}");
        process.answers(http, &format!("{base}/v1/health")).await?;
        let rest = Rest { http: http.clone(), base, api_key, api_secret };
        Ok(Self { process, rest })
    }
}

impl Rest {
    pub async fn start(&self, room: &RoomName) -> anyhow::Result<Started> {
        self.call(Method::POST, room, "/start").await
    }

    pub async fn stop(&self, room: &RoomName) -> anyhow::Result<Stopped> {
        self.call(Method::POST, room, "/stop").await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        room: &RoomName,
        call: &str,
    ) -> anyhow::Result<T> {
        let room = percent_encoding::utf8_percent_encode(room.as_str(), percent_encoding::NON_ALPHANUMERIC);
        let path = format!("/v1/rooms/{room}/recording{call}");
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
        let signature = signature(&self.api_secret, method.as_str(), &path, &timestamp);
        let what = format!("{method} {path}");
        let answer = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("X-Api-Key", &self.api_key)
            .header("X-RTCstack-Timestamp", timestamp)
            .header("X-RTCstack-Signature", signature)
            .send()
            .await
            .with_context(|| what.clone())?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| what.clone())?;
        if !status.is_success() {
            let why = serde_json::from_slice(&body).map_or_else(|_| String::new(), |p: Problem| p.detail);
            bail!("{what} was answered with {status}: {why}");
        }
        serde_json::from_slice(&body).with_context(|| format!("{what}: answer not understood"))
    }
}

/// Returns the path of a recording's file: `{room}/{start}.mp4` below the recordings' folder.
pub fn recording_path(dir: &Path, room: &RoomName, started_at: jiff::Timestamp) -> PathBuf {
    let name = started_at.strftime("%Y-%m-%dT%H-%M-%S.mp4").to_string();
    dir.join(RECORDINGS).join(room.as_str()).join(name)
}

/// Returns the signature of a request without a body.
fn signature(secret: &str, method: &str, path: &str, timestamp: &str) -> String {
    let body = hex::encode(Sha256::digest([]));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update([method, path, timestamp, &body].join("\n").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_the_contract_says() {
        // printf 'POST\n/v1/rooms/demo/recording/start\n1700000000\n'"$(printf '' | sha256sum | cut -c-64)" \
        //   | openssl dgst -sha256 -hmac secret
        let signed = signature("secret", "POST", "/v1/rooms/demo/recording/start", "1700000000");
        assert_eq!(signed, "938da1554efdaea584357469fa5d61c97775b2e4703c1447088ff7c89fb55ee2");
    }

    #[test]
    fn the_file_is_named_after_the_start_of_the_recording() {
        let room = "demo".parse().unwrap();
        let path = recording_path(Path::new("d"), &room, "2024-04-21T10:00:00.987Z".parse().unwrap());
        assert_eq!(path, Path::new("d/recordings/demo/2024-04-21T10-00-00.mp4"));
    }
}
