//! Owns the LiveKit server of the demo: finds the program, gives it free ports on the loopback interface and
//! keys of its own, and waits until it is ready.

use std::env;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::process::Process;
use super::random_secret;

const PROGRAM_VARIABLE: &str = "EGRESSD_LIVEKIT_SERVER";
const PROGRAM: &str = "livekit-server";

pub struct LiveKit {
    pub process: Process,
    pub url: String,
    pub api_key: String,
    pub api_secret: String,
}

struct Ports {
    signal: u16,
    tcp: u16,
    udp: u16,
}

impl LiveKit {
    pub async fn start(http: &reqwest::Client, log: &Path) -> anyhow::Result<Self> {
        let program = program()?;
        let ports = Ports::free()?;
        let (api_key, api_secret) = ("demo".to_owned(), random_secret());
        let mut command = Command::new(program);
        // Passed in the environment: everybody on the machine could read a secret among the arguments.
        command.env("LIVEKIT_CONFIG", configuration(&ports, &api_key, &api_secret));
        let mut process = Process::start("the LiveKit server", command, log)?;
        let address = format!("127.0.0.1:{}", ports.signal);
        process.answers(http, &format!("http://{address}/")).await?;
        Ok(Self { process, url: format!("ws://{address}"), api_key, api_secret })
    }
}

fn program() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os(PROGRAM_VARIABLE) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{PROGRAM_VARIABLE} names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(PROGRAM)).find(|p| p.is_file());
    found.with_context(|| {
        format!(
            "the demo needs a LiveKit server and finds none: `./dev demo` brings one along; or \
             install `{PROGRAM}` (https://github.com/livekit/livekit/releases) somewhere on PATH, \
             or name the program in {PROGRAM_VARIABLE}"
        )
    })
}

impl Ports {
    /// Asks the system for ports and frees them again. Another process could take one before the server does.
    /// The server then reports it, and the demo fails with that message.
    fn free() -> anyhow::Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let bound = || -> std::io::Result<_> {
            Ok((TcpListener::bind(any)?, TcpListener::bind(any)?, UdpSocket::bind(any)?))
        };
        let (signal, tcp, udp) = bound().context("no free port on the loopback interface")?;
        let port = |address: std::io::Result<std::net::SocketAddr>| address.map(|a| a.port());
        Ok(Self {
            signal: port(signal.local_addr())?,
            tcp: port(tcp.local_addr())?,
            udp: port(udp.local_addr())?,
        })
    }
}

fn configuration(ports: &Ports, api_key: &str, api_secret: &str) -> String {
    let Ports { signal, tcp, udp } = ports;
    format!(
        "port: {signal}\n\
         bind_addresses: [127.0.0.1]\n\
         rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, node_ip: 127.0.0.1}}\n\
         keys: {{{api_key}: {api_secret}}}\n\
         logging: {{level: info}}\n"
    )
}
