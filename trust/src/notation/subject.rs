//! Distinguished names: those that a policy trusts, and those of certificates (trust-store-trust-policy.md, "Trusted
//! Identities Constraints"; RFC 4514).
//!
//! A certificate's name is compared as it is encoded, never by way of a text: a value that looks like several attributes
//! stays one value.

mod text;

use std::fmt::Write as _;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Tag, Tagged as _};
use x509_cert::name::Name;

/// The attributes that a trusted identity may name. Short names of RFC 4514 section 3 and X.520, as notation prints them.
const ATTRIBUTES: [(&str, ObjectIdentifier); 9] = [
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("SERIALNUMBER", ObjectIdentifier::new_unwrap("2.5.4.5")),
];
/// What an identity must name, and a signer must have.
const MANDATORY: [&str; 3] = ["C", "ST", "O"];
/// Longest subject in a message, in characters.
const MAX_SHOWN: usize = 200;

/// `x509.subject:` of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity(Vec<(ObjectIdentifier, String)>);

/// The subject of a certificate, each attribute at most once.
#[derive(Debug)]
pub(super) struct Subject(Vec<(ObjectIdentifier, Option<String>)>);

impl Identity {
    /// Parses what follows `x509.subject:`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<(ObjectIdentifier, String)> = Vec::new();
        for (name, value) in text::parse(text)? {
            // As notation does, an `S` is a state.
            let name = if name == "S" { "ST" } else { name.as_str() };
            let Some((_, oid)) = ATTRIBUTES.iter().find(|(known, _)| *known == name) else {
                let known: Vec<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "`{name}` is not one of the attributes that are compared: {}",
                    known.join(", ")
                ));
            };
            if parts.iter().any(|(other, _)| other == oid) {
                return Err(format!("`{name}` stands twice"));
            }
            if value.is_empty() {
                return Err(format!("`{name}` has no value"));
            }
            parts.push((*oid, value));
        }
        for name in MANDATORY {
            if !parts.iter().any(|(oid, _)| short(*oid) == Some(name)) {
                return Err(format!("`{name}` is missing: C, ST and O are needed"));
            }
        }
        Ok(Self(parts))
    }

    /// Whether everything in it is in `subject`.
    pub(super) fn matches(&self, subject: &Subject) -> bool {
        self.0.iter().all(|(oid, value)| {
            subject
                .0
                .iter()
                .any(|(other, found)| other == oid && found.as_ref() == Some(value))
        })
    }

    /// Whether every certificate that the other one matches is matched by this one too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|part| other.0.contains(part))
    }
}

impl Subject {
    /// Reads a name.
    pub(super) fn of(name: &Name) -> Result<Self, &'static str> {
        let mut parts: Vec<(ObjectIdentifier, Option<String>)> = Vec::new();
        for relative in &name.0 {
            let mut attributes = relative.0.iter();
            let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
                return Err("it has a part with several values");
            };
            // Readers differ about which of two counts.
            if parts.iter().any(|(other, _)| *other == attribute.oid) {
                return Err("it has an attribute twice");
            }
            parts.push((attribute.oid, decode(attribute)));
        }
        Ok(Self(parts))
    }

    /// Whether it has what every identity names.
    pub(super) fn complete(&self) -> bool {
        MANDATORY.iter().all(|name| {
            self.0
                .iter()
                .any(|(oid, value)| short(*oid) == Some(*name) && value.is_some())
        })
    }
}

/// A name for people, `C=US, ST=WA, O=Example`.
pub(super) fn show(name: &Name) -> String {
    let mut shown = String::new();
    for attribute in name.0.iter().flat_map(|part| part.0.iter()) {
        if !shown.is_empty() {
            shown.push_str(", ");
        }
        match short(attribute.oid) {
            Some(short) => shown.push_str(short),
            None => {
                let _ = write!(shown, "{}", attribute.oid);
            }
        }
        shown.push('=');
        match decode(attribute) {
            Some(value) => text::escape(&value, &mut shown),
            None => shown.push('?'),
        }
        if shown.chars().count() > MAX_SHOWN {
            shown = shown.chars().take(MAX_SHOWN).collect();
            shown.push('…');
            break;
        }
    }
    shown
}

fn short(oid: ObjectIdentifier) -> Option<&'static str> {
    ATTRIBUTES
        .iter()
        .find(|(_, known)| *known == oid)
        .map(|(name, _)| *name)
}

/// The text of a value; `None` for kinds of strings whose characters are not agreed on (TeletexString) and for damage.
fn decode(attribute: &AttributeTypeAndValue) -> Option<String> {
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString if bytes.is_ascii() => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        Tag::BmpString => {
            let (pairs, []) = bytes.as_chunks::<2>() else {
                return None;
            };
            char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
                .collect::<Result<_, _>>()
                .ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn of(text: &str) -> Result<Subject, &'static str> {
        Subject::of(&Name::from_str(text).unwrap())
    }

    #[test]
    fn parts_with_several_values_and_repeated_attributes_have_two_readings() {
        of("CN=x,O=A,ST=WA,C=US").unwrap();
        assert_eq!(
            of("CN=x,O=A,ST=WA+C=US").unwrap_err(),
            "it has a part with several values"
        );
        assert_eq!(
            of("CN=x,OU=a,OU=b,O=A,ST=WA,C=US").unwrap_err(),
            "it has an attribute twice"
        );
    }

    #[test]
    fn a_value_whose_characters_are_not_agreed_on_equals_nothing() {
        use x509_cert::der::asn1::Any;
        let value = |tag, bytes: &[u8]| {
            decode(&AttributeTypeAndValue {
                oid: ObjectIdentifier::new_unwrap("2.5.4.10"),
                value: Any::new(tag, bytes).unwrap(),
            })
        };
        assert_eq!(value(Tag::Utf8String, "é".as_bytes()).as_deref(), Some("é"));
        assert_eq!(value(Tag::Utf8String, b"\xff"), None);
        assert_eq!(value(Tag::PrintableString, b"A*").as_deref(), Some("A*"));
        assert_eq!(value(Tag::PrintableString, b"\xe9"), None);
        assert_eq!(value(Tag::BmpString, b"\0A\0B").as_deref(), Some("AB"));
        assert_eq!(value(Tag::BmpString, b"\0A\0"), None);
        assert_eq!(value(Tag::BmpString, b"\xd8\0"), None);
        assert_eq!(value(Tag::TeletexString, b"A"), None);
        assert_eq!(value(Tag::OctetString, b"A"), None);
    }

    #[test]
    fn what_is_shown_cannot_be_taken_for_more_and_ends() {
        let name = Name::from_str("CN=a\\,O\\=b\\0A,C=US").unwrap();
        let shown = show(&name);
        assert!(shown.contains("CN=a\\,O\\=b\\0A"), "{shown}");
        // What would turn the rest of the line around.
        let mut shown = String::new();
        text::escape("a\u{202e}b\u{200b}", &mut shown);
        assert_eq!(shown, "a\\E2\\80\\AEb\\E2\\80\\8B");
        let long = Name::from_str(&format!("CN={}", "x".repeat(5000))).unwrap();
        assert_eq!(show(&long).chars().count(), MAX_SHOWN + 1);
    }
}
