//! What the notation tests share: fixtures, policies from them, and a clock that stands still.
#![allow(dead_code, reason = "each test file uses its own part")]

#[path = "../../examples/verify-notation/policy.rs"]
mod policy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::Digest;
use portcullis_policy::model::NotationRequirement;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{Artefact, ArtefactKind, RevocationAnswer, RevocationWant};
use portcullis_trust::finding::Verified;
use portcullis_trust::notation::NotationVerifier;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/notation")
        .join(name)
}

pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap()
}

/// When notation judged the fixtures.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse(text("made-at").trim()).unwrap()
}

/// The signed image's.
pub(crate) fn digest() -> Digest {
    text("digest").trim().parse().unwrap()
}

pub(crate) fn artefact(kind: ArtefactKind, bytes: Vec<u8>) -> Artefact {
    Artefact {
        kind,
        bytes,
        annotations: BTreeMap::new(),
    }
}

/// A fixture by its file name.
pub(crate) fn envelope(file: &str) -> Artefact {
    let kind = if Path::new(file).extension().is_some_and(|end| end == "jws") {
        ArtefactKind::NotationJws
    } else {
        ArtefactKind::NotationCose
    };
    artefact(kind, fs::read(fixture("envelopes").join(file)).unwrap())
}

/// What a trust policy of the fixtures asks for; an error where not even its JSON is one.
pub(crate) fn requirement(name: &str) -> anyhow::Result<NotationRequirement> {
    policy::requirement(
        &fixture(&format!("policies/{name}.json")),
        &fixture("trust-store"),
        "example.com/app",
    )
    .map(Option::unwrap)
}

pub(crate) fn verifier(name: &str) -> NotationVerifier {
    NotationVerifier::compile(&requirement(name).unwrap()).unwrap()
}

/// The intermediate's CRL, gathered at [`now`].
pub(crate) fn crl() -> Arc<RevocationAnswer> {
    Arc::new(RevocationAnswer {
        want: RevocationWant::Crl {
            url: text("revocation/url").trim().to_owned(),
        },
        bytes: fs::read(fixture("revocation/int.crl")).unwrap(),
        gathered_at: now(),
    })
}

/// The verdict on one envelope without any answer of an authority, in words.
pub(crate) fn judge(verifier: &NotationVerifier, artefact: &Artefact) -> Result<Verified, String> {
    judge_at(verifier, artefact, now())
}

pub(crate) fn judge_at(
    verifier: &NotationVerifier,
    artefact: &Artefact,
    now: Timestamp,
) -> Result<Verified, String> {
    verifier
        .verify(&digest(), &[artefact], &[], now)
        .map(|mut verified| verified.remove(0))
        .map_err(|refused| {
            refused
                .clause()
                .strip_prefix("1 was found and does not count: ")
                .unwrap()
                .to_owned()
        })
}

/// Why an envelope of the fixtures does not count under a policy of theirs.
pub(crate) fn refusal(file: &str, policy: &str) -> String {
    judge(&verifier(policy), &envelope(file)).unwrap_err()
}
