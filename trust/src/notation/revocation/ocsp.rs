//! OCSP responses (RFC 6960).

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, OctetStringRef};
use der::{
    Decode as _, Enumerated, Reader, Sequence, SliceReader, Tag, TagMode, TagNumber, Tagged as _,
};
use x509_cert::ext::pkix::KeyUsages;

use super::super::pki::{
    Certificate, ExtensionRef, Signed, elements, generalized, read_extensions, tagged,
};
use super::MAX_OCSP;
use super::cert_id::CertId;
use super::statement::{INVALIDITY_DATE, Reason, State, Statement, invalidity_date};
use crate::time::Timestamp;

/// Most certificates and single answers in a response; real ones have one or two.
const MAX_CERTIFICATES: usize = 8;
const MAX_SINGLES: usize = 128;

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumerated)]
#[repr(u32)]
enum Success {
    Successful = 0,
}

#[derive(Sequence)]
struct ResponseBytes<'a> {
    kind: ObjectIdentifier,
    response: OctetStringRef<'a>,
}

#[derive(Sequence)]
struct OcspResponse<'a> {
    status: Success,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<ResponseBytes<'a>>,
}

#[derive(Debug, Clone, Copy, Sequence)]
struct Revoked {
    at: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    reason: Option<Reason>,
}

/// The answer about one certificate.
struct Single<'a> {
    certificate: CertId<'a>,
    state: State,
    this_update: GeneralizedTime,
    next_update: Option<GeneralizedTime>,
    extensions: Vec<ExtensionRef<'a>>,
}

/// Who answered.
enum Responder<'a> {
    Name(&'a [u8]),
    Key(&'a [u8]),
}

/// ResponseData, and what stands around it.
struct Basic<'a> {
    signed: Signed<'a>,
    responder: Responder<'a>,
    singles: Vec<&'a [u8]>,
    extensions: Vec<ExtensionRef<'a>>,
    certificates: Vec<&'a [u8]>,
}

/// What the response `bytes` says about `certificate`, which `issuer` issued.
pub(super) fn read(
    bytes: &[u8],
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    gathered_at: Timestamp,
) -> Result<Statement, &'static str> {
    if bytes.len() > MAX_OCSP {
        return Err("its OCSP response is too long");
    }
    let unreadable = |_| "its OCSP response cannot be read, or is an error";
    let response = OcspResponse::from_der(bytes).map_err(unreadable)?;
    let Success::Successful = response.status;
    let basic = response
        .bytes
        .filter(|bytes| bytes.kind == BASIC)
        .ok_or("its OCSP response cannot be read, or is an error")?
        .response
        .as_bytes();
    let basic = Basic::parse(basic).map_err(unreadable)?;
    if !basic.is_authentic(issuer, gathered_at) {
        return Err("its OCSP response is not signed by who may answer");
    }
    let mut found = None;
    for single in &basic.singles {
        let single = Single::parse(single).map_err(unreadable)?;
        if !single.certificate.names(certificate, issuer) {
            continue;
        }
        if found.is_some() {
            return Err("its OCSP response answers twice");
        }
        found = Some(single);
    }
    found
        .ok_or("its OCSP response is about another certificate")?
        .statement(&basic.extensions, gathered_at)
}

impl<'a> Single<'a> {
    fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut outer = SliceReader::new(bytes)?;
        let single = outer.sequence(|reader| {
            Ok(Self {
                certificate: reader.decode()?,
                state: read_state(reader)?,
                this_update: reader.decode()?,
                next_update: reader.context_specific(TagNumber::N0, TagMode::Explicit)?,
                extensions: read_extensions(reader, TagNumber::N1)?,
            })
        })?;
        outer.finish(single)
    }

    /// `around` are the extensions of the whole response: one about a single certificate may have the invalidity date there,
    /// which is where notation reads it.
    fn statement(
        &self,
        around: &[ExtensionRef<'_>],
        gathered_at: Timestamp,
    ) -> Result<Statement, &'static str> {
        for extensions in [around, &self.extensions] {
            if extensions
                .iter()
                .any(|one| one.critical && one.oid != INVALIDITY_DATE)
            {
                return Err("its OCSP response has an unknown critical extension");
            }
        }
        let mut state = self.state;
        if let State::Revoked { invalid_since, .. } = &mut state {
            // One that cannot be read excuses nothing.
            *invalid_since = match invalidity_date(&self.extensions) {
                Ok(None) => invalidity_date(around).unwrap_or_default(),
                own => own.unwrap_or_default(),
            };
        }
        Ok(Statement::new(
            state,
            generalized(self.this_update),
            self.next_update.map(generalized),
            gathered_at,
        ))
    }
}

/// CertStatus: `good [0]`, `revoked [1]` or `unknown [2]`, implicitly tagged.
fn read_state<'a, R: Reader<'a>>(reader: &mut R) -> der::Result<State> {
    let status: AnyRef<'a> = reader.decode()?;
    let primitive = |number| Tag::ContextSpecific {
        constructed: false,
        number,
    };
    let tag = status.tag();
    if tag.is_constructed() {
        tag.assert_eq(Tag::ContextSpecific {
            constructed: true,
            number: TagNumber::N1,
        })?;
        let revoked: Revoked = AnyRef::new(Tag::Sequence, status.value())?.decode_as()?;
        return Ok(State::Revoked {
            at: generalized(revoked.at),
            on_hold: revoked.reason == Some(Reason::CertificateHold),
            invalid_since: None,
        });
    }
    if status.value().is_empty() && tag == primitive(TagNumber::N0) {
        Ok(State::Good)
    } else if status.value().is_empty() && tag == primitive(TagNumber::N2) {
        Ok(State::Unknown)
    } else {
        Err(der::ErrorKind::Failed.into())
    }
}

impl<'a> Basic<'a> {
    fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut outer = SliceReader::new(bytes)?;
        let basic = outer.sequence(|reader| {
            let signed = Signed::read(reader)?;
            let certificates = tagged(reader, TagNumber::N0)?.map(sequence).transpose()?;
            let mut data = SliceReader::new(signed.tbs)?;
            let (responder, singles, extensions) = data.sequence(read_data)?;
            data.finish(())?;
            Ok(Self {
                signed,
                responder,
                singles: elements(singles, MAX_SINGLES)?,
                extensions,
                certificates: elements(certificates.unwrap_or_default(), MAX_CERTIFICATES)?,
            })
        })?;
        outer.finish(basic)
    }

    /// Whether `issuer` signed it, or a responder whom `issuer` appointed for that alone (RFC 6960 §4.2.2.2).
    /// Whether that responder was itself taken back is not asked, with or without id-pkix-ocsp-nocheck: nor does notation.
    fn is_authentic(&self, issuer: &Certificate<'_>, at: Timestamp) -> bool {
        if self.is_by(issuer) && self.signed.is_signed_by(issuer) {
            return true;
        }
        self.certificates
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .any(|responder| {
                self.is_by(&responder)
                    && responder.extended_usages().1.contains(&OCSP_SIGNING)
                    && responder
                        .allows_usage(&[KeyUsages::DigitalSignature, KeyUsages::NonRepudiation])
                    && responder.is_valid_at(at)
                    && responder.is_issued_by(issuer)
                    && self.signed.is_signed_by(&responder)
            })
    }

    fn is_by(&self, certificate: &Certificate<'_>) -> bool {
        match self.responder {
            Responder::Name(name) => certificate.subject() == name,
            Responder::Key(key) => certificate.key_id() == key,
        }
    }
}

type Data<'a> = (Responder<'a>, &'a [u8], Vec<ExtensionRef<'a>>);

fn read_data<'a, R: Reader<'a>>(reader: &mut R) -> der::Result<Data<'a>> {
    let version: Option<u8> = reader.context_specific(TagNumber::N0, TagMode::Explicit)?;
    if version.is_some_and(|version| version != 0) {
        return Err(der::ErrorKind::Failed.into());
    }
    let responder = if let Some(name) = tagged(reader, TagNumber::N1)? {
        Responder::Name(name)
    } else {
        let key = tagged(reader, TagNumber::N2)?.ok_or(der::ErrorKind::Failed)?;
        Responder::Key(OctetStringRef::from_der(key)?.as_bytes())
    };
    let _produced: GeneralizedTime = reader.decode()?;
    let singles = sequence(reader.tlv_bytes()?)?;
    let extensions = read_extensions(reader, TagNumber::N1)?;
    Ok((responder, singles, extensions))
}

/// The content of a SEQUENCE.
fn sequence(element: &[u8]) -> der::Result<&[u8]> {
    let element = AnyRef::from_der(element)?;
    element.tag().assert_eq(Tag::Sequence)?;
    Ok(element.value())
}
