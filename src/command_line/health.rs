//! `egressd health`: requests the health of the service on this machine. It is for people, and for
//! containers, which have no curl.
//!
//! Does not decide what is healthy: `front::rest::health` does. Contract: the service's answer goes to
//! standard output unchanged, and the exit code says whether the service is as requested.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use reqwest::{Client, StatusCode};
use url::Url;

use crate::config::{Config, ConfigErrors};

/// A service that takes longer counts as one that does not answer. Shorter than the limit of the container's
/// health check.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const PATH: &str = "/v1/health";

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the service is, such as http://127.0.0.1:8080; by default where this configuration has it
    /// listen.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Be content with a service that answers, even if it could not start a recording now.
    #[arg(long)]
    alive: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("API_PORT is 0, so only the log says which port the service has; name it with --url")]
    AnyPort,
    #[error("no service answers at {url}")]
    Silent {
        url: Url,
        #[source]
        source: reqwest::Error,
    },
    #[error("what answers at {url} is not egressd: {status}")]
    Stranger { url: Url, status: StatusCode },
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Returns whether the service is as requested: able to start a recording, or with `--alive` able to answer.
pub async fn run(args: HealthArgs) -> Result<bool, HealthError> {
    let url = match args.url {
        Some(url) => with_path(url),
        None => here(Config::load()?.api.listen)?,
    };
    let silent = |source| HealthError::Silent { url: url.clone(), source };
    // A proxy that the environment names does not lead to this machine.
    let client = Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build().map_err(silent)?;
    let answer = client.get(url.clone()).send().await.map_err(silent)?;
    let status = answer.status();
    let text = answer.text().await.map_err(silent)?;
    writeln!(io::stdout(), "{}", text.trim_end())?;
    match status {
        StatusCode::OK => Ok(true),
        StatusCode::SERVICE_UNAVAILABLE => Ok(args.alive),
        status => Err(HealthError::Stranger { url, status }),
    }
}

fn with_path(mut url: Url) -> Url {
    url.set_path(PATH);
    url
}

/// Returns the URL at which the service is reached on the same machine.
fn here(listen: SocketAddr) -> Result<Url, HealthError> {
    if listen.port() == 0 {
        return Err(HealthError::AnyPort);
    }
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    let address = SocketAddr::new(ip, listen.port());
    Ok(Url::parse(&format!("http://{address}{PATH}")).expect("a socket address is a URL's authority"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(listen: &str) -> String {
        here(listen.parse().expect("an address")).expect("a URL").to_string()
    }

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(asked("0.0.0.0:8080"), "http://127.0.0.1:8080/v1/health");
        assert_eq!(asked("[::]:8080"), "http://[::1]:8080/v1/health");
    }

    #[test]
    fn a_service_that_listens_at_one_address_is_asked_there() {
        assert_eq!(asked("10.1.2.3:80"), "http://10.1.2.3/v1/health");
    }

    #[test]
    fn a_port_that_only_the_log_knows_is_asked_for() {
        let fault = here("127.0.0.1:0".parse().expect("an address")).expect_err("no port");
        assert!(fault.to_string().contains("--url"), "{fault}");
    }

    #[test]
    fn the_path_of_a_url_that_was_given_does_not_matter() {
        let url = with_path("http://egressd.internal:8080/".parse().expect("a URL"));
        assert_eq!(url.as_str(), "http://egressd.internal:8080/v1/health");
    }
}
