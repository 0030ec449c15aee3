//! Where a connection may lead: anywhere, or not to addresses that mean something only from this node.
//!
//! What an operator configured may be anywhere. What a stranger's certificate names may not be this node, its link or the
//! metadata service of its cloud (server-side request forgery, CWE-918); private networks stay reachable, since companies
//! have certificate authorities of their own. The check is on the addresses that are connected to, after name resolution.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// Where connections may lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Anywhere.
    #[default]
    Anywhere,
    /// Not to this node, its link or a metadata service.
    NotLocal,
}

/// All addresses of a name are out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address out of reach")]
pub(super) struct OutOfReach;

/// Metadata services outside the link-local networks: Amazon EC2 over IPv6, Alibaba Cloud, Oracle Cloud, Azure.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl Reach {
    /// Whether an address may be connected to.
    pub(super) fn includes(self, address: IpAddr) -> bool {
        self == Self::Anywhere || !is_local(address)
    }

    /// Whether a URL's host is an address that may not be connected to.
    pub(super) fn excludes_host(self, host: &str) -> bool {
        host.parse().is_ok_and(|address| !self.includes(address))
    }
}

fn is_local(address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return true;
    }
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            // 0.0.0.0/8 is "this network" (RFC 1122): Linux connects 0.0.0.0 to itself.
            first == 0
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_multicast()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || embedded(address).is_some_and(|address| is_local(IpAddr::V4(address)))
        }
    }
}

/// The IPv4 address that a translator or the system itself makes of an IPv6 address: mapped (RFC 4291), NAT64 (RFC 6052),
/// 6to4 (RFC 3056), or compatible.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Resolves names to addresses within reach.
#[derive(Debug, Clone)]
pub(super) struct Names {
    system: GaiResolver,
    reach: Reach,
}

impl Names {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            system: GaiResolver::new(),
            reach,
        }
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Service::poll_ready(&mut self.system, cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolved, reach) = (self.system.call(name), self.reach);
        Box::pin(async move {
            let all: Vec<SocketAddr> = resolved.await?.collect();
            let none = all.is_empty();
            let within: Vec<SocketAddr> = all
                .into_iter()
                .filter(|address| reach.includes(address.ip()))
                .collect();
            if within.is_empty() && !none {
                return Err(io::Error::other(OutOfReach));
            }
            Ok(within.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mean_this_node_its_link_or_a_metadata_service_are_out_of_reach() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "255.255.255.255",
            "224.0.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(Reach::NotLocal.excludes_host(local), "{local}");
            assert!(!Reach::Anywhere.excludes_host(local), "{local}");
        }
    }

    #[test]
    fn private_and_public_addresses_are_within_reach() {
        for other in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "1.1.1.1",
            "fd12::1",
            "2606:4700::1111",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(!Reach::NotLocal.excludes_host(other), "{other}");
        }
    }

    #[tokio::test]
    async fn names_are_judged_by_their_addresses() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = Names::new(Reach::NotLocal).call(name()).await;
        let error = refused.err().unwrap();
        assert!(error.get_ref().unwrap().is::<OutOfReach>());
        assert!(Names::new(Reach::Anywhere).call(name()).await.is_ok());
    }
}
