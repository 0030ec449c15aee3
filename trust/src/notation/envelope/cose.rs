//! COSE envelopes: COSE_Sign1_Tagged (signature-envelope-cose.md; RFC 9052 section 4.2).
//!
//! The headers are read as plain CBOR values, not with coset's own header type: that one follows countersignatures, whose
//! protected headers are byte strings with headers inside, as deep as the sender likes, and the stack ends before they do.

use coset::cbor::Value;
use coset::{Header, ProtectedHeader, SignatureContext, sig_structure_data};

use super::{Envelope, MAX_CHAIN, SIGNING_AGENT, TIMESTAMP};
use crate::notation::algorithm::Algorithm;
use crate::notation::attributes::{
    AUTHENTIC_SIGNING_TIME, Claims, EXPIRY, PLUGIN, PLUGIN_MIN_VERSION, SCHEME, SIGNING_TIME,
};
use crate::notation::error::NotationError;
use crate::time::Timestamp;

/// COSE_Sign1 (RFC 9052 section 2).
const SIGN1: u64 = 18;
/// Epoch-based date and time (RFC 8949 section 3.4.2).
const EPOCH: u64 = 1;
/// Depth of nesting that is read. An envelope has four levels, a signed attribute of its own may have some more.
const MAX_DEPTH: usize = 16;

/// Labels of RFC 9052 section 3.1 and RFC 9360 section 2.
const ALG: Label = Label::Int(1);
const CRIT: Label = Label::Int(2);
const CONTENT_TYPE: Label = Label::Int(3);
const X5CHAIN: Label = Label::Int(33);
/// x5bag, x5chain, x5u: the only place for certificates is the unprotected x5chain.
const FORBIDDEN: [i128; 3] = [32, 33, 35];

/// Name of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Label<'a> {
    Int(i128),
    Text(&'a str),
}

/// What stands in an unprotected header.
#[derive(Default)]
struct Unprotected {
    chain: Vec<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

/// A header map in which no label stands twice.
struct Map(Vec<(Value, Value)>);

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, NotationError> {
    let Value::Tag(SIGN1, content) = read(bytes)? else {
        return Err(NotationError::Malformed("it is not a tagged COSE_Sign1"));
    };
    let Value::Array(parts) = *content else {
        return Err(NotationError::Malformed("it is not a COSE_Sign1"));
    };
    let Ok(
        [
            Value::Bytes(protected),
            Value::Map(unprotected),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ],
    ) = <[Value; 4]>::try_from(parts)
    else {
        return Err(NotationError::Malformed("it is not a COSE_Sign1"));
    };
    let Value::Map(header) = read(&protected)? else {
        return Err(NotationError::Malformed(
            "its protected header is not a map",
        ));
    };
    let claims = claims(&Map::new(header)?)?;
    let Unprotected { chain, timestamp } = self::unprotected(&Map::new(unprotected)?)?;
    let protected = ProtectedHeader {
        original_data: Some(protected),
        header: Header::default(),
    };
    Ok(Envelope {
        message: sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], &payload),
        signature,
        payload,
        attributes: claims.check()?,
        chain,
        timestamp,
    })
}

/// One CBOR item and nothing after it.
fn read(mut bytes: &[u8]) -> Result<Value, NotationError> {
    let value = coset::cbor::de::from_reader_with_recursion_limit(&mut bytes, MAX_DEPTH)
        .map_err(|_| NotationError::Malformed("it is not CBOR"))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(NotationError::Malformed("bytes follow its end"))
    }
}

fn claims(header: &Map) -> Result<Claims, NotationError> {
    if FORBIDDEN
        .iter()
        .any(|label| header.get(&Label::Int(*label)).is_some())
    {
        return Err(NotationError::Attributes(
            "its protected header brings a key or certificates of its own",
        ));
    }
    let algorithm = match header.get(&ALG) {
        Some(Value::Integer(id)) => Algorithm::from_cose((*id).into()),
        _ => None,
    };
    let has = |name| header.get(&Label::Text(name)).is_some();
    Ok(Claims {
        algorithm,
        content_type: header.text(&CONTENT_TYPE)?,
        scheme: header.text(&Label::Text(SCHEME))?,
        signing_time: header.time(SIGNING_TIME)?,
        authentic_signing_time: header.time(AUTHENTIC_SIGNING_TIME)?,
        expiry: header.time(EXPIRY)?,
        critical: critical(header)?,
        plugin: has(PLUGIN) || has(PLUGIN_MIN_VERSION),
    })
}

/// Reads an unprotected header, in which nothing else may be.
fn unprotected(header: &Map) -> Result<Unprotected, NotationError> {
    let mut read = Unprotected::default();
    for (name, value) in &header.0 {
        match (label(name)?, value) {
            (X5CHAIN, Value::Array(certificates)) if certificates.len() <= MAX_CHAIN => {
                for certificate in certificates {
                    let Value::Bytes(der) = certificate else {
                        return Err(NotationError::Malformed("a certificate is not bytes"));
                    };
                    read.chain.push(der.clone());
                }
            }
            (Label::Text(TIMESTAMP), Value::Bytes(token)) => read.timestamp = Some(token.clone()),
            (Label::Text(SIGNING_AGENT), Value::Text(_)) => {}
            _ => {
                return Err(NotationError::Malformed(
                    "its unprotected header has what is not for notation",
                ));
            }
        }
    }
    Ok(read)
}

fn critical(header: &Map) -> Result<Vec<String>, NotationError> {
    let wrong = NotationError::Malformed("its list of critical headers is not one of names");
    match header.get(&CRIT) {
        None => Ok(Vec::new()),
        Some(Value::Array(names)) => names
            .iter()
            .map(|name| name.as_text().map(str::to_owned).ok_or(wrong.clone()))
            .collect(),
        Some(_) => Err(wrong),
    }
}

fn label(value: &Value) -> Result<Label<'_>, NotationError> {
    match value {
        Value::Integer(label) => Ok(Label::Int((*label).into())),
        Value::Text(label) => Ok(Label::Text(label)),
        _ => Err(NotationError::Malformed("a header has no name")),
    }
}

impl Map {
    fn new(entries: Vec<(Value, Value)>) -> Result<Self, NotationError> {
        let mut seen: Vec<Label<'_>> = Vec::new();
        for (name, _) in &entries {
            let label = label(name)?;
            // RFC 9052 section 3: a label stands once.
            if seen.contains(&label) {
                return Err(NotationError::Malformed("a header stands twice"));
            }
            seen.push(label);
            if seen.len() > 64 {
                return Err(NotationError::Malformed("it has too many headers"));
            }
        }
        Ok(Self(entries))
    }

    fn get(&self, wanted: &Label<'_>) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| label(name).as_ref() == Ok(wanted))
            .map(|(_, value)| value)
    }

    fn text(&self, wanted: &Label<'_>) -> Result<Option<String>, NotationError> {
        match self.get(wanted) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(NotationError::Malformed("a signed attribute is not text")),
        }
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, NotationError> {
        let wrong = NotationError::Malformed("a time is not tag 1 with whole seconds");
        match self.get(&Label::Text(name)) {
            None => Ok(None),
            Some(Value::Tag(EPOCH, seconds)) => match **seconds {
                Value::Integer(seconds) => i64::try_from(seconds)
                    .map(|seconds| Some(Timestamp(seconds)))
                    .map_err(|_| wrong),
                _ => Err(wrong),
            },
            Some(_) => Err(wrong),
        }
    }
}
