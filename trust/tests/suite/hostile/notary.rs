//! TUF metadata of Notary v1.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use portcullis_policy::model::NotaryServer;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::{NotaryCollection, NotaryMemory, verify};

use super::seeds::read;
use super::{Seed, Target};

const SERVER: &str = "https://notary.example.com";
const GUN: &str = "registry.example.com/shop/app";
const FILES: [&str; 9] = [
    "root",
    "timestamp",
    "snapshot",
    "targets",
    "targets/alice",
    "targets/bob",
    "targets/carol",
    "targets/pair",
    "targets/releases",
];

fn text(role: &str) -> String {
    String::from_utf8(read(&format!("notary/app/1/{role}.json"))).unwrap()
}

static GOOD: LazyLock<(NotaryServer, NotaryEvidence)> = LazyLock::new(|| {
    let root: serde_json::Value = serde_json::from_str(&text("root")).unwrap();
    let pin = root["signed"]["roles"]["root"]["keyids"][0]
        .as_str()
        .unwrap();
    let trust = NotaryServer {
        server: SERVER.to_owned(),
        ca: None,
        pins: BTreeMap::from([(GUN.to_owned(), pin.to_owned())]),
        trust_on_first_use: false,
    };
    let collection = NotaryCollection {
        server: SERVER.to_owned(),
        gun: GUN.to_owned(),
        gathered_at: Timestamp::parse("2026-11-21T00:00:00Z").unwrap(),
        roots: vec![text("root")],
        timestamp: text("timestamp"),
        snapshot: text("snapshot"),
        targets: text("targets"),
        delegations: FILES[4..]
            .iter()
            .map(|role| ((*role).to_owned(), text(role)))
            .collect(),
    };
    let memory = NotaryMemory::default();
    (trust, NotaryEvidence { collection, memory })
});

pub(super) const METADATA: Target = Target {
    name: "notary",
    run: |bytes| {
        let (trust, good) = &*GOOD;
        let text = std::str::from_utf8(bytes).ok()?;
        // Each role in turn: whatever is hashed or signed by another file is the same, or refused.
        for role in FILES {
            let mut evidence = good.clone();
            let collection = &mut evidence.collection;
            let place = match role {
                "root" => &mut collection.roots[0],
                "timestamp" => &mut collection.timestamp,
                "snapshot" => &mut collection.snapshot,
                "targets" => &mut collection.targets,
                role => collection.delegations.get_mut(role).unwrap(),
            };
            text.clone_into(place);
            let _ = verify(trust, &evidence).map(|found| found.target("latest"));
        }
        None
    },
    seeds: || {
        FILES
            .iter()
            .map(|role| Seed::file(&format!("notary/app/1/{role}.json")))
            .collect()
    },
};
