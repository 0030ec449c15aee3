//! Metadata that no real tool would make, signed with the test keys of the fixtures: what an attacker who holds some
//! keys could publish.

use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::Digest;
use serde_json::{Value, json};

use super::{Files, fixture};

pub(crate) const FAR: &str = "2036-01-01T00:00:00Z";

/// A key that tests can sign with.
pub(crate) struct Key {
    pub(crate) id: String,
    entry: Value,
    pair: EcdsaKeyPair,
}

impl Key {
    /// `pair` names the private key, `certificate` the certificate it is listed with.
    pub(crate) fn listed(pair: &str, certificate: &str) -> Self {
        Self::bundled(pair, &[certificate])
    }

    /// With several certificates in one bundle.
    pub(crate) fn bundled(pair: &str, certificates: &[&str]) -> Self {
        let pem: Vec<u8> = certificates
            .iter()
            .flat_map(|name| fs::read(fixture(&format!("keys/{name}.crt"))).unwrap())
            .collect();
        let entry = json!({
            "keytype": "ecdsa-x509",
            "keyval": {"private": null, "public": STANDARD.encode(pem)},
        });
        let der = fs::read(fixture(&format!("keys/{pair}.pk8"))).unwrap();
        Self {
            id: Digest::of(&canonical(&entry)).hex(),
            entry,
            pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap(),
        }
    }

    pub(crate) fn new(name: &str) -> Self {
        Self::listed(name, name)
    }
}

/// A key of some type that nobody can sign with, with its id, as `keys` lists it.
pub(crate) fn useless_key(number: usize) -> (String, Value) {
    let public = STANDARD.encode(number.to_string());
    let entry = json!({"keytype": "ecdsa", "keyval": {"private": null, "public": public}});
    (Digest::of(&canonical(&entry)).hex(), entry)
}

/// `serde_json` writes sorted keys and no white space; the strings here need no escapes that differ.
fn canonical(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub(crate) fn sign(signed: &Value, keys: &[&Key]) -> String {
    let message = canonical(signed);
    let signatures: Vec<Value> = keys
        .iter()
        .map(|key| {
            let sig = key.pair.sign(&SystemRandom::new(), &message).unwrap();
            json!({"keyid": key.id, "method": "ecdsa", "sig": STANDARD.encode(sig)})
        })
        .collect();
    json!({"signed": signed, "signatures": signatures}).to_string()
}

fn listed(keys: &[&Key]) -> Value {
    keys.iter()
        .map(|key| (key.id.clone(), key.entry.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn ids(keys: &[&Key]) -> Vec<String> {
    keys.iter().map(|key| key.id.clone()).collect()
}

/// A root whose root role is `roots` and whose other roles are all `others`.
pub(crate) fn root(version: u64, roots: &[&Key], threshold: u64, others: &Key) -> Value {
    let all: Vec<&Key> = roots.iter().copied().chain([others]).collect();
    let other = json!({"keyids": [others.id], "threshold": 1});
    json!({
        "_type": "Root", "consistent_snapshot": false, "expires": FAR, "version": version,
        "keys": listed(&all),
        "roles": {
            "root": {"keyids": ids(roots), "threshold": threshold},
            "timestamp": other, "snapshot": other, "targets": other,
        },
    })
}

pub(crate) struct Delegate<'a> {
    pub(crate) name: &'a str,
    pub(crate) keys: &'a [&'a Key],
    pub(crate) threshold: u64,
    pub(crate) paths: &'a [&'a str],
}

pub(crate) fn targets(version: u64, tags: &[(&str, &str)], delegates: &[Delegate<'_>]) -> Value {
    let targets: serde_json::Map<String, Value> = tags
        .iter()
        .map(|(tag, content)| {
            let hash = STANDARD.encode(Digest::of(content.as_bytes()).as_bytes());
            (
                (*tag).to_owned(),
                json!({"hashes": {"sha256": hash}, "length": 1}),
            )
        })
        .collect();
    let keys: Vec<&Key> = delegates.iter().flat_map(|d| d.keys).copied().collect();
    let roles: Vec<Value> = delegates
        .iter()
        .map(|d| {
            json!({"name": format!("targets/{}", d.name), "keyids": ids(d.keys), "threshold": d.threshold, "paths": d.paths})
        })
        .collect();
    json!({
        "_type": "Targets", "expires": FAR, "version": version, "targets": targets,
        "delegations": {"keys": listed(&keys), "roles": roles},
    })
}

/// A whole publication. `key` signs snapshot and timestamp.
pub(crate) struct Publication {
    pub(crate) key: Key,
    pub(crate) roots: Vec<String>,
    pub(crate) targets: String,
    pub(crate) delegations: Vec<(&'static str, String)>,
    pub(crate) version: u64,
    pub(crate) snapshot_expires: String,
    pub(crate) timestamp_expires: String,
    /// Changes the snapshot before it is signed.
    pub(crate) edit_snapshot: fn(&mut Value),
}

impl Publication {
    /// One root (`test-root` for every role) and `v1.0` in targets.
    pub(crate) fn new() -> Self {
        let key = Key::new("test-root");
        Self {
            roots: vec![sign(&root(1, &[&key], 1, &key), &[&key])],
            targets: sign(&targets(1, &[("v1.0", "v1.0")], &[]), &[&key]),
            delegations: Vec::new(),
            version: 1,
            snapshot_expires: FAR.to_owned(),
            timestamp_expires: FAR.to_owned(),
            edit_snapshot: |_| {},
            key,
        }
    }

    /// With a delegation `targets/alice` to these keys, signed by those, for the tag `v1.0`.
    pub(crate) fn delegated(
        keys: &[&Key],
        threshold: u64,
        paths: &[&str],
        signed_by: &[&Key],
    ) -> Self {
        let mut publication = Self::new();
        let alice = Delegate {
            name: "alice",
            keys,
            threshold,
            paths,
        };
        publication.targets = sign(
            &targets(1, &[("v1.0", "v1.0")], &[alice]),
            &[&publication.key],
        );
        publication.delegations = vec![(
            "alice",
            sign(&targets(1, &[("v1.0", "v1.0")], &[]), signed_by),
        )];
        publication
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::default();
        for text in &self.roots {
            let root: Value = serde_json::from_str(text).unwrap();
            files.put(&format!("{}.root", root["signed"]["version"]), text.clone());
        }
        let newest = self.roots.last().unwrap();
        let mut listed = vec![
            ("root".to_owned(), newest),
            ("targets".to_owned(), &self.targets),
        ];
        for (name, text) in &self.delegations {
            listed.push((format!("targets/{name}"), text));
        }
        let mut meta = serde_json::Map::new();
        for (role, text) in listed {
            files.put(&role, text.clone());
            meta.insert(role, file_meta(text));
        }
        let mut snapshot = json!({
            "_type": "Snapshot", "expires": self.snapshot_expires, "version": self.version, "meta": meta,
        });
        (self.edit_snapshot)(&mut snapshot);
        let snapshot = sign(&snapshot, &[&self.key]);
        let timestamp = json!({
            "_type": "Timestamp", "expires": self.timestamp_expires, "version": self.version,
            "meta": {"snapshot": file_meta(&snapshot)},
        });
        files.put("snapshot", snapshot);
        files.put("timestamp", sign(&timestamp, &[&self.key]));
        files
    }
}

fn file_meta(text: &str) -> Value {
    let sha512 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, text.as_bytes());
    json!({
        "length": text.len(),
        "hashes": {
            "sha256": STANDARD.encode(Digest::of(text.as_bytes()).as_bytes()),
            "sha512": STANDARD.encode(sha512),
        },
    })
}
