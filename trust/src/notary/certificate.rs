//! The certificate that a root key comes in: which collection it may speak for, and when.

use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::BasicConstraints;

use super::tuf_key::TufKey;
use crate::time::Timestamp;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// How far a certificate's start may lie in the future, as Notary allows for clocks that differ.
const NOT_BEFORE_LEEWAY: i64 = 24 * 3600;
/// Signature algorithms a root certificate may carry: SHA-256 and better. Notary refuses SHA-1.
const SIGNATURE_ALGORITHMS: [&str; 8] = [
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.2.840.113549.1.1.10",
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.3.101.112",
];

/// Whether the certificate of a root key may speak for `gun` (rules of notary's trustpinning).
pub(super) fn certificate(
    key: &TufKey,
    gun: &str,
    at: Option<Timestamp>,
) -> Result<(), &'static str> {
    let (leaf, rest) = key
        .certificates
        .split_first()
        .ok_or("the root key has no certificate")?;
    if is_ca(leaf)? {
        return Err("the first certificate is a CA");
    }
    for other in rest {
        if !is_ca(other)? {
            return Err("there is more than one leaf certificate");
        }
    }
    if !SIGNATURE_ALGORITHMS.contains(&leaf.signature_algorithm.oid.to_string().as_str()) {
        return Err("its signature algorithm is too weak");
    }
    if !common_name(leaf).is_some_and(|name| speaks_for(name, gun)) {
        return Err("its common name is another");
    }
    if let Some(at) = at {
        let validity = &leaf.tbs_certificate.validity;
        let seconds = |time: &x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        if seconds(&validity.not_before) > at.0.saturating_add(NOT_BEFORE_LEEWAY) {
            return Err("it is not valid yet");
        }
        if seconds(&validity.not_after) < at.0 {
            return Err("it has expired");
        }
    }
    Ok(())
}

fn is_ca(certificate: &Certificate) -> Result<bool, &'static str> {
    Ok(certificate
        .tbs_certificate
        .get::<BasicConstraints>()
        .map_err(|_| "its basic constraints are damaged")?
        .is_some_and(|(_, constraints)| constraints.ca))
}

/// The common name, if there is exactly one. Any string type: Go writes `*` into a `PrintableString`.
fn common_name(certificate: &Certificate) -> Option<&str> {
    let mut names = certificate
        .tbs_certificate
        .subject
        .0
        .iter()
        .flat_map(|part| part.0.iter())
        .filter(|attribute| attribute.oid == COMMON_NAME);
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    std::str::from_utf8(name.value.value()).ok()
}

/// Whether a certificate's common name covers `gun`: the same, or a prefix ending in `/*`.
fn speaks_for(name: &str, gun: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => prefix.len() > 1 && prefix.ends_with('/') && gun.starts_with(prefix),
        None => name == gun,
    }
}

#[cfg(test)]
mod tests {
    use super::speaks_for;

    #[test]
    fn a_wildcard_name_covers_whole_path_segments_alone() {
        assert!(speaks_for("example.com/shop/app", "example.com/shop/app"));
        assert!(speaks_for("example.com/shop/*", "example.com/shop/app"));
        assert!(speaks_for("example.com/*", "example.com/shop/app"));
        for name in [
            "*",
            "/*",
            "example.com/shop*",
            "example.com/shop/ap*",
            "example.com/shop",
            "",
        ] {
            assert!(!speaks_for(name, "example.com/shop/app"), "{name}");
        }
    }
}
