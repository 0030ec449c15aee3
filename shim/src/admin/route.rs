//! The addresses of the admin interface.

use hyper::Method;

use super::error::AdminError;

/// Largest body of a request in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /v1/status`.
    Status,
    /// `POST /v1/check`.
    Check,
    /// `POST /v1/explain`.
    Explain,
    /// `POST /v1/adopt`.
    Adopt,
    /// `POST /v1/policy/reset`.
    PolicyReset,
    /// `GET /metrics`.
    Metrics,
}

impl Endpoint {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Status => "/v1/status",
            Self::Check => "/v1/check",
            Self::Explain => "/v1/explain",
            Self::Adopt => "/v1/adopt",
            Self::PolicyReset => "/v1/policy/reset",
            Self::Metrics => "/metrics",
        }
    }

    /// Its method.
    pub const fn method(self) -> Method {
        match self {
            Self::Status | Self::Metrics => Method::GET,
            Self::Check | Self::Explain | Self::Adopt | Self::PolicyReset => Method::POST,
        }
    }

    /// The endpoint a request is for.
    ///
    /// # Errors
    /// [`AdminError::Method`], [`AdminError::NotInThisBuild`] for addresses of docs/cli.md that come later, else
    /// [`AdminError::NoEndpoint`].
    pub fn find(method: &Method, path: &str) -> Result<Self, AdminError> {
        const ALL: [Endpoint; 6] = [
            Endpoint::Status,
            Endpoint::Check,
            Endpoint::Explain,
            Endpoint::Adopt,
            Endpoint::PolicyReset,
            Endpoint::Metrics,
        ];
        match ALL.into_iter().find(|endpoint| endpoint.path() == path) {
            Some(endpoint) if endpoint.method() == *method => Ok(endpoint),
            Some(endpoint) => Err(AdminError::Method(match endpoint.method() {
                Method::GET => "GET",
                _ => "POST",
            })),
            None => match path {
                "/v1/audit" | "/v1/tags" | "/v1/allow" | "/v1/verify" => {
                    Err(AdminError::NotInThisBuild(path.to_owned()))
                }
                _ => Err(AdminError::NoEndpoint(path.to_owned())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_addresses_and_methods_lead_anywhere() {
        assert_eq!(
            Endpoint::find(&Method::POST, "/v1/check"),
            Ok(Endpoint::Check)
        );
        for (method, path, status) in [
            (Method::GET, "/v1/policy/reset", 405),
            (Method::HEAD, "/v1/status", 405),
            (Method::POST, "/v1/status", 405),
            (Method::POST, "/v1/allow", 501),
            (Method::GET, "/v1/audit", 501),
            (Method::GET, "/v1/status/", 404),
            (Method::GET, "/v2/status", 404),
            (Method::GET, "/", 404),
        ] {
            let error = Endpoint::find(&method, path).unwrap_err();
            assert_eq!(error.status(), status, "{method} {path}");
        }
    }
}
