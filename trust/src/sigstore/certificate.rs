//! Who a keyless certificate is for.

use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Fulcio's user names, such as `alice!example.com` (fulcio, docs/oid-info.md).
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// Every subject alternative name that is an email address, a URI or a user name, in an order of their own: whoever has two
/// certificates for the same names is one signer. `None`: it does not parse.
pub(super) fn names(der: &[u8]) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(der).ok()?;
    let found: Option<(bool, SubjectAltName)> = certificate.tbs_certificate.get().ok()?;
    let Some((_, alternatives)) = found else {
        return Some(Vec::new());
    };
    let mut names = Vec::new();
    for name in &alternatives.0 {
        match name {
            GeneralName::Rfc822Name(text) | GeneralName::UniformResourceIdentifier(text) => {
                names.push(text.to_string());
            }
            GeneralName::OtherName(other) if other.type_id == USER_NAME => {
                let der = other.value.to_der().ok()?;
                names.push(Utf8StringRef::from_der(&der).ok()?.as_str().to_owned());
            }
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use x509_cert::der::asn1::{Ia5String, OctetString};
    use x509_cert::der::oid::AssociatedOid as _;
    use x509_cert::ext::Extension;

    use super::*;

    #[test]
    fn the_same_names_in_another_order_are_the_same_person() {
        let der = include_bytes!("../../tests/fixtures/revocation/good.crt");
        let mut certificate = Certificate::from_der(der).unwrap();
        let mut of = |all: &[&str]| {
            let name = |text: &&str| GeneralName::Rfc822Name(Ia5String::new(text).unwrap());
            let alternatives = SubjectAltName(all.iter().map(name).collect());
            certificate.tbs_certificate.extensions = Some(vec![Extension {
                extn_id: SubjectAltName::OID,
                critical: true,
                extn_value: OctetString::new(alternatives.to_der().unwrap()).unwrap(),
            }]);
            names(&certificate.to_der().unwrap()).unwrap()
        };
        let one = of(&["a@example.test", "b@example.test"]);
        assert_eq!(one.len(), 2);
        assert_eq!(
            of(&["b@example.test", "a@example.test", "b@example.test"]),
            one
        );
    }
}
