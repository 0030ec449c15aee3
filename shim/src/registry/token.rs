//! Tokens: asking a token server for one, and remembering it until it expires.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use tokio::time::Instant;

use super::auth::{self, Auth, Fingerprint};
use super::error::RemoteError;
use super::tls::TlsSettings;
use super::transport::{Answer, Exchange, Transport, status_error};
use super::url::Url;

/// Largest answer of a token server.
const MAX_TOKEN: usize = 256 * 1024;
/// Tokens and Basic sign-ins remembered.
const MAX_REMEMBERED: usize = 256;
/// The distribution token specification's default where the answer has no `expires_in`.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// The longest a token is believed to live.
const MAX_LIFE: Duration = Duration::from_hours(1);

/// How a token server is asked with a user name and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenOrder {
    /// `OAuth2` POST first, as containerd does; GET where the server knows no POST.
    PostFirst,
    /// GET with Basic first, as the notary client does; POST where the server knows no GET.
    GetFirst,
}

/// Whom a remembered `Authorization` is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    /// Scheme and `host[:port]` of the server it is shown to.
    pub origin: String,
    /// What it allows, as asked by us.
    pub scope: String,
    /// Whose credentials it was bought with.
    pub credentials: Fingerprint,
}

/// Remembered `Authorization` values. In memory only.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<TokenKey, (HeaderValue, Instant)>>);

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

impl TokenCache {
    /// A value that has not expired.
    pub(crate) fn get(&self, key: &TokenKey) -> Option<HeaderValue> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, expires) = cache.get(key)?;
        (Instant::now() < *expires).then(|| value.clone())
    }

    /// Remembers a value for `life`.
    pub(crate) fn put(&self, key: TokenKey, value: HeaderValue, life: Duration) {
        let now = Instant::now();
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_REMEMBERED {
            cache.retain(|_, (_, expires)| *expires > now);
        }
        if cache.len() >= MAX_REMEMBERED {
            let soonest = cache
                .iter()
                .min_by_key(|(_, (_, expires))| *expires)
                .map(|(key, _)| key.clone());
            if let Some(key) = soonest {
                cache.remove(&key);
            }
        }
        cache.insert(key, (value, now + life.min(MAX_LIFE)));
    }

    /// Forgets a value that was not accepted.
    pub(crate) fn remove(&self, key: &TokenKey) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

/// A question to a token server.
#[derive(Debug)]
pub(crate) struct TokenRequest<'a> {
    /// The server that wants the token, for errors about the credentials.
    pub asked_by: &'a str,
    /// URL of the token server.
    pub realm: &'a Url,
    /// `service` of the challenge.
    pub service: Option<&'a str>,
    /// Sorted, without duplicates.
    pub scopes: &'a [String],
    /// What the server that wants the token may see of the credentials.
    pub auth: &'a Auth,
    /// Headers that the configuration adds for this host.
    pub headers: &'a HeaderMap,
    pub tls: &'a TlsSettings,
    pub dial_timeout: Option<Duration>,
    pub order: TokenOrder,
    pub deadline: Instant,
}

/// A token and how long it may be used.
pub(crate) struct Token {
    /// Its `Authorization` value.
    pub authorization: HeaderValue,
    /// From now.
    pub life: Duration,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// Gets a token: anonymously, with a user name and password, or with an identity token.
pub(crate) async fn fetch(
    transport: &Transport,
    request: &TokenRequest<'_>,
) -> Result<Token, RemoteError> {
    let answer = match (request.auth, request.order) {
        (Auth::Anonymous | Auth::RegistryToken(_) | Auth::Only { .. }, _) => {
            get(transport, request).await?
        }
        (Auth::IdentityToken(_), _) | (Auth::Basic { .. }, TokenOrder::PostFirst) => {
            let answer = post(transport, request).await?;
            // Servers that know no POST answer 404 (GCR), 401 (Artifactory), 400 (ACR) or 405: containerd's list.
            if matches!(answer.status.as_u16(), 400 | 401 | 404 | 405) {
                get(transport, request).await?
            } else {
                answer
            }
        }
        (Auth::Basic { .. }, TokenOrder::GetFirst) => {
            let answer = get(transport, request).await?;
            if matches!(answer.status.as_u16(), 400 | 404 | 405) {
                post(transport, request).await?
            } else {
                answer
            }
        }
    };
    read(request, &answer)
}

fn read(request: &TokenRequest<'_>, answer: &Answer) -> Result<Token, RemoteError> {
    let realm = &request.realm.authority;
    match status_error(answer, realm) {
        None => {}
        // About the credentials, so named after the server they were given for.
        Some(RemoteError::Unauthorized { .. }) => {
            return Err(RemoteError::Unauthorized {
                host: request.asked_by.to_owned(),
            });
        }
        // A token server that is not there says nothing about the image.
        Some(RemoteError::NotFound { host }) => {
            return Err(RemoteError::Status { host, status: 404 });
        }
        Some(error) => return Err(error),
    }
    let invalid = |cause| RemoteError::Invalid {
        host: realm.clone(),
        cause,
    };
    let body: TokenAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| invalid("not a token answer"))?;
    let text = body
        .access_token
        .filter(|token| !token.is_empty())
        .or(body.token)
        .unwrap_or_default();
    let authorization = auth::bearer(&text).ok_or_else(|| invalid("no usable token"))?;
    let life = body
        .expires_in
        .and_then(|seconds| seconds.as_u64())
        .map_or(DEFAULT_LIFE, Duration::from_secs)
        .min(MAX_LIFE);
    Ok(Token {
        authorization,
        // A tenth early, so that it does not expire on the way.
        life: life.saturating_sub(life / 10),
    })
}

async fn get(transport: &Transport, request: &TokenRequest<'_>) -> Result<Answer, RemoteError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    if let Some(service) = request.service {
        pairs.push(("service", service));
    }
    for scope in request.scopes {
        pairs.push(("scope", scope));
    }
    let mut headers = request.headers.clone();
    let authorization = match request.auth {
        Auth::Basic { username, password } => auth::basic(username, password),
        Auth::IdentityToken(token) => auth::basic("", token),
        Auth::Anonymous | Auth::RegistryToken(_) | Auth::Only { .. } => None,
    };
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    let separator = if request.realm.path.contains('?') {
        '&'
    } else {
        '?'
    };
    let mut text = request.realm.to_string();
    if !pairs.is_empty() {
        text.push(separator);
        text.push_str(&form(&pairs));
    }
    let url = Url::parse(&text).ok_or_else(|| RemoteError::Invalid {
        host: request.asked_by.to_owned(),
        cause: "a token realm that is no address",
    })?;
    send(transport, request, Method::GET, &url, headers, Bytes::new()).await
}

async fn post(transport: &Transport, request: &TokenRequest<'_>) -> Result<Answer, RemoteError> {
    let scope = request.scopes.join(" ");
    let mut pairs = vec![
        ("client_id", "portcullis"),
        ("service", request.service.unwrap_or_default()),
    ];
    if !scope.is_empty() {
        pairs.push(("scope", &scope));
    }
    match request.auth {
        Auth::Basic { username, password } => pairs.extend([
            ("grant_type", "password"),
            ("username", username),
            ("password", password),
        ]),
        Auth::IdentityToken(token) => pairs.extend([
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
        ]),
        Auth::Anonymous | Auth::RegistryToken(_) | Auth::Only { .. } => {}
    }
    let mut headers = request.headers.clone();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
    );
    let body = Bytes::from(form(&pairs));
    send(
        transport,
        request,
        Method::POST,
        request.realm,
        headers,
        body,
    )
    .await
}

async fn send(
    transport: &Transport,
    request: &TokenRequest<'_>,
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, RemoteError> {
    transport
        .exchange(Exchange {
            method,
            url,
            headers,
            body,
            tls: request.tls,
            dial_timeout: request.dial_timeout,
            cap: MAX_TOKEN,
            deadline: request.deadline,
        })
        .await
}

/// `application/x-www-form-urlencoded`, with everything but unreserved characters escaped.
fn form(pairs: &[(&str, &str)]) -> String {
    const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let escape = |text| percent_encoding::utf8_percent_encode(text, ESCAPED);
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &str, auth: &Auth) -> TokenKey {
        TokenKey {
            origin: "https://r.example".into(),
            scope: scope.into(),
            credentials: auth.fingerprint(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_not_used_after_it_expired() {
        let cache = TokenCache::default();
        let key = key("repository:a:pull", &Auth::Anonymous);
        let value = auth::bearer("t").unwrap();
        cache.put(key.clone(), value.clone(), Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get(&key), Some(value));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get(&key), None);
    }

    #[tokio::test]
    async fn a_token_bought_with_other_credentials_is_not_found() {
        let cache = TokenCache::default();
        let alice = Auth::RegistryToken("alice".into());
        cache.put(
            key("s", &alice),
            auth::bearer("t").unwrap(),
            Duration::from_mins(1),
        );
        assert!(cache.get(&key("s", &alice)).is_some());
        assert!(cache.get(&key("s", &Auth::Anonymous)).is_none());
        assert!(cache.get(&key("other", &alice)).is_none());
    }

    #[tokio::test]
    async fn the_cache_does_not_grow_without_end() {
        let cache = TokenCache::default();
        for number in 0..(MAX_REMEMBERED + 50) {
            cache.put(
                key(&number.to_string(), &Auth::Anonymous),
                auth::bearer("t").unwrap(),
                Duration::from_mins(1),
            );
        }
        assert_eq!(cache.0.lock().unwrap().len(), MAX_REMEMBERED);
    }

    #[test]
    fn a_password_cannot_add_fields_to_the_form() {
        assert_eq!(
            form(&[("password", "a&grant_type=x é")]),
            "password=a%26grant_type%3Dx%20%C3%A9"
        );
    }
}
