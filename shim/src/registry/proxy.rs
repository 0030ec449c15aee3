//! The proxies of containerd's environment, by Go's rules (`golang.org/x/net/http/httpproxy`), since containerd is
//! what must be matched.

use std::fmt;
use std::net::IpAddr;

use http::HeaderValue;

use super::auth;
use super::url::{Scheme, Url, is_loopback, split_port};

/// Which proxy, if any, a request goes through.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// For `http` URLs: a URL, or `host[:port]`. Empty: none.
    pub http: String,
    /// For `https` URLs.
    pub https: String,
    /// Hosts that are reached directly: names with their subdomains, `.suffix`, addresses, CIDR ranges, each with an
    /// optional port, separated by commas; `*` is every host.
    pub no_proxy: String,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its URL, without user information.
    pub url: Url,
    /// `Proxy-Authorization`, from the user information of its URL.
    pub authorization: Option<HeaderValue>,
}

/// The proxy named for a request cannot be used (another scheme than http or https, or not a URL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnusableProxy;

impl fmt::Debug for ProxyConfig {
    /// Without the URLs: they may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("http", &!self.http.is_empty())
            .field("https", &!self.https.is_empty())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl ProxyConfig {
    /// From `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, each in upper case first, of this process. Give the daemon
    /// the same environment as containerd.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| {
            [name.to_owned(), name.to_ascii_lowercase()]
                .iter()
                .find_map(|name| lookup(name).filter(|value| !value.is_empty()))
                .unwrap_or_default()
        };
        Self {
            http: get("HTTP_PROXY"),
            https: get("HTTPS_PROXY"),
            no_proxy: get("NO_PROXY"),
        }
    }

    /// The proxy for `url`.
    pub(crate) fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>, UnusableProxy> {
        let text = match url.scheme {
            Scheme::Http => self.http.trim(),
            Scheme::Https => self.https.trim(),
        };
        if text.is_empty() || self.is_direct(url) {
            return Ok(None);
        }
        parse_proxy(text).map(Some).ok_or(UnusableProxy)
    }

    fn is_direct(&self, url: &Url) -> bool {
        // Go never sends loopback through a proxy.
        is_loopback(&url.host)
            || self
                .no_proxy
                .split(',')
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|entry| !entry.is_empty())
                .any(|entry| matches(&entry, &url.host, url.port))
    }
}

fn parse_proxy(text: &str) -> Option<Proxy> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let (scheme, rest) = text.split_once("://")?;
    let (authority, _path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    let authorization = match user {
        Some(user) => {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let decode = |text: &str| {
                percent_encoding::percent_decode_str(text)
                    .decode_utf8_lossy()
                    .into_owned()
            };
            Some(auth::basic(&decode(name), &decode(password))?)
        }
        None => None,
    };
    Some(Proxy {
        url: Url::parse(&format!("{scheme}://{authority}"))?,
        authorization,
    })
}

/// Whether one entry of `NO_PROXY` is about `host` and `port`.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let address = host.parse::<IpAddr>().ok();
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse::<IpAddr>(), bits.parse::<u32>(), address) {
            (Ok(network), Ok(bits), Some(address)) => in_network(address, network, bits),
            _ => false,
        };
    }
    // An IPv6 address without brackets has colons but no port.
    let (name, wanted_port) = match entry.parse::<IpAddr>() {
        Ok(_) => (entry, None),
        Err(_) => split_port(entry),
    };
    if wanted_port.is_some_and(|wanted| wanted.parse() != Ok(port)) {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Ok(wanted) = name.parse::<IpAddr>() {
        return address == Some(wanted);
    }
    let suffix_only = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
    let name_matches = |suffix: &str| {
        !suffix.is_empty()
            && host
                .strip_suffix(suffix)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    match suffix_only {
        Some(suffix) => name_matches(suffix),
        None => host == name || name_matches(name),
    }
}

fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (
            u128::from(address.to_bits()),
            u128::from(network.to_bits()),
            32_u32,
        ),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let Some(host_bits) = width.checked_sub(bits) else {
        return false;
    };
    let shift = |value: u128| value.checked_shr(host_bits).unwrap_or(0);
    shift(address) == shift(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(no_proxy: &str, url: &str) -> bool {
        let config = ProxyConfig {
            http: "proxy:3128".into(),
            https: "proxy:3128".into(),
            no_proxy: no_proxy.into(),
        };
        config
            .proxy_for(&Url::parse(url).unwrap())
            .unwrap()
            .is_none()
    }

    #[test]
    fn no_proxy_follows_gos_rules() {
        for (entry, url, wanted) in [
            ("example.com", "https://example.com/", true),
            ("example.com", "https://r.EXAMPLE.com/", true),
            ("example.com", "https://badexample.com/", false),
            (".example.com", "https://r.example.com/", true),
            (".example.com", "https://example.com/", false),
            ("*.example.com", "https://r.example.com/", true),
            ("example.com:5000", "https://example.com:5000/", true),
            ("example.com:5000", "https://example.com/", false),
            ("a, 10.0.0.0/8 ,b", "http://10.200.0.1:5000/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("0.0.0.0/0", "http://11.0.0.1/", true),
            ("10.0.0.0/99", "http://10.0.0.1/", false),
            ("fd00::/8", "https://[fd12::1]:5000/", true),
            ("fd00::/8", "https://[fe00::1]/", false),
            ("192.0.2.7", "http://192.0.2.7:80/", true),
            ("192.0.2.7:81", "http://192.0.2.7:80/", false),
            ("fd00::1", "https://[fd00::1]/", true),
            ("*", "https://anything/", true),
            ("", "https://anything/", false),
        ] {
            assert_eq!(direct(entry, url), wanted, "{entry} {url}");
        }
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        assert!(direct("", "http://127.0.0.1:5000/"));
        assert!(direct("", "http://localhost:5000/"));
        assert!(direct("", "https://[::1]/"));
    }

    #[test]
    fn upper_case_wins_over_lower_case() {
        let config = ProxyConfig::from_lookup(|name| match name {
            "HTTPS_PROXY" => Some("upper:1".into()),
            "https_proxy" => Some("lower:1".into()),
            "http_proxy" => Some("lower:2".into()),
            _ => None,
        });
        assert_eq!(config.https, "upper:1");
        assert_eq!(config.http, "lower:2");
    }

    #[test]
    fn a_password_in_a_proxy_url_becomes_a_header_and_is_not_printed() {
        let config = ProxyConfig {
            https: "http://bob:s%40fe@proxy.example:3128/".into(),
            ..ProxyConfig::default()
        };
        let url = Url::parse("https://r.example/").unwrap();
        let proxy = config.proxy_for(&url).unwrap().unwrap();
        assert_eq!(proxy.url.to_string(), "http://proxy.example:3128/");
        assert_eq!(proxy.authorization, auth::basic("bob", "s@fe"));
        assert!(!format!("{config:?}").contains("fe@"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_not_a_direct_connection() {
        for https in ["socks5://proxy:1080", "http://", "://"] {
            let config = ProxyConfig {
                https: https.into(),
                ..ProxyConfig::default()
            };
            let url = Url::parse("https://r.example/").unwrap();
            assert!(config.proxy_for(&url).is_err(), "{https}");
        }
    }
}
