//! Answers that the proxy makes itself: trailers-only, as grpc/grpc `doc/PROTOCOL-HTTP2.md` lays them out.

use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use portcullis_proto::code;

use super::body::ReplyBody;
use crate::intercept::Refusal;

/// `grpc-status`.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// `grpc-message`.
pub(super) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The trailers-only answer for a refusal.
pub(super) fn answer(refusal: &Refusal) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Empty);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    put(response.headers_mut(), refusal);
    response
}

/// The same under another HTTP status, for requests that are not gRPC.
pub(super) fn answer_http(status: StatusCode, refusal: &Refusal) -> Response<ReplyBody> {
    let mut response = answer(refusal);
    *response.status_mut() = status;
    response
}

/// Trailers that end an answer with a status.
pub(super) fn trailers(refusal: &Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    put(&mut trailers, refusal);
    trailers
}

/// containerd is away, or this proxy is about to be.
pub(super) fn unavailable(message: impl Into<String>) -> Refusal {
    Refusal {
        code: code::UNAVAILABLE,
        message: message.into(),
    }
}

fn put(headers: &mut HeaderMap, refusal: &Refusal) {
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.code));
    // Percent-encoded text is printable ASCII, which every header value may hold.
    if let Ok(message) = HeaderValue::from_str(&percent_encode(&refusal.message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

/// Percent-encodes every byte outside 0x20 to 0x7E, and `%`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_percent_encoded_as_grpc_says() {
        assert_eq!(percent_encode("plain text: 1/2"), "plain text: 1/2");
        assert_eq!(percent_encode("100%\n"), "100%25%0A");
        assert_eq!(percent_encode("é\u{7f}"), "%C3%A9%7F");
    }

    #[test]
    fn a_refusal_carries_no_encoding_header() {
        let answer = answer(&Refusal {
            code: code::UNKNOWN,
            message: "SignatureValidationFailed: näh".into(),
        });
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], "2");
        assert_eq!(
            answer.headers()["grpc-message"],
            "SignatureValidationFailed: n%C3%A4h"
        );
        assert!(!answer.headers().contains_key("grpc-encoding"));
    }
}
