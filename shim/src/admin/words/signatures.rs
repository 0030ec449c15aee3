//! What a requirement for a signature asks, in words.

use portcullis_policy::model::{
    AnnotationsRequirement, AttestationRequirement, CosignRequirement, Demand, KeyMaterial,
    NotationAction, NotationCheck, NotationLevel, NotationRequirement, SignatureStore,
    SignedIdentity, SigstoreSigner, SigstoreSigners, SimpleRequirement, TextMatch, TrustStore,
    TrustStoreKind, TrustedRootSource, VerifyTimestamp, VulnerabilitySeverity,
};

use super::duration::spoken;

pub(super) fn cosign(one: &CosignRequirement) -> String {
    let mut parts = vec![format!("a cosign signature by {}", signers(&one.signers))];
    parts.extend(one.identity.as_ref().map(signed_identity));
    for (key, value) in &one.annotations {
        parts.push(format!("with the signed annotation {key}={value}"));
    }
    parts.join(", ")
}

pub(super) fn attestation(one: &AttestationRequirement) -> String {
    let mut parts = vec![format!(
        "an attestation of type {} by {}",
        one.predicate_type,
        signers(&one.signers)
    )];
    for (what, expected) in [
        ("built by", &one.builder),
        ("from", &one.source),
        ("at", &one.reference),
    ] {
        parts.extend(
            expected
                .as_ref()
                .map(|text| format!("{what} {}", compared(text))),
        );
    }
    parts.extend(
        one.max_age
            .map(|age| format!("at most {} old", spoken(age))),
    );
    if let Some(limits) = &one.vulnerabilities {
        let allowed = match limits.max_severity {
            VulnerabilitySeverity::None => "reporting no vulnerability".to_owned(),
            other => format!("reporting nothing above {}", severity(other)),
        };
        parts.push(if limits.allow_cves.is_empty() {
            allowed
        } else {
            format!("{allowed} but {}", limits.allow_cves.join(", "))
        });
        let age = limits.max_scan_age;
        parts.extend(age.map(|age| format!("scanned at most {} ago", spoken(age))));
    }
    parts.extend(
        one.cel
            .as_ref()
            .map(|cel| format!("where {}", cel.text.trim())),
    );
    parts.join(", ")
}

pub(super) fn notation(one: &NotationRequirement) -> String {
    let names = |stamping: bool| -> Vec<String> {
        one.trust_stores
            .iter()
            .filter(|store| (store.kind == TrustStoreKind::Tsa) == stamping)
            .map(store_name)
            .collect()
    };
    let identities: Vec<&str> = one
        .trusted_identities
        .iter()
        .map(|identity| match identity.text.as_str() {
            "*" => "anyone",
            text => text,
        })
        .collect();
    let mut judged = vec![format!("level {}", level_name(one.level))];
    for (check, action) in &one.overrides {
        judged.push(format!("{}: {}", check_name(*check), action_name(*action)));
    }
    let mut parts = vec![format!(
        "a notation signature by {} under {} ({})",
        identities.join(" or "),
        names(false).join(" or "),
        judged.join(", ")
    )];
    let stamps = names(true);
    if !stamps.is_empty() {
        let when = match one.verify_timestamp {
            VerifyTimestamp::Always => "",
            VerifyTimestamp::AfterCertExpiry => " once a certificate has expired",
        };
        parts.push(format!("timestamped under {}{when}", stamps.join(" or ")));
    }
    for (key, value) in &one.user_metadata {
        parts.push(format!("with the user metadata {key}={value}"));
    }
    parts.join(", ")
}

pub(super) fn simple(one: &SimpleRequirement) -> String {
    let keys: Vec<String> = one.keys.iter().map(key).collect();
    let store = match &one.store {
        SignatureStore::RegistryExtension => "the registry's own store".to_owned(),
        SignatureStore::Lookaside(store) => store.url.0.clone(),
        SignatureStore::RegistriesD(_) => "the store that registries.d names".to_owned(),
    };
    format!(
        "an OpenPGP signature by {}, {}, from {store}",
        keys.join(" or "),
        signed_identity(&one.identity)
    )
}

pub(super) fn annotations(one: &AnnotationsRequirement) -> String {
    let mut parts: Vec<String> = one
        .values
        .iter()
        .map(|(key, expected)| format!("{key} is {}", compared(expected)))
        .collect();
    if let Some(age) = one.max_age {
        parts.push(format!("it was created at most {} ago", spoken(age)));
    }
    format!("an image that says of itself: {}", parts.join(", and "))
}

fn signers(signers: &SigstoreSigners) -> String {
    let of: Vec<String> = signers
        .of
        .iter()
        .map(|signer| match signer {
            SigstoreSigner::Key(one) => key(one),
            SigstoreSigner::Identity(one) => format!(
                "{} (issuer {})",
                compared(&one.identity),
                compared(&one.issuer)
            ),
        })
        .collect();
    let mut parts = vec![match (signers.threshold, of.len()) {
        (1, _) => of.join(" or "),
        (all, many) if all == many => of.join(" and "),
        (some, _) => format!("{some} of {}", of.join(", ")),
    }];
    let keyless = signers
        .of
        .iter()
        .any(|signer| matches!(signer, SigstoreSigner::Identity(_)));
    parts.push(match signers.transparency_log {
        Demand::Require => "with a log entry".to_owned(),
        Demand::Ignore => "no log entry required".to_owned(),
    });
    if keyless && signers.signed_certificate_timestamp == Demand::Ignore {
        parts.push("no certificate timestamp required".to_owned());
    }
    // Where nothing is checked against it, it says nothing.
    if keyless || signers.transparency_log == Demand::Require {
        parts.push(match &signers.trusted_root {
            TrustedRootSource::PublicGood => "trusting Sigstore's public instance".to_owned(),
            TrustedRootSource::Json(root) => format!("trusting {}", root.name),
            TrustedRootSource::Parts { .. } => {
                "trusting the certificates and log keys of the policy".to_owned()
            }
        });
    }
    parts.join(", ")
}

fn key(one: &KeyMaterial) -> String {
    match one.name.as_str() {
        "inline" => format!("the key in line {} of {}", one.span.line, one.span.file),
        name => format!("the key {name}"),
    }
}

fn compared(text: &TextMatch) -> String {
    match text {
        TextMatch::Exact(text) | TextMatch::Glob(text) => text.clone(),
        TextMatch::Regex(text) => format!("/{text}/"),
    }
}

fn signed_identity(identity: &SignedIdentity) -> String {
    match identity {
        SignedIdentity::MatchRepoDigestOrExact => {
            "made for this reference (by digest: this repository)".to_owned()
        }
        SignedIdentity::MatchExact => "made for exactly this reference".to_owned(),
        SignedIdentity::MatchRepository => "made for this repository".to_owned(),
        SignedIdentity::ExactReference(reference) => format!("made for {reference}"),
        SignedIdentity::ExactRepository(repository) => {
            format!("made for the repository {repository}")
        }
        SignedIdentity::Remap {
            prefix,
            signed_prefix,
        } => format!("made for this reference with {signed_prefix} in place of {prefix}"),
    }
}

fn store_name(store: &TrustStore) -> String {
    let kind = match store.kind {
        TrustStoreKind::Ca => "ca",
        TrustStoreKind::SigningAuthority => "signingAuthority",
        TrustStoreKind::Tsa => "tsa",
    };
    format!("{kind}:{}", store.name)
}

const fn level_name(level: NotationLevel) -> &'static str {
    match level {
        NotationLevel::Strict => "strict",
        NotationLevel::Permissive => "permissive",
        NotationLevel::Audit => "audit",
    }
}

const fn check_name(check: NotationCheck) -> &'static str {
    match check {
        NotationCheck::Integrity => "integrity",
        NotationCheck::Authenticity => "authenticity",
        NotationCheck::AuthenticTimestamp => "authenticTimestamp",
        NotationCheck::Expiry => "expiry",
        NotationCheck::Revocation => "revocation",
    }
}

const fn action_name(action: NotationAction) -> &'static str {
    match action {
        NotationAction::Enforce => "enforce",
        NotationAction::Log => "log",
        NotationAction::Skip => "skip",
    }
}

const fn severity(severity: VulnerabilitySeverity) -> &'static str {
    match severity {
        VulnerabilitySeverity::None => "none",
        VulnerabilitySeverity::Negligible => "negligible",
        VulnerabilitySeverity::Low => "low",
        VulnerabilitySeverity::Medium => "medium",
        VulnerabilitySeverity::High => "high",
        VulnerabilitySeverity::Critical => "critical",
    }
}
