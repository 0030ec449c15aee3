//! What a requirement for a signature asks, in words.

use portcullis_policy::model::{
    AnnotationsRequirement, AttestationRequirement, CosignRequirement, Demand, KeyMaterial,
    NotationAction, NotationCheck, NotationLevel, NotationRequirement, SignatureStore,
    SignedIdentity, SigstoreSigner, SigstoreSigners, SimpleRequirement, TextMatch, TrustStore,
    TrustStoreKind, TrustedRootSource, VerifyTimestamp, VulnerabilitySeverity,
};

use super::duration::spoken;

pub(super) fn cosign(one: &CosignRequirement) -> String {
    let mut text = format!("a cosign signature by {}", signers(&one.signers));
    if let Some(identity) = &one.identity {
        text.push_str(&format!(", {}", signed_identity(identity)));
    }
    let annotations = one.annotations.iter();
    for (key, value) in annotations {
        text.push_str(&format!(", with the signed annotation {key}={value}"));
    }
    text
}

pub(super) fn attestation(one: &AttestationRequirement) -> String {
    let mut text = format!(
        "an attestation of type {} by {}",
        one.predicate_type,
        signers(&one.signers)
    );
    for (what, expected) in [
        ("built by", &one.builder),
        ("from", &one.source),
        ("at", &one.reference),
    ] {
        if let Some(expected) = expected {
            text.push_str(&format!(", {what} {}", compared(expected)));
        }
    }
    if let Some(age) = one.max_age {
        text.push_str(&format!(", at most {} old", spoken(age)));
    }
    if let Some(limits) = &one.vulnerabilities {
        text.push_str(&match limits.max_severity {
            VulnerabilitySeverity::None => ", reporting no vulnerability".to_owned(),
            other => format!(", reporting nothing above {}", severity(other)),
        });
        if !limits.allow_cves.is_empty() {
            text.push_str(&format!(" but {}", limits.allow_cves.join(", ")));
        }
        if let Some(age) = limits.max_scan_age {
            text.push_str(&format!(", scanned at most {} ago", spoken(age)));
        }
    }
    if let Some(cel) = &one.cel {
        text.push_str(&format!(", where {}", cel.text.trim()));
    }
    text
}

pub(super) fn notation(one: &NotationRequirement) -> String {
    let of_kind = |wanted: &dyn Fn(TrustStoreKind) -> bool| -> Vec<&TrustStore> {
        let stores = one.trust_stores.iter();
        stores.filter(|store| wanted(store.kind)).collect()
    };
    let signing: Vec<String> = of_kind(&|kind| kind != TrustStoreKind::Tsa)
        .iter()
        .map(|store| store_name(store))
        .collect();
    let level = match one.level {
        NotationLevel::Strict => "strict",
        NotationLevel::Permissive => "permissive",
        NotationLevel::Audit => "audit",
    };
    let identities: Vec<&str> = one
        .trusted_identities
        .iter()
        .map(|identity| match identity.text.as_str() {
            "*" => "anyone",
            text => text,
        })
        .collect();
    let mut text = format!(
        "a notation signature by {} under {} (level {level}",
        identities.join(" or "),
        signing.join(" or ")
    );
    for (check, action) in &one.overrides {
        text.push_str(&format!(
            ", {}: {}",
            check_name(*check),
            action_name(*action)
        ));
    }
    text.push(')');
    let stamps = of_kind(&|kind| kind == TrustStoreKind::Tsa);
    if !stamps.is_empty() {
        let names: Vec<String> = stamps.iter().map(|store| store_name(store)).collect();
        let when = match one.verify_timestamp {
            VerifyTimestamp::Always => "",
            VerifyTimestamp::AfterCertExpiry => " once a certificate has expired",
        };
        text.push_str(&format!(", timestamped under {}{when}", names.join(" or ")));
    }
    for (key, value) in &one.user_metadata {
        text.push_str(&format!(", with the user metadata {key}={value}"));
    }
    text
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
    let mut text = match (signers.threshold, of.len()) {
        (1, _) => of.join(" or "),
        (all, many) if all == many => of.join(" and "),
        (some, _) => format!("{some} of {}", of.join(", ")),
    };
    let keyless = signers
        .of
        .iter()
        .any(|signer| matches!(signer, SigstoreSigner::Identity(_)));
    text.push_str(match signers.transparency_log {
        Demand::Require => ", with a log entry",
        Demand::Ignore => ", no log entry required",
    });
    if keyless && signers.signed_certificate_timestamp == Demand::Ignore {
        text.push_str(", no certificate timestamp required");
    }
    // Where nothing is checked against it, it says nothing.
    if keyless || signers.transparency_log == Demand::Require {
        text.push_str(&match &signers.trusted_root {
            TrustedRootSource::PublicGood => ", trusting Sigstore's public instance".to_owned(),
            TrustedRootSource::Json(root) => format!(", trusting {}", root.name),
            TrustedRootSource::Parts { .. } => {
                ", trusting the certificates and log keys of the policy".to_owned()
            }
        });
    }
    text
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
