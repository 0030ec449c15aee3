//! In-toto statements and simple-signing payloads: what a signature says.

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use serde::Deserialize;
use serde_json::Value;

use super::reason::Reason;

/// The predicate of a cosign signature over an image. Any other one says something else about it.
pub(super) const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The versions whose meaning is known. cosign writes 0.1 in attestations and 1 in signatures.
const STATEMENTS: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];

/// An in-toto statement, without what it says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    version: String,
    subject: Vec<Subject>,
    pub(super) predicate_type: String,
}

#[derive(Debug, Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Value>>,
}

impl Statement {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let statement: Self = serde_json::from_slice(bytes)
            .map_err(|_| Reason::Malformed("its payload is no in-toto statement"))?;
        if !STATEMENTS.contains(&statement.version.as_str()) {
            return Err(Reason::StatementVersion);
        }
        Ok(statement)
    }

    /// Whether a subject has this digest, lower-case hex.
    pub(super) fn names(&self, algorithm: &str, hex: &str) -> bool {
        self.subject.iter().any(|subject| {
            subject
                .digest
                .get(algorithm)
                .is_some_and(|found| found == hex)
        })
    }

    /// The signed annotations of every subject that is `digest`.
    pub(super) fn about(
        &self,
        digest: &Digest,
    ) -> Result<Vec<Option<&BTreeMap<String, Value>>>, Reason> {
        let hex = digest.hex();
        let subjects: Vec<_> = self
            .subject
            .iter()
            .filter(|subject| subject.digest.get("sha256") == Some(&hex))
            .map(|subject| subject.annotations.as_ref())
            .collect();
        if subjects.is_empty() {
            return Err(Reason::OtherDigest);
        }
        Ok(subjects)
    }
}

/// The payload of a legacy signature (containers/image, docs/containers-signature.5.md, with cosign's type). A name in
/// `critical` that is not understood refuses it.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    critical: Critical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Payload {
    pub(super) fn read(bytes: &[u8], digest: &Digest) -> Result<Self, Reason> {
        let payload: Self = serde_json::from_slice(bytes)
            .map_err(|_| Reason::Malformed("its payload is no simple-signing payload"))?;
        if payload.critical.kind != "cosign container image signature" {
            return Err(Reason::Malformed("its payload is no cosign signature"));
        }
        if payload.critical.image.digest != digest.to_string() {
            return Err(Reason::OtherDigest);
        }
        Ok(payload)
    }

    /// What it says the image is called. cosign writes the repository, without tag.
    pub(super) fn reference(&self) -> &str {
        &self.critical.identity.reference
    }

    pub(super) fn annotations(&self) -> Option<&BTreeMap<String, Value>> {
        self.optional.as_ref()
    }
}

/// Whether every one of `wanted` is in `found` with its value.
pub(super) fn annotated(
    wanted: &BTreeMap<String, String>,
    found: Option<&BTreeMap<String, Value>>,
) -> Result<(), Reason> {
    for (name, value) in wanted {
        let there = found
            .and_then(|found| found.get(name))
            .and_then(Value::as_str);
        if there != Some(value) {
            return Err(Reason::Annotation(name.clone()));
        }
    }
    Ok(())
}
