//! The few URLs a registry client needs: http and https, a host, no user information.

use std::fmt;
use std::net::IpAddr;

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An absolute URL that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Its scheme.
    pub scheme: Scheme,
    /// `host[:port]` as written, in lower case.
    pub authority: String,
    /// Host alone, without brackets.
    pub host: String,
    /// Port, with the scheme's default filled in.
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl Url {
    /// Parses an absolute URL. `None`: not http or https, no host, user information, or not a URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return None;
        }
        // A colon with nothing behind it, or a port out of range, is no port.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(authority.host()) => scheme.default_port(),
            None => return None,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self {
            scheme,
            authority: authority.as_str().to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// The URL that a `Location` header means, seen from here (RFC 3986 §5.2, without dot segments).
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.name()));
        }
        let path = self.path.split('?').next().unwrap_or("/");
        let absolute = match location.chars().next()? {
            '/' => location.to_owned(),
            '?' => format!("{path}{location}"),
            _ => format!(
                "{}/{location}",
                path.rsplit_once('/').map_or("", |(parent, _)| parent)
            ),
        };
        Self::parse(&format!(
            "{}://{}{absolute}",
            self.scheme.name(),
            self.authority
        ))
    }

    /// The same URL with another scheme.
    pub(crate) fn with_scheme(&self, scheme: Scheme) -> Option<Self> {
        Self::parse(&format!(
            "{}://{}{}",
            scheme.name(),
            self.authority,
            self.path
        ))
    }

    /// Whether credentials for one may be sent to the other.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }

    /// Whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.name(),
            self.authority,
            self.path
        )
    }
}

/// Whether a host without port is `localhost` or a loopback address (containerd: `docker.IsLocalhost`).
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// `host[:port]` taken apart.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // A colon inside brackets belongs to the address.
        Some((host, port)) if !port.contains(']') && !host.is_empty() => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Url::parse(text).map(|url| url.to_string())
    }

    #[test]
    fn only_plain_web_urls_are_urls() {
        assert_eq!(
            parsed("HTTPS://R.example").as_deref(),
            Some("https://r.example/")
        );
        for bad in [
            "r.example/v2",
            "ftp://r.example/",
            "https://user:pw@r.example/",
            "https:///v2",
            "https://r.example:/",
            "https://r.example:99999/",
            "unix:///run/x",
            "",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_default_port_is_the_same_origin_but_another_scheme_is_not() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(url("https://a/x").same_origin(&url("https://A:443/y")));
        assert!(!url("https://a/").same_origin(&url("http://a:443/")));
        assert!(!url("https://a/").same_origin(&url("https://a:444/")));
    }

    #[test]
    fn locations_are_resolved() {
        let from = Url::parse("https://r.example/v2/a/manifests/t?x=1").unwrap();
        for (location, wanted) in [
            ("https://cdn.example/b?q", "https://cdn.example/b?q"),
            ("//cdn.example/b", "https://cdn.example/b"),
            ("/b", "https://r.example/b"),
            ("u", "https://r.example/v2/a/manifests/u"),
            ("?y=2", "https://r.example/v2/a/manifests/t?y=2"),
        ] {
            let joined = from.join(location).map(|url| url.to_string());
            assert_eq!(joined.as_deref(), Some(wanted), "{location}");
        }
        assert_eq!(from.join("file:///etc/shadow"), None);
        assert_eq!(from.join(""), None);
    }

    #[test]
    fn loopback_is_recognised_and_nothing_else() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil.example",
            "128.0.0.1",
            "127.0.0.1.evil.example",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn ports_are_split_off() {
        assert_eq!(split_port("[::1]:5000"), ("[::1]", Some("5000")));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
        assert_eq!(split_port("a:1"), ("a", Some("1")));
        assert_eq!(split_port("a"), ("a", None));
    }
}
