//! What the Notary tests share: fixtures as a server, and a clock that stands still.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod forge;
pub(crate) mod openpgp;
pub(crate) mod openpgp_forge;
pub(crate) mod policy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::Digest;
use portcullis_policy::model::NotaryServer;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::{
    NotaryCollection, NotaryError, NotaryMemory, PublicKey, Session, Signer, Step,
    VerifiedCollection, verify,
};

pub(crate) const APP: &str = "registry.example.com/shop/app";
pub(crate) const WEB: &str = "registry.example.com/shop/web";
pub(crate) const SERVER: &str = "https://notary.example.com";

/// Half a day after the fixtures were made: their timestamps expire on 2026-12-04.
pub(crate) fn now() -> Timestamp {
    time("2026-11-21T00:00:00Z")
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/notary")
        .join(name)
}

pub(crate) fn digest_of(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

pub(crate) fn key(name: &str) -> PublicKey {
    PublicKey::from_pem(&fs::read(fixture(&format!("keys/{name}"))).unwrap()).unwrap()
}

/// A server's files by the names that a client asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, String>);

impl Files {
    /// The publication in a fixture folder.
    pub(crate) fn of(folder: &str) -> Self {
        let mut files = Self::default();
        let folder = fixture(folder);
        for sub in ["", "targets"] {
            let Ok(entries) = fs::read_dir(folder.join(sub)) else {
                continue;
            };
            for entry in entries.map(Result::unwrap).filter(|e| e.path().is_file()) {
                let name = entry.file_name().into_string().unwrap();
                let name = name.strip_suffix(".json").unwrap();
                let role = format!("{sub}{}{name}", if sub.is_empty() { "" } else { "/" });
                files.put(&role, fs::read_to_string(entry.path()).unwrap());
            }
        }
        files
    }

    /// Publishes a file under its plain name and under its digest.
    pub(crate) fn put(&mut self, role: &str, text: String) {
        let digest = Digest::of(text.as_bytes());
        self.0
            .insert(format!("{role}.{}.json", digest.hex()), text.clone());
        self.0.insert(format!("{role}.json"), text);
    }

    pub(crate) fn get(&self, role: &str) -> String {
        self.0[&format!("{role}.json")].clone()
    }

    /// Serves `text` wherever `role` is asked for, whatever digest is asked for: what a lying server can do.
    pub(crate) fn substitute(&mut self, role: &str, text: &str) {
        for (name, body) in &mut self.0 {
            let is_role = name
                .strip_prefix(role)
                .is_some_and(|rest| rest.starts_with('.'));
            if is_role {
                text.clone_into(body);
            }
        }
    }

    pub(crate) fn edit(&mut self, role: &str, from: &str, to: &str) {
        let text = self.get(role);
        assert!(text.contains(from), "{role} has no {from}");
        self.substitute(role, &text.replacen(from, to, 1));
    }
}

/// Id of the root key listed in a publication's root.
pub(crate) fn root_key_id(files: &Files) -> String {
    let root: serde_json::Value = serde_json::from_str(&files.get("root")).unwrap();
    root["signed"]["roles"]["root"]["keyids"][0]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn pinned_to(gun: &str, id: &str) -> NotaryServer {
    NotaryServer {
        server: SERVER.to_owned(),
        ca: None,
        pins: BTreeMap::from([(gun.to_owned(), id.to_owned())]),
        trust_on_first_use: false,
    }
}

/// Pinned to the root key of the publication itself.
pub(crate) fn pinned(gun: &str, files: &Files) -> NotaryServer {
    pinned_to(gun, &root_key_id(files))
}

pub(crate) fn first_use() -> NotaryServer {
    NotaryServer {
        server: SERVER.to_owned(),
        ca: None,
        pins: BTreeMap::new(),
        trust_on_first_use: true,
    }
}

/// What a session ended with, and the files it asked for.
pub(crate) struct Gathered {
    pub(crate) result: Result<NotaryEvidence, NotaryError>,
    pub(crate) asked: Vec<String>,
}

/// Runs a session against `files`.
pub(crate) fn run(
    files: &Files,
    gun: &str,
    trust: &NotaryServer,
    memory: &NotaryMemory,
    previous: Option<&NotaryCollection>,
    now: Timestamp,
) -> Gathered {
    let mut session = Session::new(gun, trust, memory, previous, now);
    let mut asked = Vec::new();
    loop {
        match session.step() {
            Step::Fetch(want) => {
                let body = files
                    .0
                    .get(&want.file)
                    .map(|text| text.clone().into_bytes());
                asked.push(want.file);
                session.supply(body);
            }
            Step::Done(result) => {
                let result = result.map(|done| {
                    let (collection, memory) = *done;
                    NotaryEvidence { collection, memory }
                });
                return Gathered { result, asked };
            }
        }
    }
}

/// A first gathering.
pub(crate) fn gather(
    files: &Files,
    gun: &str,
    trust: &NotaryServer,
) -> Result<NotaryEvidence, NotaryError> {
    run(files, gun, trust, &NotaryMemory::default(), None, now()).result
}

/// A gathering after another one.
pub(crate) fn update(
    files: &Files,
    trust: &NotaryServer,
    before: &NotaryEvidence,
) -> Result<NotaryEvidence, NotaryError> {
    let NotaryEvidence { collection, memory } = before;
    run(
        files,
        &collection.gun,
        trust,
        memory,
        Some(collection),
        now(),
    )
    .result
}

pub(crate) fn text<T: std::fmt::Debug>(result: Result<T, NotaryError>) -> String {
    result.unwrap_err().to_string()
}

pub(crate) fn app(step: u8) -> (Files, NotaryEvidence) {
    let files = Files::of(&format!("app/{step}"));
    let evidence = gather(&files, APP, &pinned(APP, &Files::of("app/1"))).unwrap();
    (files, evidence)
}

pub(crate) fn collection(files: &Files) -> VerifiedCollection {
    let trust = pinned(APP, files);
    verify(&trust, &gather(files, APP, &trust).unwrap()).unwrap()
}

pub(crate) fn refused(files: &Files) -> String {
    text(gather(files, APP, &pinned(APP, files)))
}

pub(crate) fn signer_refused(
    collection: &VerifiedCollection,
    tag: &str,
    name: &str,
    pem: &str,
) -> String {
    let key = key(pem);
    text(collection.signed(tag, &digest_of(tag), Signer { name, key: &key }))
}

pub(crate) fn span() -> portcullis_policy::Span {
    portcullis_policy::Span {
        file: "apps.yaml".into(),
        line: 1,
        column: 1,
        path: String::new(),
    }
}
