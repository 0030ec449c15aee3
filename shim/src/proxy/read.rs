//! Reads a body whole, within bounds: the request of a gated call, the answer of a ticketed one.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use portcullis_proto::code;
use portcullis_proto::frame::{self, FrameError, MAX_MESSAGE};
use tokio::time::timeout;

use super::budget::Share;
use super::metrics::Outcome;
use super::shared::Shared;
use crate::intercept::Refusal;

/// Length of the prefix of a gRPC message: a flag and four bytes of length.
const PREFIX: usize = 5;

/// The most a gated body may hold: one message of the largest size.
pub(super) const MAX_BODY: usize = PREFIX + MAX_MESSAGE;

/// A gated request's message and the share of the budget that its bytes take.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) share: Share,
}

/// Why a gated request is refused unread.
pub(super) type Refused = (Outcome, Refusal);

/// Reads the one message of a gated request.
pub(super) async fn request(
    shared: &Shared,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Message, Refused> {
    match timeout(shared.limits.request_body, message(shared, headers, body)).await {
        Ok(read) => read,
        Err(_) => Err(malformed(
            code::INVALID_ARGUMENT,
            format!(
                "portcullis: the request did not arrive within {} s",
                shared.limits.request_body.as_secs_f32()
            ),
        )),
    }
}

async fn message(
    shared: &Shared,
    headers: &HeaderMap,
    mut body: Incoming,
) -> Result<Message, Refused> {
    check_announced(headers)?;
    let mut read = Pieces::default();
    let mut whole: Option<(usize, Share)> = None;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| malformed(code::CANCELLED, "portcullis: the request broke off"))?;
        let Ok(data) = frame.into_data() else {
            return Err(malformed(
                code::INVALID_ARGUMENT,
                "portcullis: trailers after the request message",
            ));
        };
        read.push(data);
        if whole.is_none()
            && let Some(prefix) = read.prefix()
        {
            let length = check_prefix(prefix).map_err(refuse_frame)?;
            // Before the share is had no more than one stream window is held.
            whole = Some((length, share(shared, length).await?));
        }
        if whole.as_ref().is_some_and(|(length, _)| read.len > *length) {
            return Err(refuse_frame(FrameError::Trailing));
        }
    }
    let bytes = frame::single(read.join()).map_err(refuse_frame)?;
    match whole {
        Some((_, share)) => Ok(Message { bytes, share }),
        None => Err(refuse_frame(FrameError::Truncated)),
    }
}

/// Refuses by `content-length`, where there is one, before a byte is read.
fn check_announced(headers: &HeaderMap) -> Result<(), Refused> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let message = announced.map(|length| length.saturating_sub(PREFIX as u64));
    match message {
        Some(length) if length > MAX_MESSAGE as u64 => {
            Err(refuse_frame(FrameError::TooLarge(length)))
        }
        _ => Ok(()),
    }
}

/// The length of the whole body that a prefix announces. What follows is judged again by [`frame::single`]; this is
/// so that nothing that will be refused is held.
fn check_prefix(prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
    let [flag, length @ ..] = prefix;
    match flag {
        0 => {}
        1 => return Err(FrameError::Compressed),
        flag => return Err(FrameError::Flag(flag)),
    }
    let length = u32::from_be_bytes(length);
    match usize::try_from(length) {
        Ok(length) if length <= MAX_MESSAGE => Ok(length.saturating_add(PREFIX)),
        _ => Err(FrameError::TooLarge(length.into())),
    }
}

async fn share(shared: &Shared, bytes: usize) -> Result<Share, Refused> {
    let wait = shared.limits.request_body / 2;
    match timeout(wait, shared.budget.share(bytes)).await {
        Ok(Some(share)) => Ok(share),
        _ => Err((
            Outcome::Overloaded,
            Refusal {
                code: code::RESOURCE_EXHAUSTED,
                message: "portcullis: too many large requests at a time".into(),
            },
        )),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refuse_frame(error: FrameError) -> Refused {
    malformed(error.code(), error.to_string())
}

fn malformed(code: i32, message: impl Into<String>) -> Refused {
    (
        Outcome::Malformed,
        Refusal {
            code,
            message: message.into(),
        },
    )
}

/// An answer read whole.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) shares: Vec<Share>,
}

/// Why an answer was not read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It broke off.
    Lost,
    /// It is larger than [`MAX_BODY`], or no share of the budget is left for it.
    TooLarge,
}

/// Reads an answer.
pub(super) async fn answer(shared: &Shared, mut body: Incoming) -> Result<Answer, Unread> {
    let mut read = Pieces::default();
    let mut answer = Answer::default();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Unread::Lost)?.into_data() {
            Ok(data) => {
                if read.len.saturating_add(data.len()) > MAX_BODY {
                    return Err(Unread::TooLarge);
                }
                let share = shared.budget.try_share(data.len());
                answer.shares.push(share.ok_or(Unread::TooLarge)?);
                read.push(data);
            }
            Err(frame) => answer.trailers = frame.into_trailers().ok(),
        }
    }
    answer.data = read.join();
    Ok(answer)
}

/// DATA frames in order. One frame, the usual case, is not copied.
#[derive(Debug, Default)]
struct Pieces {
    pieces: Vec<Bytes>,
    len: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len = self.len.saturating_add(piece.len());
            self.pieces.push(piece);
        }
    }

    /// The first bytes, if that many have arrived.
    fn prefix(&self) -> Option<[u8; PREFIX]> {
        let mut bytes = self.pieces.iter().flatten();
        let mut prefix = [0; PREFIX];
        for slot in &mut prefix {
            *slot = *bytes.next()?;
        }
        Some(prefix)
    }

    fn join(mut self) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(self.len);
        for piece in self.pieces {
            joined.extend_from_slice(&piece);
        }
        joined.freeze()
    }
}
