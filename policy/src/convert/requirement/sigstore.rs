//! `cosign` and `attestations`.

use std::collections::BTreeMap;

use super::{entry, keys};
use crate::convert::yaml::{Value, map};
use crate::load::duration_text;
use crate::model::{
    AttestationRequirement, CosignRequirement, Demand, KeyMaterial, SigstoreSigner,
    SigstoreSigners, TextMatch, TrustedRootSource, VulnerabilityLimits, VulnerabilitySeverity,
};

type Fields = Vec<(String, Value)>;

pub(super) fn cosign(cosign: &CosignRequirement) -> Value {
    let mut fields = signers(&cosign.signers);
    if !cosign.annotations.is_empty() {
        fields.push(entry("annotations", exact(&cosign.annotations)));
    }
    Value::Map(fields)
}

pub(super) fn attestation(one: &AttestationRequirement) -> Value {
    let mut fields = vec![entry("predicateType", Value::text(&one.predicate_type))];
    fields.extend(signers(&one.signers));
    for (key, text) in [
        ("builder", &one.builder),
        ("source", &one.source),
        ("ref", &one.reference),
    ] {
        fields.extend(text.as_ref().map(|text| entry(key, text_match(text))));
    }
    let age = one.max_age;
    fields.extend(age.map(|age| entry("maxAge", Value::Text(duration_text(age)))));
    let limits = one.vulnerabilities.as_ref();
    fields.extend(limits.map(|limits| entry("vulnerabilities", vulnerabilities(limits))));
    let cel = one.cel.as_ref();
    fields.extend(cel.map(|cel| entry("cel", Value::text(&cel.text))));
    Value::Map(fields)
}

fn signers(signers: &SigstoreSigners) -> Fields {
    let mut public_keys: Vec<KeyMaterial> = Vec::new();
    let mut identities = Vec::new();
    for signer in &signers.of {
        match signer {
            SigstoreSigner::Key(key) => public_keys.push(key.clone()),
            SigstoreSigner::Identity(one) => identities.push(map([
                ("identity", text_match(&one.identity)),
                ("issuer", text_match(&one.issuer)),
            ])),
        }
    }
    let mut fields = Fields::new();
    if !public_keys.is_empty() {
        let list = keys::list(&public_keys, keys::Armour::PublicKey);
        fields.push(entry("keys", list));
    }
    let keyless = !identities.is_empty();
    if keyless {
        fields.push(entry("identities", Value::List(identities)));
    }
    if signers.threshold != 1 {
        let threshold = Value::Plain(signers.threshold.to_string());
        fields.push(entry("threshold", threshold));
    }
    fields.push(entry("transparencyLog", demand(signers.transparency_log)));
    if keyless {
        let demand = demand(signers.signed_certificate_timestamp);
        fields.push(entry("signedCertificateTimestamp", demand));
    }
    if let TrustedRootSource::Json(root) = &signers.trusted_root {
        let json = String::from_utf8_lossy(&root.bytes).into_owned();
        fields.push(entry("trustedRoot", map([("json", Value::Text(json))])));
    }
    fields
}

fn demand(demand: Demand) -> Value {
    Value::text(match demand {
        Demand::Require => "require",
        Demand::Ignore => "ignore",
    })
}

fn vulnerabilities(limits: &VulnerabilityLimits) -> Value {
    let severity = match limits.max_severity {
        VulnerabilitySeverity::None => "none",
        VulnerabilitySeverity::Negligible => "negligible",
        VulnerabilitySeverity::Low => "low",
        VulnerabilitySeverity::Medium => "medium",
        VulnerabilitySeverity::High => "high",
        VulnerabilitySeverity::Critical => "critical",
    };
    let mut fields = vec![entry("maxSeverity", Value::text(severity))];
    if !limits.allow_cves.is_empty() {
        let names = limits.allow_cves.iter().map(|name| Value::text(name));
        fields.push(entry("allowCVEs", Value::List(names.collect())));
    }
    let age = limits.max_scan_age;
    fields.extend(age.map(|age| entry("maxScanAge", Value::Text(duration_text(age)))));
    Value::Map(fields)
}

pub(super) fn text_match(text: &TextMatch) -> Value {
    match text {
        TextMatch::Exact(text) => Value::text(text),
        TextMatch::Glob(text) => map([("glob", Value::text(text))]),
        TextMatch::Regex(text) => map([("regex", Value::text(text))]),
    }
}

pub(super) fn exact(values: &BTreeMap<String, String>) -> Value {
    let values = values.iter();
    Value::Map(
        values
            .map(|(key, value)| entry(key, Value::text(value)))
            .collect(),
    )
}
