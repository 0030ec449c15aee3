//! Asking certificate authorities: CRLs by GET (RFC 5280), OCSP by POST (RFC 6960, appendix A).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{RevocationAnswer, RevocationWant};
use tokio::time::Instant;

use crate::registry::RemoteError;
use crate::registry::strangers::{Ask, Strangers};

use super::limits::{MAX_CRL, MAX_OCSP};
use super::place::headers;

/// Asks. The answer is bytes that nobody has looked at.
pub(super) async fn ask(
    strangers: &Strangers,
    want: &RevocationWant,
    now: Timestamp,
    deadline: Instant,
) -> Result<RevocationAnswer, RemoteError> {
    let ask = match want {
        RevocationWant::Crl { url } => Ask {
            method: Method::GET,
            url,
            headers: headers("application/pkix-crl, */*"),
            body: Bytes::new(),
            cap: MAX_CRL,
            deadline,
        },
        RevocationWant::Ocsp { url, request } => Ask {
            method: Method::POST,
            url,
            headers: question(),
            body: Bytes::copy_from_slice(request),
            cap: MAX_OCSP,
            deadline,
        },
    };
    let bytes = strangers.ask(&ask).await?;
    Ok(RevocationAnswer {
        want: want.clone(),
        bytes: bytes.into(),
        gathered_at: now,
    })
}

fn question() -> HeaderMap {
    let mut headers = headers("application/ocsp-response, */*");
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/ocsp-request"),
    );
    headers
}
