//! The signature extension of OpenShift's registry (containers/image `docs/signature-protocols.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::registry::RemoteError;
use crate::registry::url::Url;

use super::found::Found;
use super::json::First;
use super::limits::{MAX_SIGNATURE, MAX_SIGNATURES};
use super::lookaside::simple_signing;
use super::place::Place;

/// The header by which a registry says that it has the extension.
const HEADER: &str = "x-registry-supports-signatures";
/// Largest answer to `GET /v2/`.
const MAX_PING: usize = 64 * 1024;

#[derive(Deserialize)]
struct List {
    signatures: First<Signature, MAX_SIGNATURES>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "type", default)]
    kind: String,
    content: String,
}

/// What a host has. Nothing, if it does not have the extension.
pub(super) async fn at_host(place: &Place<'_>, room: usize) -> Result<Found, RemoteError> {
    let base = place
        .host
        .url("")
        .ok_or_else(|| place.invalid("an address that is none"))?;
    let ping = match place.get(base.clone(), "*/*", MAX_PING).await {
        // It says nothing about the image.
        Err(RemoteError::NotFound { .. }) => {
            return Err(place.invalid("a registry that does not know its own API"));
        }
        answer => answer?,
    };
    if ping.headers.get(HEADER).is_none_or(|value| value != "1") {
        return Ok(Found::default());
    }
    let path = format!(
        "/extensions/v2/{}/signatures/{}",
        place.repository, place.subject
    );
    let url: Url = base
        .join(&path)
        .ok_or_else(|| place.invalid("an address that is none"))?;
    let cap = room.min(MAX_SIGNATURE);
    let answer = match place.get(url, "application/json", cap).await {
        Ok(answer) => answer,
        Err(RemoteError::NotFound { .. }) => return Ok(Found::default()),
        Err(RemoteError::TooLarge { .. }) => return Ok(Found::truncated()),
        Err(error) => return Err(error),
    };
    let list: List = serde_json::from_slice(&answer.body)
        .map_err(|_| place.invalid("a list of signatures that is none"))?;
    let mut found = Found {
        truncated: list.signatures.more,
        ..Found::default()
    };
    for signature in list.signatures.of {
        // Others are of formats to come.
        if signature.schema_version != 2 || signature.kind != "atomic" {
            continue;
        }
        if let Ok(bytes) = STANDARD.decode(signature.content) {
            found.add(simple_signing(bytes));
        }
    }
    Ok(found)
}
