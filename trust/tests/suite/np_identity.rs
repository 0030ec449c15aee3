//! Whose names match a trusted identity, and which identities a policy may not have.

use portcullis_policy::model::TrustedIdentity;
use portcullis_trust::notation::NotationVerifier;

use super::np_common::{envelope, judge, refusal, requirement, verifier};

/// A verifier that trusts `identities`, or why there is none.
fn trusting(identities: &[&str]) -> Result<NotationVerifier, String> {
    let mut requirement = requirement("any").unwrap();
    requirement.trusted_identities = identities
        .iter()
        .map(|text| TrustedIdentity {
            text: (*text).to_owned(),
            span: requirement.span.clone(),
        })
        .collect();
    NotationVerifier::compile(&requirement).map_err(|found| {
        let texts: Vec<String> = found.into_iter().map(|one| one.message).collect();
        texts.join(" | ")
    })
}

/// Whether the signer `C=US, ST=WA, O=Example Org, OU=sign, CN=p256` is who the text names.
fn matches(subject: &str) -> bool {
    let verifier = trusting(&[&format!("x509.subject:{subject}")]).unwrap();
    judge(&verifier, &envelope("signed-p256.jws")).is_ok()
}

#[test]
fn an_identity_is_a_part_of_the_signers_name_in_any_order() {
    for subject in [
        " C=US, ST=WA, O=Example Org",
        "C=US,ST=WA,O=Example Org,OU=sign,CN=p256",
        "CN=p256, O=Example Org, C=US, ST=WA",
        " C = US ,  S = WA , O =  Example Org  ",
        "C=US; ST=WA; O=Example Org",
        "C=US, ST=WA, O=Ex\\61mple\\ Org, OU=\\73ign",
    ] {
        assert!(matches(subject), "{subject}");
    }
    for subject in [
        "C=us, ST=WA, O=Example Org",
        "C=US, ST=WA, O=example org",
        "C=US, ST=WA, O=Example",
        "C=US, ST=WA, O=*",
        "C=US, ST=WA, O=Example Org*",
        "C=US, ST=WA, O=Example Org, OU=release",
        "C=US, ST=WA, O=Example Org, L=Seattle",
        "C=US, ST=WA, O=Example Org, OU=p256, CN=sign",
        "C=US, ST=WA, O=Example Org, OU=sign\\ ",
        "C=US, ST=WA, O=Example Org\\, OU=sign",
        "C=US, ST=WA, O=Ex\u{430}mple Org",
        "C=US, ST=WA, O=Example\u{a0}Org",
        "C=US, ST=WA, O=Example Org\u{200b}",
    ] {
        assert!(!matches(subject), "{subject}");
    }
}

#[test]
fn a_name_that_only_looks_like_the_trusted_one_is_another() {
    for (name, shown) in [
        ("comma", "C=US, ST=WA, O=Example Org\\, OU\\=sign, CN=x"),
        (
            "escaped",
            "C=US, ST=WA, O=Example Org\\\\\\, OU\\=sign, CN=x",
        ),
        (
            "in-cn",
            "C=US, ST=WA, O=Evil, CN=O\\=Example Org\\, OU\\=sign",
        ),
        ("space", "C=US, ST=WA, O=Example Org, OU=sign , CN=x"),
        ("case", "C=US, ST=WA, O=EXAMPLE ORG, OU=sign, CN=x"),
        (
            "homoglyph",
            "C=US, ST=WA, O=Ex\u{430}mple Org, OU=sign, CN=x",
        ),
        (
            "zero-width",
            "C=US, ST=WA, O=Example\\E2\\80\\8B Org, OU=sign, CN=x",
        ),
        ("quote", "C=US, ST=WA, O=Example Org\\\", OU=sign, CN=x"),
    ] {
        for form in ["jws", "cose"] {
            assert_eq!(
                refusal(&format!("forged-name-{name}.{form}"), "sign"),
                format!("the signer `{shown}` is not among the trusted identities")
            );
        }
    }
    judge(&verifier("sign"), &envelope("forged-name-order.jws")).unwrap();
    judge(&verifier("dn-comma"), &envelope("forged-name-comma.jws")).unwrap();
}

#[test]
fn a_name_with_two_readings_matches_no_identity() {
    for (name, why) in [
        ("ou-twice", "it has an attribute twice"),
        ("ou-more", "it has an attribute twice"),
        ("cn-twice", "it has an attribute twice"),
        ("multi", "it has a part with several values"),
        ("no-state", "it lacks C, ST or O"),
    ] {
        assert_eq!(
            refusal(&format!("forged-name-{name}.jws"), "sign"),
            format!("the signer's certificate has a subject that cannot be matched: {why}")
        );
        judge(
            &verifier("any"),
            &envelope(&format!("forged-name-{name}.jws")),
        )
        .unwrap();
    }
}

#[test]
fn an_identity_that_is_not_one_refuses_the_policy() {
    for (subject, why) in [
        ("", "a part has no `=`"),
        ("C=US, ST=WA", "`O` is missing: C, ST and O are needed"),
        ("C=US, ST=WA, O=", "`O` has no value"),
        ("C=US, ST=WA, O=Example Org, OU=", "`OU` has no value"),
        ("C=US, ST=WA, O=Example Org,", "a part has no `=`"),
        ("C=US, ST=WA, O=A, O=B", "`O` stands twice"),
        ("C=US, ST=WA, S=WA, O=A", "`ST` stands twice"),
        (
            "C=US+ST=WA, O=A",
            "`C` has a `+`: parts with several values are not supported; write `\\+` for the character",
        ),
        (
            "C=US, ST=WA, O=#130b4578",
            "`O` is a value in hex, which is not supported; write `\\#` for the character",
        ),
        ("C=US, ST=WA, O=\"A\"", "`O` has a `\"`: write `\\\"`"),
        ("C=US, ST=WA, O=<A>", "`O` has a `<`: write `\\<`"),
        (
            "C=US, ST=WA, O=A\\",
            "`O` has a `\\` before what needs none: write `\\\\` for the character",
        ),
        (
            "C=US, ST=WA, O=A\\b",
            "`O` has a `\\` before what needs none: write `\\\\` for the character",
        ),
        ("C=US, ST=WA, O=A\\00", "`O` has a control character"),
        ("C=US, ST=WA, O=A\nB", "`O` has a control character"),
        ("C=US, ST=WA, O=\\C3", "`O` is not UTF-8"),
        (
            "c=US, ST=WA, O=A",
            "`c` is not one of the attributes that are compared: C, ST, L, O, OU, CN, STREET, POSTALCODE, SERIALNUMBER",
        ),
        (
            "C=US, ST=WA, O=A, 2.5.4.11=x",
            "`2.5.4.11` is not one of the attributes that are compared: C, ST, L, O, OU, CN, STREET, POSTALCODE, SERIALNUMBER",
        ),
        (
            "C\u{a0}=US, ST=WA, O=A",
            "the name of an attribute has a character it cannot have",
        ),
    ] {
        assert_eq!(
            trusting(&[&format!("x509.subject:{subject}")]).unwrap_err(),
            format!("this trusted identity cannot be used: {why}"),
            "{subject}"
        );
    }
}

#[test]
fn a_list_of_identities_is_unambiguous() {
    let (wide, narrow) = (
        "x509.subject: C=US, ST=WA, O=A",
        "x509.subject: C=US, ST=WA, O=A, OU=B",
    );
    let overlap = "this trusted identity overlaps with another one: keep the wider or the narrower";
    assert_eq!(trusting(&[wide, narrow]).unwrap_err(), overlap);
    assert_eq!(trusting(&[narrow, wide]).unwrap_err(), overlap);
    assert_eq!(trusting(&[narrow, narrow]).unwrap_err(), overlap);
    assert_eq!(
        trusting(&["*", narrow]).unwrap_err(),
        "`*` in `trustedIdentities` trusts everyone: it stands alone, or not at all"
    );
    assert_eq!(
        trusting(&[]).unwrap_err(),
        "`trustedIdentities` is empty: nobody could sign"
    );
    for other in [
        "x509.san: x",
        "C=US, ST=WA, O=A",
        "",
        "X509.subject: C=US, ST=WA, O=A",
    ] {
        assert_eq!(
            trusting(&[other]).unwrap_err(),
            "a trusted identity is `*` or begins with `x509.subject:`"
        );
    }
    trusting(&[narrow, "x509.subject: C=US, ST=WA, O=A, OU=C"]).unwrap();
}
