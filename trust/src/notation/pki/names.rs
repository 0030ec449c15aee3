//! Where a certificate says that its authority can be asked.

use der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, CrlDistributionPoints};

use super::{Certificate, decode};

/// Longest URL that is followed, in bytes.
pub(in crate::notation) const MAX_URL: usize = 2048;

const AUTHORITY_INFO_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");

/// A distribution point: the same list at each of its URLs (RFC 5280 §4.2.1.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notation) struct Point {
    /// Where, of every scheme. Empty where this program cannot use the point: it names no URL, only some reasons, or another
    /// issuer of the list.
    pub(in crate::notation) urls: Vec<String>,
}

/// Whether a URL may be fetched: `http` or `https`, ASCII without spaces, and not too long.
pub(in crate::notation) fn http_url(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    url.len() <= MAX_URL
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && (lower.starts_with("http://") || lower.starts_with("https://"))
}

/// The URLs of OCSP responders. `Err`: the extension is there and cannot be read.
pub(in crate::notation) fn ocsp_urls(certificate: &Certificate<'_>) -> der::Result<Vec<String>> {
    let Some(extension) = certificate.extension(AUTHORITY_INFO_ACCESS) else {
        return Ok(Vec::new());
    };
    let access: AuthorityInfoAccessSyntax = decode(extension.value.as_bytes())?;
    Ok(access
        .0
        .iter()
        .filter(|one| one.access_method == OCSP)
        .filter_map(|one| url(&one.access_location))
        .collect())
}

/// The distribution points. `Err`: the extension is there and cannot be read.
pub(in crate::notation) fn crl_points(certificate: &Certificate<'_>) -> der::Result<Vec<Point>> {
    let Some(extension) = certificate.extension(CRL_DISTRIBUTION_POINTS) else {
        return Ok(Vec::new());
    };
    let points: CrlDistributionPoints = decode(extension.value.as_bytes())?;
    Ok(points
        .0
        .iter()
        .map(|point| Point {
            urls: match &point.distribution_point {
                Some(DistributionPointName::FullName(names))
                    if point.reasons.is_none() && point.crl_issuer.is_none() =>
                {
                    names.iter().filter_map(url).collect()
                }
                _ => Vec::new(),
            },
        })
        .collect())
}

/// The URL in a name.
pub(in crate::notation) fn url(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.as_str().to_owned()),
        _ => None,
    }
}
