//! Owns where webhooks may go: which addresses are refused, and that a connection goes to the address that
//! was checked.
//!
//! Contract: with `PublicOnly` no connection is made to an address that is not public. The HTTP client's own
//! resolver resolves a host name once for each connection, and refuses it if any of its addresses is not
//! public. A URL with a literal address never reaches a resolver; it is checked before.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::error::TargetRefused;

/// How long [`TargetPolicy::check_now`] waits for the name servers, because a caller waits for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// How many names are resolved at a time. If a name server does not answer, its lookup keeps a thread for up
/// to half a minute, longer than any caller waits. The database needs threads, too.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// The addresses that webhooks may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPolicy {
    PublicOnly,
    /// The operator trusts everybody who registers webhooks with every address that this host can reach.
    AnyAddress,
}

impl TargetPolicy {
    /// Checks a URL as far as that is possible without resolving its host: a literal address.
    pub fn check_literal(self, url: &Url) -> Result<(), TargetRefused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(url.host_str(), [address.into()]),
            Some(Host::Ipv6(address)) => self.check(url.host_str(), [address.into()]),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Checks a URL as a delivery would now. A name that cannot be resolved passes: it may resolve when
    /// something is delivered, and is checked again then.
    pub async fn check_now(self, url: &Url) -> Result<(), TargetRefused> {
        self.check_literal(url)?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        let looked_up = tokio::time::timeout(LOOKUP_TIMEOUT, lookup(name)).await;
        match looked_up.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(addresses) => self.check(Some(name), addresses.iter().map(SocketAddr::ip)),
            Err(error) => {
                tracing::debug!(host = name, %error, "webhook host does not resolve now");
                Ok(())
            }
        }
    }

    fn check(
        self,
        host: Option<&str>,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), TargetRefused> {
        let refused = match self {
            Self::AnyAddress => None,
            Self::PublicOnly => addresses.into_iter().find(|address| !is_public(*address)),
        };
        match refused {
            Some(address) => Err(TargetRefused { host: host.unwrap_or_default().to_owned(), address }),
            None => Ok(()),
        }
    }
}

/// The HTTP client's resolver: the client connects only to addresses that this returns.
pub(super) struct CheckedResolver(pub TargetPolicy);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let addresses = lookup(name.as_str()).await?;
            policy.check(Some(name.as_str()), addresses.iter().map(SocketAddr::ip))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Resolves a host. The HTTP client replaces port 0 by the URL's port.
async fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    let turn = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let looked_up = tokio::task::spawn_blocking(move || {
        // Released when the lookup is over, even if its caller stops waiting earlier.
        let _turn = turn;
        Ok((host.as_str(), 0).to_socket_addrs()?.collect())
    });
    looked_up.await.map_err(io::Error::other)?
}

/// Returns whether an address belongs to the public internet, by the IANA special-purpose registries. An
/// address that contains an IPv4 address is judged by the IPv4 address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            // Global unicast is 2000::/3; loopback, unspecified, unique local (fc00::/7), link-local
            // (fe80::/10), site-local, multicast and NAT64's local prefix (64:ff9b:1::/48) all lie outside it.
            None => v6.segments()[0] & 0xe000 == 0x2000 && !is_special_unicast(v6),
        },
    }
}

/// Returns whether an address is reserved within global unicast: protocol assignments (2001::/23, with
/// Teredo, which hides an IPv4 address, and benchmarking) or documentation (2001:db8::/32, 3fff::/20).
fn is_special_unicast(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    (first == 0x2001 && (second & 0xfe00 == 0 || second == 0xdb8))
        || (first == 0x3fff && second & 0xf000 == 0)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let this_network = a == 0;
    let shared_by_carriers = a == 100 && b & 0xc0 == 64; // RFC 6598, 100.64.0.0/10
    let protocol_assignments = (a, b, c) == (192, 0, 0); // RFC 6890
    let relays = (a, b, c) == (192, 88, 99); // RFC 7526, 6to4's anycast, withdrawn
    let benchmarking = a == 198 && b & 0xfe == 18; // RFC 2544, 198.18.0.0/15
    let multicast_or_reserved = a >= 224;
    !(this_network
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || shared_by_carriers
        || address.is_documentation()
        || protocol_assignments
        || relays
        || benchmarking
        || multicast_or_reserved)
}

/// Returns the IPv4 address inside an IPv4-mapped (`::ffff:a.b.c.d`), NAT64 (`64:ff9b::a.b.c.d`, RFC 6052) or
/// 6to4 (`2002:aabb:ccdd::`, RFC 3056) address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_told_apart() {
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2001::1",
            "2001:0:5ef5:79fd::1",
            "2001:db8::1",
            "3fff::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in inside {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let outside = [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "223.255.255.1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700:4700::1111",
            "2a00::1",
        ];
        for address in outside {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_literal_address_is_refused_however_it_is_spelled() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://0/",
            "http://127.0.0.1./",
            "http://127%2e0.0.1/",
            "http://１２７.０.０.１/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "https://[::1]:8443/hook",
            "http://[::ffff:10.0.0.1]/",
        ] {
            let url: Url = url.parse().unwrap();
            assert!(TargetPolicy::PublicOnly.check_literal(&url).is_err(), "{url}");
            assert_eq!(TargetPolicy::AnyAddress.check_literal(&url), Ok(()));
        }
        let public = "http://1.1.1.1/".parse().unwrap();
        assert_eq!(TargetPolicy::PublicOnly.check_literal(&public), Ok(()));
    }

    #[tokio::test]
    async fn a_name_is_refused_by_what_it_resolves_to() {
        let url: Url = "http://localhost:1234/hook".parse().unwrap();
        assert!(TargetPolicy::PublicOnly.check_now(&url).await.is_err());
        assert_eq!(TargetPolicy::AnyAddress.check_now(&url).await, Ok(()));
    }
}
