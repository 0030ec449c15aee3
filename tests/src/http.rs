//! Plain HTTP/1.1 to a loopback port.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends one request on a connection of its own and reads the whole answer.
pub async fn send(port: u16, request: Request<Bytes>) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .with_context(|| format!("nothing listens on 127.0.0.1:{port}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    drop(sender);
    driver.abort();
    Ok(Response::from_parts(head, bytes))
}

/// A request to `path` (path and query).
pub fn request(method: Method, port: u16, path: &str, body: Bytes) -> Result<Request<Bytes>> {
    Ok(Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, format!("127.0.0.1:{port}"))
        .body(body)?)
}

/// The answer, if its status is a success.
pub fn success(response: Response<Bytes>) -> Result<Response<Bytes>> {
    if response.status().is_success() {
        return Ok(response);
    }
    bail!(
        "status {}: {}",
        response.status(),
        String::from_utf8_lossy(response.body())
    )
}
