//! Types of statements: cosign's short names for them, and what each can be asked.

use crate::fields::Field;
use crate::report::Report;

const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
const SPDX: &str = "https://spdx.dev/Document";
const CYCLONEDX: &str = "https://cyclonedx.org/bom";
const COSIGN_VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// in-toto's own predicates of the same kind.
const VULNS: [&str; 2] = [
    "https://in-toto.io/attestation/vulns/v0.1",
    "https://in-toto.io/attestation/vulns/v0.2",
];
/// What `cosign sign` states: a signature.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// `--type` of cosign 3.1.1, and the predicate type that each writes.
const SHORT_NAMES: [(&str, &str); 10] = [
    ("slsaprovenance", SLSA_02),
    ("slsaprovenance02", SLSA_02),
    ("slsaprovenance1", SLSA_1),
    ("spdx", SPDX),
    ("spdxjson", SPDX),
    ("cyclonedx", CYCLONEDX),
    ("vuln", COSIGN_VULN),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
];

/// What a condition is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// Who built the image from what.
    Provenance,
    /// A report of vulnerabilities.
    Vulnerabilities,
    /// When the statement was made.
    Time,
}

/// A `predicateType`, expanded.
pub(super) struct Predicate {
    pub(super) uri: String,
}

impl Predicate {
    pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        let text = field.non_empty_text(report)?;
        let short = SHORT_NAMES.iter().find(|(name, _)| *name == text);
        let uri = short.map_or(text, |(_, uri)| *uri);
        let problem = if uri == SIGNATURE {
            "this is how cosign writes a signature down; require one with `cosign`".to_owned()
        } else if is_uri(uri) {
            return Some(Self {
                uri: uri.to_owned(),
            });
        } else {
            // A misspelt short name must not become a type that no statement has.
            let names: Vec<String> = SHORT_NAMES
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            format!("must be a URI, or one of {}", names.join(", "))
        };
        report.error(field.span(), problem);
        None
    }

    /// Whether a statement of this type can meet a condition about `topic`; if not, it is reported.
    pub(super) fn has(&self, topic: Topic, condition: &Field<'_>, report: &mut Report) -> bool {
        let uri = self.uri.as_str();
        let provenance = [SLSA_02, SLSA_1].contains(&uri);
        let vulnerabilities = uri == COSIGN_VULN || VULNS.contains(&uri);
        let (has, only) = match topic {
            Topic::Provenance => (
                provenance,
                "provenance (`slsaprovenance02`, `slsaprovenance1`) says",
            ),
            Topic::Vulnerabilities => (
                vulnerabilities,
                "a report of vulnerabilities (`vuln`, https://in-toto.io/attestation/vulns/v0.1 and /v0.2) has",
            ),
            Topic::Time => (
                provenance
                    || vulnerabilities
                    || [SPDX, CYCLONEDX]
                        .iter()
                        .any(|base| is_version_of(base, uri)),
                "provenance, reports of vulnerabilities, `spdx` and `cyclonedx` have a time that is understood, and have",
            ),
        };
        if !has {
            report.error(
                condition.key_span(),
                format!("no statement of type {uri} can meet this: only {only} it"),
            );
        }
        has
    }
}

/// The type itself, or one version of it (`https://spdx.dev/Document/v2.3`).
fn is_version_of(base: &str, uri: &str) -> bool {
    uri.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
}

/// A scheme and something behind it (RFC 3986).
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && !rest.is_empty()
        && text.bytes().all(|b| b.is_ascii_graphic())
}
