//! The real servers beside egressd: LiveKit and MinIO, each on loopback ports of its own.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use livekit_token::{AccessToken, VideoGrants};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;

use super::faults::{self, FaultProxy};
use super::process::{Process, free_tcp_port};
use super::tools;

/// How the recorder reaches LiveKit's media port.
#[derive(Clone, Copy, Debug, Default)]
pub enum Network {
    #[default]
    Direct,
    /// The recorder reaches it by IPv6 alone, if its signalling goes through a relay that says so. For LiveKit it is IPv4:
    /// it takes ::1 for an address that nobody can be reached at (RFC 8445, section 5.1.1.1).
    Ipv6,
    /// Through a relay that does harm as it is told; `seed` decides which datagrams it loses.
    Faulty { seed: u64, feedback: Feedback },
}

/// From what LiveKit learns how much the way to a participant carries.
#[derive(Clone, Copy, Debug)]
pub enum Feedback {
    /// From the receiver's own, as it does by default (REMB).
    Estimate,
    /// From when each packet came, with its `use_send_side_bwe`.
    TransportWide,
}

pub struct LiveKit {
    process: Process,
    folder: PathBuf,
    port: u16,
    media_port: u16,
    media_tcp_port: u16,
    faults: Option<FaultProxy>,
    ipv6: Option<FaultProxy>,
}

impl LiveKit {
    const CONFIG: &str = "livekit.yaml";
    pub const KEY: &str = "devkey";
    /// LiveKit refuses secrets below 32 characters.
    pub const SECRET: &str = "an-end-to-end-test-secret-of-livekit";

    pub async fn start(folder: &Path, network: Network) -> Self {
        Self::start_telling(folder, network, None).await
    }

    /// One that posts webhooks of its own to `hook`.
    pub async fn start_telling(folder: &Path, network: Network, hook: Option<&str>) -> Self {
        let port = free_tcp_port();
        let media_port = faults::free_port();
        let media_tcp_port = free_tcp_port();
        let mut config = Self::config(port, (media_tcp_port, media_port), network);
        if let Some(url) = hook {
            config.push_str(&format!("webhook: {{api_key: {}, urls: [\"{url}\"]}}\n", Self::KEY));
        }
        fs::write(folder.join(Self::CONFIG), config).expect("the test's folder can be written to");
        let process = Self::run(folder, port).await;
        let faults = match network {
            Network::Direct => None,
            Network::Ipv6 => Some(FaultProxy::open(media_port, 0)),
            Network::Faulty { seed, .. } => Some(FaultProxy::open(media_port, seed)),
        };
        let ipv6 = match network {
            Network::Direct | Network::Faulty { .. } => None,
            Network::Ipv6 => Some(FaultProxy::open_at(Ipv6Addr::LOCALHOST.into(), media_port, 0)),
        };
        Self { process, folder: folder.to_owned(), port, media_port, media_tcp_port, faults, ipv6 }
    }

    /// Starts the server anew, on the same ports, after [`kill_hard`](super::service::kill_hard): it knows nothing
    /// of before.
    pub async fn start_again(&mut self) {
        self.process = Self::run(&self.folder, self.port).await;
    }

    async fn run(folder: &Path, port: u16) -> Process {
        let mut command = Command::new(tools::livekit_server());
        let mut process =
            Process::start("livekit", command.arg("--config").arg(folder.join(Self::CONFIG)), folder);
        process.until(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        process
    }

    fn config(port: u16, (tcp, udp): (u16, u16), network: Network) -> String {
        let (key, secret) = (Self::KEY, Self::SECRET);
        let (node_ip, lite) = match network {
            Network::Direct => (faults::BACK, false),
            // A full ICE agent would itself send to its clients' sockets, past the relay.
            Network::Ipv6 | Network::Faulty { .. } => (faults::FRONT, true),
        };
        let transport_wide = matches!(network, Network::Faulty { feedback: Feedback::TransportWide, .. });
        let back = faults::BACK;
        format!(
            "port: {port}\n\
             bind_addresses: [127.0.0.1]\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, node_ip: {node_ip}, ips: {{includes: [{back}/32]}}, enable_loopback_candidate: true, use_ice_lite: {lite}, congestion_control: {{use_send_side_bwe: {transport_wide}}}}}\n\
             keys: {{{key}: {secret}}}\n\
             logging: {{level: info}}\n"
        )
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// What the server calls the place where it takes media by TCP, and what that is to be called where it is not
    /// reached through a NAT: it knows a connection by the address that it comes in at.
    pub fn media_by_tcp(&self) -> (String, String) {
        let at = |address| format!(" {address} {} ", self.media_tcp_port);
        (at(faults::FRONT), at(faults::BACK))
    }

    /// What the server calls the place where it takes media by UDP, and an equally long name of where the relay of IPv6
    /// takes it.
    pub fn media_by_ipv6(&self) -> (String, String) {
        let at = |address: &str| format!(" {address} {} ", self.media_port);
        (at("127.0.0.2"), at("0:0:0::01"))
    }

    /// Of signalling.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The relay of a LiveKit with [`Network::Faulty`].
    pub fn faults(&self) -> &FaultProxy {
        self.faults.as_ref().expect("the stage was opened with a faulty network")
    }

    /// The relay of a LiveKit with [`Network::Ipv6`].
    pub fn ipv6(&self) -> &FaultProxy {
        self.ipv6.as_ref().expect("the stage was opened with a way by IPv6")
    }

    /// Makes a room that nobody is in; returns its name.
    pub async fn create_room<'a>(&self, room: &'a str) -> &'a str {
        let grants = VideoGrants { room_create: true, ..Default::default() };
        self.call("CreateRoom", grants, json!({"name": room})).await;
        room
    }

    /// LiveKit's id of the room that has this name now.
    pub async fn room_sid(&self, room: &str) -> String {
        let grants = VideoGrants { room_list: true, ..Default::default() };
        let rooms = self.call("ListRooms", grants, json!({"names": [room]})).await;
        rooms["rooms"][0]["sid"].as_str().unwrap_or_else(|| panic!("no room {room}: {rooms}")).to_owned()
    }

    /// Closes the room and sends everybody away.
    pub async fn delete_room(&self, room: &str) {
        let grants = VideoGrants { room_create: true, ..Default::default() };
        self.call("DeleteRoom", grants, json!({"room": room})).await;
    }

    /// Who is in the room, with which tracks, as LiveKit's API says it.
    pub async fn participants(&self, room: &str) -> Value {
        let grants = VideoGrants { room_admin: true, room: room.to_owned(), ..Default::default() };
        self.call("ListParticipants", grants, json!({"room": room})).await["participants"].take()
    }

    /// An access token with which `egressd worker` joins, as the service makes them, that expires then.
    pub fn recorder_token(room: &str, identity: &str, expires: Timestamp) -> String {
        let grants = json!({
            "roomJoin": true, "room": room, "canSubscribe": true, "canPublish": false, "canPublishData": false,
            "hidden": true, "recorder": true
        });
        let claims = json!({
            "iss": Self::KEY, "sub": identity, "nbf": 0, "exp": expires.as_second(),
            "kind": "egress", "video": grants
        });
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
        let mut hmac = Hmac::<Sha256>::new_from_slice(Self::SECRET.as_bytes()).expect("any length will do");
        hmac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(hmac.finalize().into_bytes()))
    }

    /// Whether the server lets in who has this token.
    pub async fn takes(&self, token: &str) -> bool {
        let url = format!("http://127.0.0.1:{}/rtc/validate", self.port);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await;
        answer.expect("livekit answers").status().is_success()
    }

    async fn call(&self, method: &str, grants: VideoGrants, request: Value) -> Value {
        let token = AccessToken::with_api_key(Self::KEY, Self::SECRET).with_grants(grants).to_jwt();
        let answer = reqwest::Client::new()
            .post(format!("http://127.0.0.1:{}/twirp/livekit.RoomService/{method}", self.port))
            .bearer_auth(token.expect("a token can be made"))
            .json(&request)
            .send()
            .await
            .expect("livekit answers");
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.expect("livekit answers in JSON")
    }
}

pub struct Minio {
    process: Process,
    port: u16,
    folder: PathBuf,
}

impl Minio {
    pub const ACCESS_KEY: &str = "end-to-end";
    pub const SECRET_KEY: &str = "an-end-to-end-test-secret-of-minio";
    pub const BUCKET: &str = "rtcstack-recordings";

    pub async fn start(folder: &Path) -> Self {
        let port = free_tcp_port();
        Self { process: Self::run(folder, port).await, port, folder: folder.to_owned() }
    }

    /// Starts the server anew after [`kill_hard`](super::service::kill_hard), with what it had on its disk.
    pub async fn start_again(&mut self) {
        self.process = Self::run(&self.folder, self.port).await;
    }

    async fn run(folder: &Path, port: u16) -> Process {
        let mut command = Command::new(tools::minio());
        command
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .args(["--console-address", &format!("127.0.0.1:{}", free_tcp_port())])
            .arg(folder.join("minio"))
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY);
        let mut process = Process::start("minio", &mut command, folder);
        let health = format!("http://127.0.0.1:{port}/minio/health/live");
        process
            .until(async || reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success()))
            .await;
        process
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Size and content type of an object, as boto3 sees them.
    pub fn head(&self, key: &str) -> Value {
        self.ask(&["head", key])
    }

    /// Every object's key and size.
    pub fn objects(&self) -> Value {
        self.ask(&["ls"])
    }

    /// The sizes of the parts that an upload of `key` has in the bucket now.
    pub fn unfinished_parts(&self, key: &str) -> Vec<u64> {
        let parts = self.ask(&["parts", key]);
        parts.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    }

    /// How many uploads in parts MinIO keeps whose objects are not complete.
    pub fn unfinished_uploads(&self) -> usize {
        // It lists them by their exact keys only, so that nobody can ask for all: its own folder says it.
        let folder = self.folder.join("minio/.minio.sys/multipart");
        std::fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
    }

    /// Downloads an object through a presigned URL; the file stays if the test fails.
    pub fn download(&self, key: &str) -> PathBuf {
        let file = self.folder.join(key.replace('/', "_"));
        let file_name = file.to_str().expect("the test's folder has a name in UTF-8");
        self.ask(&["get", key, file_name]);
        file
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        let mut command = tools::python("bucket.py");
        command
            .args([&format!("http://127.0.0.1:{}", self.port), Self::BUCKET])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY);
        tools::json(&mut command)
    }
}
