//! Requests to servers that only a stranger's certificate names: no credentials, no authentication, nothing on this node's
//! own addresses.

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::error::RemoteError;
use super::fetch::redirect;
use super::proxy::ProxyConfig;
use super::reach::Reach;
use super::tls::TlsSettings;
use super::transport::{Exchange, Transport, status_error};
use super::url::Url;

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 3;

/// Sends them. Their circuit breakers are their own.
#[derive(Debug)]
pub(crate) struct Strangers {
    transport: Transport,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// GET or POST.
    pub method: Method,
    /// As the certificate has it.
    pub url: &'a str,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Largest answer, in bytes.
    pub cap: usize,
    pub deadline: Instant,
}

impl Strangers {
    pub(crate) fn new(proxies: ProxyConfig, reach: Reach) -> Self {
        Self {
            transport: Transport::reaching(proxies, reach),
        }
    }

    /// Asks; the answer has status 200.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Bytes, RemoteError> {
        // The text of an address that cannot be used is a stranger's: it is not repeated.
        let mut url = Url::parse(ask.url).ok_or_else(|| RemoteError::Invalid {
            host: "a certificate".to_owned(),
            cause: "an address that is neither http nor https",
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(ask, &url).await?;
            let Some(next) = redirect(&answer, &url)? else {
                return match status_error(&answer, &url.authority) {
                    None => Ok(answer.body),
                    Some(error) => Err(error),
                };
            };
            // The others turn a POST into a GET.
            if ask.method != Method::GET && !matches!(answer.status.as_u16(), 307 | 308) {
                return Err(RemoteError::Invalid {
                    host: url.authority,
                    cause: "a redirect that loses the question",
                });
            }
            url = next;
        }
        Err(RemoteError::Invalid {
            host: url.authority,
            cause: "too many redirects",
        })
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        url: &Url,
    ) -> Result<super::transport::Answer, RemoteError> {
        self.transport
            .exchange(Exchange {
                method: ask.method.clone(),
                url,
                headers: ask.headers.clone(),
                body: ask.body.clone(),
                tls: &TlsSettings::default(),
                dial_timeout: None,
                cap: ask.cap,
                deadline: ask.deadline,
            })
            .await
    }
}
