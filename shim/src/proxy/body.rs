//! The two bodies of a call: what goes to containerd and what comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::budget::Share;
use super::drain::Hold;
use super::metrics::{Outcome, ProxyMetrics};
use super::read::Answer;
use super::status;

/// The body of a request on its way to containerd. Its length is not announced unless the client did.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// The client's frames as they arrive.
    Relay(Incoming),
    /// One frame of our own.
    Message(Option<Bytes>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Relay(body) => Pin::new(body).poll_frame(cx),
            Self::Message(message) => Poll::Ready(message.take().map(|m| Ok(Frame::data(m)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relay(body) => body.is_end_stream(),
            Self::Message(message) => message.is_none(),
        }
    }
}

/// The body of an answer on its way to the client.
#[derive(Debug)]
pub(super) enum ReplyBody {
    /// None: a trailers-only answer.
    Empty,
    /// containerd's frames as they arrive.
    Relay(Relay),
    /// An answer that was read whole.
    Replay(Replay),
}

/// An answer sent on as it was read.
#[derive(Debug)]
pub(super) struct Replay {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    #[expect(dead_code, reason = "held for its drop")]
    held: (Vec<Share>, Hold),
}

impl Replay {
    pub(super) fn new(answer: Answer, hold: Hold) -> Self {
        Self {
            data: Some(answer.data).filter(|data| !data.is_empty()),
            trailers: answer.trailers,
            held: (answer.shares, hold),
        }
    }
}

/// An answer relayed frame by frame, ended by trailers in any case: a broken stream would otherwise reach the client
/// as a reset, which grpc-go reports as INTERNAL and kubelet's event stream counts as more than an outage.
#[derive(Debug)]
pub(super) struct Relay {
    body: Incoming,
    /// Nothing has been relayed: the answer may still turn out to be trailers-only.
    fresh: bool,
    done: bool,
    cut: CancellationToken,
    cutting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    metrics: Arc<ProxyMetrics>,
    /// `None` for endless streams, which a drain does not wait for.
    #[expect(dead_code, reason = "held for its drop")]
    hold: Option<Hold>,
}

impl Relay {
    pub(super) fn new(
        body: Incoming,
        cut: CancellationToken,
        metrics: Arc<ProxyMetrics>,
        hold: Option<Hold>,
    ) -> Self {
        Self {
            body,
            fresh: true,
            done: false,
            cut,
            cutting: None,
            metrics,
            hold,
        }
    }

    fn end(&mut self, message: &'static str) -> Frame<Bytes> {
        self.done = true;
        Frame::trailers(status::trailers(&status::unavailable(message)))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
            let cut = &self.cut;
            let cutting = self
                .cutting
                .get_or_insert_with(|| Box::pin(cut.clone().cancelled_owned()));
            ready!(cutting.as_mut().poll(cx));
            return Poll::Ready(Some(self.end("portcullis is being restarted")));
        };
        self.fresh = false;
        let frame = if let Some(Ok(frame)) = next {
            self.done = frame.is_trailers();
            frame
        } else {
            // A gRPC answer ends with trailers; without them the client could not tell a whole from a torn one.
            self.metrics.count(Outcome::UpstreamLost);
            self.end("error reading from server: the connection to containerd was lost")
        };
        Poll::Ready(Some(frame))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Relay(relay) => relay.poll_frame(cx).map(|frame| frame.map(Ok)),
            Self::Replay(replay) => Poll::Ready(
                replay
                    .data
                    .take()
                    .map(Frame::data)
                    .or_else(|| replay.trailers.take().map(Frame::trailers))
                    .map(Ok),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Relay(relay) => relay.done || (relay.fresh && relay.body.is_end_stream()),
            Self::Replay(replay) => replay.data.is_none() && replay.trailers.is_none(),
        }
    }
}
