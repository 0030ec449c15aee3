//! Whom to ask about a certificate.

use super::super::pki::{Certificate, Point, crl_points, http_url, ocsp_urls};
use super::cert_id;
use crate::evidence::RevocationWant;

/// Most OCSP responders asked about one certificate.
pub(super) const MAX_OCSP_URLS: usize = 4;
/// Most CRL URLs asked about one certificate.
pub(super) const MAX_CRL_URLS: usize = 8;

/// The responders and distribution points a certificate names.
#[derive(Debug)]
pub(super) struct Sources {
    /// Followed, so few.
    responders: Vec<String>,
    /// The question to each of them.
    request: Vec<u8>,
    points: Vec<Point>,
    /// Of all points, those that are followed.
    lists: Vec<String>,
    /// Whether a responder is named that is not followed.
    others: bool,
}

impl Sources {
    /// Reads them from `certificate`, which `issuer` issued.
    pub(super) fn of(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> der::Result<Self> {
        let named = ocsp_urls(certificate)?;
        let points = crl_points(certificate)?;
        let followed = |urls: &mut dyn Iterator<Item = &String>, most: usize| {
            let mut out: Vec<String> = Vec::new();
            for url in urls {
                if http_url(url) && !out.contains(url) && out.len() < most {
                    out.push(url.clone());
                }
            }
            out
        };
        let responders = followed(&mut named.iter(), MAX_OCSP_URLS);
        let lists = followed(
            &mut points.iter().flat_map(|point| &point.urls),
            MAX_CRL_URLS,
        );
        Ok(Self {
            request: if responders.is_empty() {
                Vec::new()
            } else {
                cert_id::request(certificate, issuer)?
            },
            others: !named.is_empty(),
            responders,
            points,
            lists,
        })
    }

    /// Whether the certificate cannot be taken back: it names no source. One that cannot be followed is one.
    pub(super) fn is_empty(&self) -> bool {
        !self.others && self.points.is_empty()
    }

    /// The questions, OCSP first.
    pub(super) fn wants(&self) -> impl Iterator<Item = RevocationWant> {
        let ocsp = self.responders.iter().map(|url| RevocationWant::Ocsp {
            url: url.clone(),
            request: self.request.clone(),
        });
        let crl = self
            .lists
            .iter()
            .map(|url| RevocationWant::Crl { url: url.clone() });
        ocsp.chain(crl)
    }

    /// Whether this is a question of [`Sources::wants`].
    pub(super) fn asks_ocsp(&self, url: &String, request: &[u8]) -> bool {
        self.responders.contains(url) && self.request == request
    }

    /// The distribution point with `url`, if that is a question of [`Sources::wants`].
    pub(super) fn point_of(&self, url: &String) -> Option<&Point> {
        self.points
            .iter()
            .find(|point| self.lists.contains(url) && point.urls.contains(url))
    }

    /// Whether `good` holds for a URL of every distribution point, and there is one.
    pub(super) fn covered(&self, good: impl Fn(&String) -> bool) -> bool {
        !self.points.is_empty() && self.points.iter().all(|point| point.urls.iter().any(&good))
    }
}
