//! JWS envelopes: flattened JSON serialization (signature-envelope-jws.md; RFC 7515 section 7.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::{Envelope, MAX_CHAIN, Object};
use crate::notation::algorithm::Algorithm;
use crate::notation::attributes::{
    AUTHENTIC_SIGNING_TIME, Claims, EXPIRY, PLUGIN, PLUGIN_MIN_VERSION, SCHEME, SIGNING_TIME,
};
use crate::notation::error::NotationError;
use crate::time::Timestamp;

/// Headers that would bring another key, other certificates or another encoding (RFC 7515 section 4.1, RFC 7797): the
/// only place for certificates is the unprotected `x5c`.
const FORBIDDEN: [&str; 7] = ["jwk", "jku", "x5u", "x5c", "b64", "zip", "enc"];

/// `additional top level fields are not supported` (signature-envelope-jws.md, "Signature Envelope").
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    payload: String,
    protected: String,
    header: Unprotected,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unprotected {
    x5c: Vec<String>,
    #[serde(rename = "io.cncf.notary.timestampSignature", default)]
    timestamp: Option<String>,
    #[serde(rename = "io.cncf.notary.signingAgent", default)]
    _agent: Option<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, NotationError> {
    let malformed = NotationError::Malformed;
    let outer: Flattened = serde_json::from_slice(bytes)
        .map_err(|_| malformed("it is not a flattened JWS of notation"))?;
    if outer.header.x5c.len() > MAX_CHAIN {
        return Err(malformed("it has too many certificates"));
    }
    let url = |text: &str| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| malformed("a part is not base64url"))
    };
    let plain = |text: &String| {
        STANDARD
            .decode(text)
            .map_err(|_| malformed("a certificate or the timestamp is not base64"))
    };
    let claims = claims(&url(&outer.protected)?)?;
    Ok(Envelope {
        signature: url(&outer.signature)?,
        payload: url(&outer.payload)?,
        attributes: claims.check()?,
        chain: outer
            .header
            .x5c
            .iter()
            .map(plain)
            .collect::<Result<_, _>>()?,
        timestamp: outer.header.timestamp.as_ref().map(plain).transpose()?,
        message: format!("{}.{}", outer.protected, outer.payload).into_bytes(),
    })
}

fn claims(protected: &[u8]) -> Result<Claims, NotationError> {
    let Object(mut header) = serde_json::from_slice::<Object<Value>>(protected)
        .map_err(|_| NotationError::Malformed("its protected header is not a JSON object"))?;
    if FORBIDDEN.iter().any(|name| header.contains_key(*name)) {
        return Err(NotationError::Attributes(
            "its protected header brings a key, certificates or an encoding of its own",
        ));
    }
    let plugin = header.contains_key(PLUGIN) || header.contains_key(PLUGIN_MIN_VERSION);
    let mut text = |name| match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(NotationError::Malformed("a signed attribute is not text")),
    };
    let algorithm = text("alg")?.as_deref().and_then(Algorithm::from_jose);
    let content_type = text("cty")?;
    let scheme = text(SCHEME)?;
    let mut time = |name| {
        text(name)?
            .map(|text| {
                Timestamp::parse(&text).ok_or(NotationError::Malformed("a time is not RFC 3339"))
            })
            .transpose()
    };
    Ok(Claims {
        algorithm,
        content_type,
        scheme,
        signing_time: time(SIGNING_TIME)?,
        authentic_signing_time: time(AUTHENTIC_SIGNING_TIME)?,
        expiry: time(EXPIRY)?,
        critical: critical(header.remove("crit"))?,
        plugin,
    })
}

fn critical(value: Option<Value>) -> Result<Vec<String>, NotationError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    serde_json::from_value(value)
        .map_err(|_| NotationError::Malformed("its list of critical headers is not one of names"))
}
