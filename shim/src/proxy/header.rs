//! Metadata: what a gRPC request must have, and what a hop must set anew.

use std::time::Duration;

use http::header::{CONTENT_TYPE, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use portcullis_proto::code;

use crate::intercept::Refusal;

/// `grpc-timeout`.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Refuses what is not a gRPC request, with the statuses of grpc-go's server transport.
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), (StatusCode, Refusal)> {
    if !headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
        let refusal = Refusal {
            code: code::INVALID_ARGUMENT,
            message: "portcullis: the content-type of a gRPC request begins with application/grpc"
                .into(),
        };
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal));
    }
    if method != Method::POST {
        let refusal = Refusal {
            code: code::INTERNAL,
            message: "portcullis: the method of a gRPC request is POST".into(),
        };
        return Err((StatusCode::METHOD_NOT_ALLOWED, refusal));
    }
    Ok(())
}

fn is_grpc(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let Some((base, rest)) = value.split_at_checked(b"application/grpc".len()) else {
        return false;
    };
    base.eq_ignore_ascii_case(b"application/grpc")
        && matches!(rest.first(), None | Some(b'+' | b';'))
}

/// The request target to send upstream: the path as it came, and an `:authority`, without which h2 sends nothing.
/// `localhost` is what kubelet (since 1.31), crictl and ctr send.
pub(super) fn target(uri: &Uri, path: &PathAndQuery) -> Option<Uri> {
    let authority = uri
        .authority()
        .cloned()
        .unwrap_or_else(|| Authority::from_static("localhost"));
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority)
        .path_and_query(path.clone())
        .build()
        .ok()
}

/// Sets the one hop-by-hop field that HTTP/2 knows. h2 refuses all others on receipt.
pub(super) fn set_hop_by_hop(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

/// The deadline a client announces, if it is well-formed: at most eight digits and a unit.
pub(super) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(count.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_content_types_pass() {
        for good in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=1",
            "Application/GRPC",
        ] {
            assert!(is_grpc(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in [
            "application/grpcx",
            "application/json",
            "application/grp",
            "",
        ] {
            assert!(!is_grpc(&HeaderValue::from_static(bad)), "{bad}");
        }
    }

    #[test]
    fn timeouts_are_read_in_every_unit_and_bad_ones_ignored() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(text));
            grpc_timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("5m"), Some(Duration::from_millis(5)));
        assert_eq!(read("6u"), Some(Duration::from_micros(6)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "1", "1s", "-1S", "123456789S", "1 S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_missing_authority_is_filled_in_and_a_given_one_kept() {
        let path = PathAndQuery::from_static("/a/b");
        let bare = Uri::from_static("/a/b");
        assert_eq!(target(&bare, &path).unwrap(), "http://localhost/a/b");
        let full = Uri::from_static("http://node:1/a/b");
        assert_eq!(target(&full, &path).unwrap(), "http://node:1/a/b");
    }
}
