//! What a front can do with a request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};

/// What becomes of a request.
pub enum Reply {
    /// It is passed on, and so is the answer.
    Truth,
    /// It is passed on; what comes back is changed.
    Edited(Box<dyn FnOnce(Response<Bytes>) -> Response<Bytes> + Send>),
    /// This is the answer.
    Lie(Response<Sent>),
    /// Nothing, for ever.
    Silence,
    /// The connection is closed in the middle.
    Cut,
}

/// The body of a lie.
#[derive(Debug, Default)]
pub enum Sent {
    /// None.
    #[default]
    Nothing,
    /// These bytes, and their length is announced.
    Whole(Bytes),
    /// These bytes, and then nothing for ever.
    Stalls(Bytes),
    /// Zeros for ever, without a length.
    Endless,
}

/// An answer with this status and a body that nobody may repeat.
pub fn status(code: u16) -> Response<Sent> {
    let mut response = Response::new(Sent::Whole(Bytes::from_static(
        b"<html>words-of-the-server</html>",
    )));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::IM_A_TEAPOT);
    response
}

/// 200 with this JSON.
pub fn json(body: impl Into<Bytes>) -> Response<Sent> {
    let mut response = Response::new(Sent::Whole(body.into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Nothing => return Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Nothing;
                bytes
            }
            Self::Stalls(bytes) if bytes.is_empty() => return Poll::Pending,
            Self::Stalls(bytes) => std::mem::take(bytes),
            Self::Endless => Bytes::from_static(&[b'0'; 16 * 1024]),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Stalls(_) | Self::Endless => SizeHint::default(),
        }
    }
}
