//! A transparency log of the tests' own. Its entries are made as Rekor makes them, because none can be had offline; what
//! they vouch for was signed by the real cosign.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::TrustedRootSource;
use portcullis_trust::evidence::Artefact;
use serde_json::{Value, json};

use crate::sigstore_fixture::{material, read};

/// A log with one entry at a time.
pub(crate) struct Log {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

impl Log {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = der.as_ref().to_vec();
        Self { pair, spki }
    }

    fn sign(&self, message: &[u8]) -> String {
        b64(self.pair.sign(&SystemRandom::new(), message).unwrap())
    }

    /// A root that trusts this log and the fixtures' CA.
    pub(crate) fn root(&self) -> TrustedRootSource {
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            b64(&self.spki)
        );
        TrustedRootSource::Parts {
            fulcio: vec![material("ca.pem", read("pki/ca.pem"))],
            rekor: vec![material("rekor.pub", pem.into())],
        }
    }

    /// The log as an entry of a `trusted_root.json`.
    pub(crate) fn trusted(&self) -> Value {
        json!({
            "baseUrl": "https://log.example.test",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(&self.spki),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            },
            "logId": {"keyId": b64(sha256(&self.spki))},
        })
    }

    /// Rekor v1's promise.
    pub(crate) fn promise(&self, body: &[u8], time: i64) -> String {
        let id = hex::encode(sha256(&self.spki));
        let text = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{id}","logIndex":7}}"#,
            b64(body)
        );
        self.sign(text.as_bytes())
    }

    /// The log entry as an annotation of cosign's legacy format.
    pub(crate) fn annotation(&self, body: &Value, time: i64) -> String {
        let body = body.to_string().into_bytes();
        json!({
            "SignedEntryTimestamp": self.promise(&body, time),
            "Payload": {
                "body": b64(&body),
                "integratedTime": time,
                "logIndex": 7,
                "logID": hex::encode(sha256(&self.spki)),
            },
        })
        .to_string()
    }

    /// The log entry of a bundle, proved to be the only leaf of the log. The checkpoint's signature names its key by the
    /// first four bytes of the log's id.
    pub(crate) fn entry(&self, kind: &str, version: &str, body: &Value) -> Value {
        let body = body.to_string().into_bytes();
        let root = b64(sha256(&[&[0][..], &body].concat()));
        let note = format!("log.example.test\n1\n{root}\n");
        let id = sha256(&self.spki);
        let signature = b64([&id[..4], &unb64(&self.sign(note.as_bytes()))].concat());
        json!({
            "logIndex": "0",
            "logId": {"keyId": b64(&id)},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": root,
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": format!("{note}\n\u{2014} log.example.test {signature}\n")},
            },
            "canonicalizedBody": b64(&body),
        })
    }
}

/// `hashedrekord` 0.0.1.
pub(crate) fn hashed(message: &[u8], signature: &str, pem: &[u8]) -> Value {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(message))}},
            "signature": {"content": signature, "publicKey": {"content": b64(pem)}},
        },
    })
}

/// `hashedrekord` 0.0.2, as Rekor v2 has it.
pub(crate) fn hashed_v2(message: &[u8], signature: &str, pem: &[u8]) -> Value {
    let text = String::from_utf8(pem.to_vec()).unwrap();
    let spki: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": b64(sha256(message))},
            "signature": {
                "content": signature,
                "verifier": {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": spki}},
            },
        }},
    })
}

/// `dsse` 0.0.1.
pub(crate) fn dsse(payload: &[u8], signature: &str, pem: &[u8]) -> Value {
    let any = hex::encode(sha256(b"any"));
    json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": any},
            "payloadHash": {"algorithm": "sha256", "value": hex::encode(sha256(payload))},
            "signatures": [{"signature": signature, "verifier": b64(pem)}],
        },
    })
}

/// `intoto` 0.0.2, whose signature is encoded twice.
pub(crate) fn intoto(payload: &[u8], signature: &str, pem: &[u8]) -> Value {
    json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {"content": {
            "envelope": {
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"publicKey": b64(pem), "sig": b64(signature)}],
            },
            "hash": {"algorithm": "sha256", "value": hex::encode(sha256(b"any"))},
            "payloadHash": {"algorithm": "sha256", "value": hex::encode(sha256(payload))},
        }},
    })
}

/// What a bundle with a statement signed.
pub(crate) struct Parts {
    pub(crate) json: Value,
    pub(crate) payload: Vec<u8>,
    pub(crate) encoded: Vec<u8>,
    pub(crate) signature: String,
}

pub(crate) fn parts(bundle: &Artefact) -> Parts {
    let json: Value = serde_json::from_slice(&bundle.bytes).unwrap();
    let envelope = &json["dsseEnvelope"];
    let payload = unb64(envelope["payload"].as_str().unwrap());
    let kind = "application/vnd.in-toto+json";
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    Parts {
        encoded: [head.as_bytes(), &payload].concat(),
        signature: envelope["signatures"][0]["sig"]
            .as_str()
            .unwrap()
            .to_owned(),
        payload,
        json,
    }
}

/// The bundle with these log entries.
pub(crate) fn with_entries(bundle: &Artefact, entries: Vec<Value>) -> Artefact {
    let mut json = parts(bundle).json;
    json["verificationMaterial"]["tlogEntries"] = entries.into();
    Artefact {
        kind: bundle.kind,
        bytes: serde_json::to_vec(&json).unwrap(),
        annotations: BTreeMap::new(),
    }
}

pub(crate) fn signature_of(legacy: &Artefact) -> &str {
    &legacy.annotations["dev.cosignproject.cosign/signature"]
}

/// The legacy signature with this log entry.
pub(crate) fn with_annotation(legacy: &Artefact, entry: String) -> Artefact {
    let mut logged = legacy.clone();
    logged
        .annotations
        .insert("dev.sigstore.cosign/bundle".to_owned(), entry);
    logged
}
