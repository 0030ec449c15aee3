//! Envelopes of notation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use portcullis_policy::model::{
    NotationLevel, NotationRequirement, TrustStore, TrustStoreKind, TrustedIdentity,
    VerifyTimestamp,
};
use portcullis_policy::{Digest, Span};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::notation::NotationVerifier;

use super::seeds::{list, material, read};
use super::{Seed, Target, signers};

fn store(kind: TrustStoreKind, name: &str, file: &str) -> TrustStore {
    TrustStore {
        kind,
        name: name.to_owned(),
        certificates: vec![material(
            file,
            read(&format!("notation/trust-store/x509/{file}")),
        )],
    }
}

static VERIFIER: LazyLock<NotationVerifier> = LazyLock::new(|| {
    NotationVerifier::compile(&NotationRequirement {
        trust_stores: vec![
            store(TrustStoreKind::Ca, "example", "ca/example/root.pem"),
            store(TrustStoreKind::Ca, "self", "ca/self/self.example.crt"),
            store(
                TrustStoreKind::SigningAuthority,
                "authority",
                "signingAuthority/authority/root.pem",
            ),
            store(TrustStoreKind::Tsa, "stamps", "tsa/stamps/tsaroot.pem"),
        ],
        trusted_identities: vec![TrustedIdentity {
            text: "*".to_owned(),
            span: Span::nowhere(),
        }],
        level: NotationLevel::Strict,
        overrides: BTreeMap::new(),
        verify_timestamp: VerifyTimestamp::AfterCertExpiry,
        user_metadata: BTreeMap::new(),
        span: Span::nowhere(),
    })
    .unwrap()
});

static SIGNED: LazyLock<(Digest, Timestamp)> = LazyLock::new(|| {
    let text = |name| String::from_utf8(read(name)).unwrap().trim().to_owned();
    let digest = text("notation/digest").parse().unwrap();
    (digest, Timestamp::parse(&text("notation/made-at")).unwrap())
});

fn judge(kind: ArtefactKind, bytes: &[u8]) -> Option<String> {
    let artefact = Artefact {
        kind,
        bytes: bytes.to_vec(),
        annotations: BTreeMap::new(),
    };
    let (digest, now) = &*SIGNED;
    let _ = VERIFIER.revocation_wants(digest, &[&artefact]);
    let verified = VERIFIER.verify(digest, &[&artefact], &[], *now).ok()?;
    Some(signers(&verified))
}

pub(super) const JWS: Target = Target {
    name: "notation_jws",
    run: |bytes| judge(ArtefactKind::NotationJws, bytes),
    seeds: || {
        list("notation/envelopes", ".jws")
            .iter()
            .map(|name| {
                let seed = Seed::file(name);
                let json: Option<serde_json::Value> = serde_json::from_slice(&seed.bytes).ok();
                let signed = json.iter().flat_map(|json| {
                    ["payload", "protected"]
                        .iter()
                        .filter_map(|field| Some(json[*field].as_str()?.as_bytes().to_vec()))
                });
                let signed = signed.collect();
                seed.with_signed(signed)
            })
            .collect()
    },
};

pub(super) const COSE: Target = Target {
    name: "notation_cose",
    run: |bytes| judge(ArtefactKind::NotationCose, bytes),
    seeds: || {
        list("notation/envelopes", ".cose")
            .iter()
            .map(|name| {
                let seed = Seed::file(name);
                // The payload is the only JSON in it.
                let begins = b"{\"targetArtifact\"";
                let at = seed
                    .bytes
                    .windows(begins.len())
                    .position(|part| part == begins);
                let signed = at.and_then(|at| {
                    let rest = &seed.bytes[at..];
                    let length = (0..rest.len()).find(|length| {
                        serde_json::from_slice::<serde_json::Value>(&rest[..*length]).is_ok()
                    })?;
                    Some(rest[..length].to_vec())
                });
                seed.with_signed(signed.into_iter().collect())
            })
            .collect()
    },
};
