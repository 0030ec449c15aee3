//! What the laws of the decision are tried with: requirements of every kind, and signatures that hold, do not hold, or are
//! about something else.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use portcullis_policy::Digest;
use portcullis_policy::model::{
    AnnotationsRequirement, AttestationRequirement, CosignRequirement, Requirement, SignedIdentity,
    SigstoreSigners, TextMatch,
};
use portcullis_trust::evidence::{
    Artefact, EarlierArtefact, ImageDescription, SignatureSet, SignatureSource,
};
use serde_json::json;

use crate::common::openpgp;
use crate::common::{APP, WEB, digest_of, now, span};
use crate::np_common;
use crate::sigstore_fixture::{self as sigstore, IDENTITY, ISSUER};

/// An image whose description says `team: shop`.
static DESCRIBED: LazyLock<ImageDescription> = LazyLock::new(|| {
    let config = json!({"config": {"Labels": {"team": "shop"}}}).to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "config": {"digest": Digest::of(config.as_bytes()).to_string(), "size": config.len()},
        "layers": [],
    });
    let manifest = manifest.to_string().into_bytes();
    ImageDescription {
        subject: Digest::of(&manifest),
        index: None,
        manifest,
        config: config.into_bytes(),
        gathered_at: now(),
    }
});

/// Everything that can be found beside an image.
static SETS: LazyLock<Vec<SignatureSet>> = LazyLock::new(|| {
    let cases = |names: &[&str]| -> Vec<Artefact> {
        names.iter().flat_map(|name| sigstore::case(name)).collect()
    };
    let bundles = cases(&[
        "bundle-p256",
        "keyless-release",
        "keyless-evil",
        "attested-bundle",
        "other-digest",
        "bundle-rsa2048",
        "bundle-annotated",
    ]);
    let legacy = cases(&["legacy-p256", "legacy-rsa2048", "keyless-legacy"]);
    let attested = cases(&["attested-legacy", "keyless-attested-legacy"]);
    let notation = [
        "signed-good.jws",
        "signed-p256.cose",
        "signed-revoked.jws",
        "signed-self.cose",
    ];
    let simple = ["ed", "other-tag", "expired", "other-digest", "rsa"];
    let set = |source, repository: &str, subject, artefacts| SignatureSet {
        source,
        repository: repository.to_owned(),
        subject,
        artefacts,
        earlier: Vec::new(),
        truncated: false,
        gathered_at: now(),
    };
    let app = sigstore::app();
    vec![
        set(SignatureSource::Bundles, APP, app, bundles.clone()),
        set(SignatureSource::Bundles, WEB, app, bundles.clone()),
        set(SignatureSource::Bundles, APP, digest_of("v1.0"), bundles),
        set(SignatureSource::CosignSignatures, APP, app, legacy),
        set(SignatureSource::CosignAttestations, APP, app, attested),
        set(
            SignatureSource::Notation,
            APP,
            np_common::digest(),
            notation.map(np_common::envelope).to_vec(),
        ),
        set(
            SignatureSource::RegistryExtension,
            APP,
            digest_of("v1.0"),
            simple
                .map(|name| openpgp::artefact(openpgp::signature(name)))
                .to_vec(),
        ),
    ]
});

/// Requirements that signatures prove, and one that a description does.
static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    let keys = |names: &[&str]| names.iter().map(|name| sigstore::key(name)).collect();
    let release = || sigstore::exact(IDENTITY, ISSUER);
    let anyone = || {
        let anything = || TextMatch::Glob("*".to_owned());
        sigstore::by(anything(), anything())
    };
    let cosign = |of, threshold| {
        Requirement::Cosign(sigstore::requirement(SigstoreSigners {
            threshold,
            ..sigstore::offline(of)
        }))
    };
    let attested = |of, threshold| {
        Requirement::Attestation(AttestationRequirement {
            predicate_type: "https://slsa.dev/provenance/v1".to_owned(),
            signers: SigstoreSigners {
                threshold,
                ..sigstore::offline(of)
            },
            builder: None,
            source: None,
            reference: None,
            max_age: None,
            vulnerabilities: None,
            cel: None,
            span: span(),
        })
    };
    let simple = |identity| {
        let mut simple = openpgp::requirement(vec![
            openpgp::keyring("ed.asc"),
            openpgp::keyring("rsa.asc"),
        ]);
        simple.identity = identity;
        Requirement::Simple(simple)
    };
    let notation = |name| Requirement::Notation(np_common::requirement(name).unwrap());
    let team = |team: &str| {
        Requirement::Annotations(AnnotationsRequirement {
            values: BTreeMap::from([("team".to_owned(), TextMatch::Exact(team.to_owned()))]),
            max_age: None,
            span: span(),
        })
    };
    vec![
        cosign(keys(&["p256.pub"]), 1),
        cosign(keys(&["p256.pub", "rsa2048.pub", "other.pub"]), 2),
        cosign(vec![release(), anyone()], 2),
        cosign(keys(&["other.pub"]), 1),
        Requirement::Cosign(CosignRequirement {
            identity: Some(SignedIdentity::MatchRepository),
            ..sigstore::requirement(sigstore::offline(keys(&["p256.pub"])))
        }),
        attested(keys(&["p256.pub"]), 1),
        attested(vec![sigstore::key("p256.pub"), release(), anyone()], 2),
        notation("any"),
        notation("log-revocation"),
        notation("other"),
        simple(SignedIdentity::default()),
        simple(SignedIdentity::MatchRepository),
        team("shop"),
        team("web"),
    ]
});

pub(crate) fn requirements() -> Vec<Requirement> {
    REQUIREMENTS.clone()
}

pub(crate) fn descriptions() -> Vec<Arc<ImageDescription>> {
    vec![Arc::new(DESCRIBED.clone())]
}

/// Images by the digest that each kind of evidence is about.
pub(crate) fn images() -> Vec<(String, Digest)> {
    let described = DESCRIBED.subject;
    vec![
        (format!("{APP}:v1.0"), digest_of("v1.0")),
        (format!("{APP}:v1.0"), digest_of("evil")),
        (format!("{APP}:latest"), digest_of("latest-1")),
        (format!("{APP}@{}", digest_of("v1.0")), digest_of("v1.0")),
        (
            format!("{APP}:v1.0@{}", digest_of("v1.0")),
            digest_of("v1.0"),
        ),
        (format!("{APP}:v1.0"), sigstore::app()),
        (format!("{APP}@{}", sigstore::app()), sigstore::app()),
        (format!("{WEB}@{}", sigstore::app()), sigstore::app()),
        (format!("{APP}:v1.0"), np_common::digest()),
        (format!("{APP}:v1.0"), described),
    ]
}

/// The sets and artefacts for which `keep` has a bit, those with a bit in `earlier` as no longer listed.
pub(crate) fn signatures(keep: u64, earlier: u64) -> Vec<Arc<SignatureSet>> {
    let mut bits = (0..64).map(|bit| (keep & (1 << bit) != 0, earlier & (1 << bit) != 0));
    let mut next = || bits.next().expect("more artefacts than bits");
    let mut sets = Vec::new();
    for set in SETS.iter() {
        let kept = next().0;
        let mut one = SignatureSet {
            artefacts: Vec::new(),
            ..set.clone()
        };
        for artefact in &set.artefacts {
            match next() {
                (false, _) => {}
                (true, false) => one.artefacts.push(artefact.clone()),
                (true, true) => one.earlier.push(EarlierArtefact {
                    artefact: artefact.clone(),
                    gathered_at: now(),
                }),
            }
        }
        if kept {
            sets.push(Arc::new(one));
        }
    }
    sets
}
