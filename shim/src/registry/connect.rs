//! Opening a connection: name resolution, TCP, a proxy where the environment names one, TLS.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt as _};

use super::error::cause;
use super::proxy::{Proxy, ProxyConfig};
use super::reach::{Names, OutOfReach, Reach};
use super::url::{Scheme, Url};

/// Longest wait for a TCP connection where containerd's configuration names none. containerd waits 30 s; here the
/// whole call has less.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection, in the words of [`cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(pub &'static str);

type Tcp = HttpConnector<Names>;

/// Opens connections with one TLS configuration.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: Tcp,
    /// An operator configured the proxy: it may be anywhere.
    to_proxy: Tcp,
    reach: Reach,
    tls: Arc<ClientConfig>,
    proxies: Arc<ProxyConfig>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(
        tls: Arc<ClientConfig>,
        proxies: Arc<ProxyConfig>,
        dial_timeout: Option<Duration>,
        reach: Reach,
    ) -> Self {
        let tcp = |reach| {
            let mut tcp = HttpConnector::new_with_resolver(Names::new(reach));
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(dial_timeout.unwrap_or(DIAL_TIMEOUT)));
            tcp
        };
        Self {
            tcp: tcp(reach),
            to_proxy: tcp(Reach::Anywhere),
            reach,
            tls,
            proxies,
        }
    }

    // Owned arguments throughout: the futures are boxed for hyper and must be `Send` for every lifetime.
    async fn connect(self, uri: Uri) -> Result<Conn, ConnectError> {
        let target = Url::parse(&uri.to_string()).ok_or(ConnectError(cause::CONNECT))?;
        // The connector does not resolve what is an address already.
        if self.reach.excludes_host(&target.host) {
            return Err(ConnectError(cause::LOCAL_ADDRESS));
        }
        let proxy = self
            .proxies
            .proxy_for(&target)
            .map_err(|_| ConnectError(cause::PROXY))?;
        let tls = Arc::clone(&self.tls);
        match (target.scheme, proxy) {
            (Scheme::Http, None) => direct(self.tcp, target).await,
            (Scheme::Https, None) => {
                let conn = direct(self.tcp, target.clone()).await?;
                handshake(tls, conn, target.host).await
            }
            (Scheme::Http, Some(proxy)) => {
                let mut conn = hop(self.to_proxy, tls, proxy).await?;
                conn.through_proxy = true;
                Ok(conn)
            }
            (Scheme::Https, Some(proxy)) => {
                let conn = tunnel(self.to_proxy, Arc::clone(&tls), proxy, uri).await?;
                handshake(tls, conn, target.host).await
            }
        }
    }
}

/// TCP to a host.
async fn direct(tcp: Tcp, url: Url) -> Result<Conn, ConnectError> {
    let uri: Uri = url
        .to_string()
        .parse()
        .map_err(|_| ConnectError(cause::CONNECT))?;
    match tcp.oneshot(uri).await {
        Ok(stream) => Ok(Conn::new(stream.into_inner())),
        Err(error) => Err(ConnectError(tcp_cause(&error))),
    }
}

/// To the proxy itself, with TLS where its URL says so.
async fn hop(tcp: Tcp, tls: Arc<ClientConfig>, proxy: Proxy) -> Result<Conn, ConnectError> {
    let Proxy { url, .. } = proxy;
    let conn = direct(tcp, url.clone()).await;
    let conn = match (conn, url.scheme) {
        (Ok(conn), Scheme::Https) => handshake(tls, conn, url.host).await,
        (conn, _) => conn,
    };
    conn.map_err(|_| ConnectError(cause::PROXY))
}

/// A tunnel through the proxy (`CONNECT`).
async fn tunnel(
    tcp: Tcp,
    tls: Arc<ClientConfig>,
    proxy: Proxy,
    target: Uri,
) -> Result<Conn, ConnectError> {
    let error = ConnectError(cause::PROXY);
    let address: Uri = proxy.url.to_string().parse().map_err(|_| error)?;
    let authorization = proxy.authorization.clone();
    let mut tunnel = Tunnel::new(address, ToProxy { tcp, tls, proxy });
    if let Some(authorization) = authorization {
        tunnel = tunnel.with_auth(authorization);
    }
    match tunnel.oneshot(target).await {
        Ok(conn) => Ok(conn),
        Err(_) => Err(error),
    }
}

/// The connector to the proxy, as [`Tunnel`] wants one.
struct ToProxy {
    tcp: Tcp,
    tls: Arc<ClientConfig>,
    proxy: Proxy,
}

impl Service<Uri> for ToProxy {
    type Response = Conn;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Conn, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (tcp, tls, proxy) = (self.tcp.clone(), Arc::clone(&self.tls), self.proxy.clone());
        Box::pin(hop(tcp, tls, proxy))
    }
}

async fn handshake(tls: Arc<ClientConfig>, conn: Conn, host: String) -> Result<Conn, ConnectError> {
    let name = ServerName::try_from(host).map_err(|_| ConnectError(cause::TLS))?;
    match TlsConnector::from(tls)
        .connect(name, TokioIo::new(conn))
        .await
    {
        Ok(stream) => Ok(Conn::new(stream)),
        Err(error) => Err(ConnectError(tls_cause(&error))),
    }
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Conn, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// The cause of a TCP failure: hyper-util's own error type is private, its sources are not.
fn tcp_cause(error: &(dyn StdError + 'static)) -> &'static str {
    let mut source = Some(error);
    while let Some(error) = source {
        let is_out_of_reach = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<OutOfReach>())
            .is_some();
        if is_out_of_reach {
            return cause::LOCAL_ADDRESS;
        }
        source = error.source();
    }
    if error.to_string().starts_with("dns error") {
        return cause::RESOLUTION;
    }
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return cause::REFUSED;
        }
        source = error.source();
    }
    cause::CONNECT
}

fn tls_cause(error: &io::Error) -> &'static str {
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match rustls {
        Some(rustls::Error::InvalidMessage(_)) => cause::NOT_TLS,
        _ => cause::TLS,
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection.
pub(crate) struct Conn {
    io: TokioIo<Box<dyn Stream>>,
    through_proxy: bool,
}

impl Conn {
    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            io: TokioIo::new(Box::new(stream)),
            through_proxy: false,
        }
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        // hyper sends the absolute form of the URL to a proxy.
        Connected::new().proxy(self.through_proxy)
    }
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
