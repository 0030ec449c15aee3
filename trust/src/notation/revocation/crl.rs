//! Certificate revocation lists (RFC 5280 §5), complete and direct ones.

use der::asn1::{AnyRef, IntRef, ObjectIdentifier};
use der::{Decode as _, Reader, Sequence, SliceReader, Tag, TagNumber};
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_cert::time::Time;

use super::super::pki::{
    Certificate, ExtensionRef, Point, Signed, check_extensions, decode, read_extensions, timestamp,
    url,
};
use super::MAX_CRL;
use super::statement::{INVALIDITY_DATE, REASON, Reason, State, Statement, invalidity_date};
use crate::time::Timestamp;

const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// deltaCRLIndicator: always critical, so a delta CRL is refused as unknown, but also where its maker forgot that.
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
/// certificateIssuer: the entry is about another authority's certificate.
const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");

struct List<'a> {
    signed: Signed<'a>,
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// Content of `revokedCertificates`.
    entries: &'a [u8],
    extensions: Vec<ExtensionRef<'a>>,
}

#[derive(Sequence)]
struct Entry<'a> {
    serial: IntRef<'a>,
    date: Time,
    extensions: Option<Vec<ExtensionRef<'a>>>,
}

/// What the list `bytes`, found at `point`, says about `certificate`, which `issuer` issued.
pub(super) fn read(
    bytes: &[u8],
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    point: &Point,
    gathered_at: Timestamp,
) -> Result<Statement, &'static str> {
    if bytes.len() > MAX_CRL {
        return Err("its CRL is too long");
    }
    let list = List::parse(bytes).map_err(|_| "its CRL cannot be read")?;
    let may_sign = issuer.allows_usage(&[KeyUsages::CRLSign]);
    if list.issuer != certificate.issuer()
        || list.issuer != issuer.subject()
        || !may_sign
        || !list.signed.is_signed_by(issuer)
    {
        return Err("its CRL is not signed by the certificate's issuer");
    }
    list.check_scope(certificate, point)?;
    let state = list.find(certificate.serial())?;
    Ok(Statement::new(
        state,
        list.this_update,
        list.next_update,
        gathered_at,
    ))
}

impl<'a> List<'a> {
    fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let signed = Signed::from_der(bytes)?;
        let mut outer = SliceReader::new(signed.tbs)?;
        let list = outer.sequence(|reader| {
            let version: Option<u8> = reader.decode()?;
            let algorithm: AlgorithmIdentifierRef<'a> = reader.decode()?;
            if algorithm != signed.algorithm || version.is_some_and(|version| version != 1) {
                return Err(der::ErrorKind::Failed.into());
            }
            let issuer = reader.tlv_bytes()?;
            let this_update: Time = reader.decode()?;
            let next_update: Option<Time> = reader.decode()?;
            let entries = if !reader.is_finished() && reader.peek_tag()? == Tag::Sequence {
                AnyRef::decode(reader)?.value()
            } else {
                &[]
            };
            let extensions = read_extensions(reader, TagNumber::N0)?;
            Ok(Self {
                signed,
                issuer,
                this_update: timestamp(this_update),
                next_update: next_update.map(timestamp),
                entries,
                extensions,
            })
        })?;
        outer.finish(list)
    }

    /// Whether the list covers `certificate`: it is complete, direct, for every reason, for its kind of certificate, and the
    /// one of this distribution point. Else one part of a partitioned list could be passed off for another.
    fn check_scope(
        &self,
        certificate: &Certificate<'_>,
        point: &Point,
    ) -> Result<(), &'static str> {
        for extension in &self.extensions {
            match extension.oid {
                DELTA => return Err("its CRL is a delta CRL"),
                ISSUING_DISTRIBUTION_POINT => {
                    let scope: IssuingDistributionPoint =
                        decode(extension.value.as_bytes()).map_err(|_| "its CRL cannot be read")?;
                    if !covers(&scope, certificate, point) {
                        return Err("its CRL does not cover the certificate");
                    }
                }
                _ if extension.critical => {
                    return Err("its CRL has an unknown critical extension");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the entries say about `serial`. A critical extension that is not known, in whichever entry, spoils the whole list
    /// (RFC 5280 §5.3).
    fn find(&self, serial: &[u8]) -> Result<State, &'static str> {
        let unreadable = |_| "its CRL cannot be read";
        let mut reader = SliceReader::new(self.entries).map_err(unreadable)?;
        let mut found = State::Good;
        while !reader.is_finished() {
            let entry: Entry<'_> = reader.decode().map_err(unreadable)?;
            let extensions =
                check_extensions(entry.extensions.unwrap_or_default()).map_err(unreadable)?;
            let known = |oid| oid == REASON || oid == INVALIDITY_DATE;
            if extensions
                .iter()
                .any(|one| one.oid == CERTIFICATE_ISSUER || (one.critical && !known(one.oid)))
            {
                return Err("its CRL has an unknown critical extension");
            }
            if entry.serial.as_bytes() != serial || found != State::Good {
                continue;
            }
            let reason = extensions
                .iter()
                .find(|one| one.oid == REASON)
                .map(|one| Reason::from_der(one.value.as_bytes()))
                .transpose()
                .unwrap_or_default();
            // No part of a complete list; where it stands all the same, its issuer says that the certificate is not on it.
            if reason == Some(Reason::RemoveFromCrl) {
                continue;
            }
            found = State::Revoked {
                at: timestamp(entry.date),
                on_hold: reason == Some(Reason::CertificateHold),
                // One that cannot be read excuses nothing.
                invalid_since: invalidity_date(&extensions).unwrap_or_default(),
            };
        }
        Ok(found)
    }
}

fn covers(scope: &IssuingDistributionPoint, certificate: &Certificate<'_>, point: &Point) -> bool {
    let named = match &scope.distribution_point {
        None => true,
        Some(DistributionPointName::FullName(names)) => names
            .iter()
            .filter_map(url)
            .any(|url| point.urls.contains(&url)),
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => false,
    };
    named
        && !scope.indirect_crl
        && !scope.only_contains_attribute_certs
        && scope.only_some_reasons.is_none()
        && (!scope.only_contains_user_certs || !certificate.is_ca())
        && (!scope.only_contains_ca_certs || certificate.is_ca())
}
