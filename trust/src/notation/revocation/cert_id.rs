//! The question of OCSP: which certificate is meant, and by which authority (RFC 6960 §4.1).

use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Encode as _, Sequence};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::super::pki::{Certificate, Hash, sha1};

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");

/// Which certificate is meant (RFC 6960 §4.1.1).
#[derive(Debug, Clone, Copy, Sequence)]
pub(super) struct CertId<'a> {
    hash: AlgorithmIdentifierRef<'a>,
    issuer_name: OctetStringRef<'a>,
    issuer_key: OctetStringRef<'a>,
    serial: IntRef<'a>,
}

#[derive(Sequence)]
struct Request<'a> {
    certificate: CertId<'a>,
}

#[derive(Sequence)]
struct TbsRequest<'a> {
    list: Vec<Request<'a>>,
}

#[derive(Sequence)]
struct OcspRequest<'a> {
    tbs: TbsRequest<'a>,
}

/// DER of the question about `certificate`: one CertID, no nonce. Its hash is SHA-1 because that is what every responder
/// understands, and what notation asks with; it identifies, and proves nothing.
pub(super) fn request(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
) -> der::Result<Vec<u8>> {
    let name = sha1(certificate.issuer());
    let key = issuer.key_id();
    OcspRequest {
        tbs: TbsRequest {
            list: vec![Request {
                certificate: CertId {
                    hash: AlgorithmIdentifierRef {
                        oid: SHA1,
                        parameters: Some(AnyRef::NULL),
                    },
                    issuer_name: OctetStringRef::new(&name)?,
                    issuer_key: OctetStringRef::new(&key)?,
                    serial: IntRef::new(certificate.serial())?,
                },
            }],
        },
    }
    .to_der()
}

impl CertId<'_> {
    /// Whether this is `certificate`, issued by `issuer`.
    pub(super) fn names(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
        let hash = |bytes: &[u8]| {
            if self.hash.oid == SHA1 {
                Some(sha1(bytes))
            } else {
                Hash::from_identifier(&self.hash).map(|hash| hash.of(bytes))
            }
        };
        self.serial.as_bytes() == certificate.serial()
            && hash(certificate.issuer()).as_deref() == Some(self.issuer_name.as_bytes())
            && hash(issuer.key().subject_public_key.raw_bytes()).as_deref()
                == Some(self.issuer_key.as_bytes())
    }
}
