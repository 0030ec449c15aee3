//! Records for the store's tests.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeMap;

use portcullis::containerd::Sandbox;
use portcullis::store::{Link, Resolution, ResolutionSource, Store};
use portcullis_policy::Digest;
use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{
    Artefact, ArtefactKind, ImageDescription, NotaryEvidence, Origin, OriginSource, SignatureSet,
    SignatureSource,
};
use portcullis_trust::notary::{NotaryCollection, NotaryMemory};

pub const SERVER: &str = "https://notary.example";

pub fn trust_data(gun: &str, version: u64) -> NotaryEvidence {
    NotaryEvidence {
        collection: NotaryCollection {
            server: SERVER.to_owned(),
            gun: gun.to_owned(),
            gathered_at: Timestamp(1_000),
            roots: vec!["{}".to_owned()],
            timestamp: version.to_string(),
            snapshot: "s".repeat(3_000),
            targets: "t".to_owned(),
            delegations: BTreeMap::from([("targets/alice".to_owned(), "d".to_owned())]),
        },
        memory: NotaryMemory {
            floors: BTreeMap::from([("timestamp".to_owned(), version), ("root".to_owned(), 1)]),
            first_root: Some(Digest::of(b"root")),
        },
    }
}

pub fn floor(store: &Store, gun: &str) -> Option<u64> {
    let memory = store.notary_memory(SERVER, gun)?;
    memory.floors.get("timestamp").copied()
}

pub fn link() -> Link {
    Link {
        root: Digest::of(b"root"),
        manifest: Digest::of(b"manifest"),
        config: Digest::of(b"config"),
        chain_id: Digest::of(b"chain"),
        user: "1000".to_owned(),
    }
}

pub fn resolution(namespace: Option<&str>, reference: &str) -> Resolution {
    Resolution {
        namespace: namespace.map(str::to_owned),
        reference: reference.to_owned(),
        digest: Digest::of(b"root"),
        source: ResolutionSource::Notary,
        gathered_at: Timestamp(5),
    }
}

pub fn signatures() -> SignatureSet {
    SignatureSet {
        source: SignatureSource::CosignSignatures,
        repository: "docker.io/library/app".to_owned(),
        subject: Digest::of(b"root"),
        artefacts: vec![Artefact {
            kind: ArtefactKind::CosignSignature,
            bytes: b"payload".repeat(100),
            annotations: BTreeMap::from([("signature".to_owned(), "text".to_owned())]),
        }],
        earlier: Vec::new(),
        truncated: false,
        gathered_at: Timestamp(7),
    }
}

pub fn description() -> ImageDescription {
    ImageDescription {
        subject: Digest::of(b"root"),
        index: None,
        manifest: b"manifest".repeat(50),
        config: b"config".repeat(50),
        gathered_at: Timestamp(8),
    }
}

pub fn sandbox(id: &str) -> Sandbox {
    Sandbox {
        id: id.to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: "u-1".to_owned(),
        runtime_handler: String::new(),
    }
}

pub fn origin() -> Origin {
    Origin {
        repository: "docker.io/library/app".to_owned(),
        digest: Digest::of(b"root"),
        source: OriginSource::Adopted,
        at: Timestamp(9),
        reason: Some("imported from a disk".to_owned()),
    }
}

pub fn policy() -> Vec<SourceFile> {
    vec![SourceFile {
        name: "a.yaml".to_owned(),
        bytes: vec![0, 255, b'x'],
        mode: Some(0o600),
    }]
}
