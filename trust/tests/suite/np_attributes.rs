//! Envelopes signed well over what the specification forbids: algorithms, attributes, headers and payloads.

use super::np_common::{envelope, now, refusal, verifier};

const BOTH: [&str; 2] = ["jws", "cose"];

/// Each file (without its ending: in both formats) is refused with this text.
fn refused(cases: &[(&str, &str, &str)]) {
    for (file, policy, text) in cases {
        let files = if file.contains('.') {
            vec![(*file).to_owned()]
        } else {
            BOTH.map(|form| format!("{file}.{form}")).to_vec()
        };
        for file in files {
            assert_eq!(refusal(&file, policy), *text, "{file}");
        }
    }
}

#[test]
fn the_key_decides_about_the_algorithm_and_not_the_header() {
    let missing = "an envelope's signed attributes are not as the specification asks: the algorithm is missing or none of the six";
    let other = "a signature's algorithm is not the one its certificate's key asks for";
    refused(&[
        ("forged-alg-none", "any", missing),
        ("forged-alg-absent", "any", missing),
        ("forged-alg-hs256", "any", missing),
        ("forged-alg-rs256", "any", missing),
        ("forged-alg-es384", "any", other),
        ("forged-alg-ps256", "any", other),
    ]);
}

#[test]
fn a_signature_by_another_key_or_in_another_encoding_is_none() {
    let text = "a signature does not verify with the key of its own certificate";
    refused(&[
        ("forged-by-other-key", "any", text),
        ("forged-by-other-key", "audit", text),
        ("forged-signature-der", "any", text),
        ("forged-chain-reordered", "any", CHAIN_ROOTLESS),
    ]);
}

const CHAIN_ROOTLESS: &str = "the certificate chain in an envelope is not as the specification asks: it does not end with a self-signed root";

#[test]
fn what_is_critical_is_known_marked_and_there() {
    let asks =
        |why| format!("an envelope's signed attributes are not as the specification asks: {why}");
    let unknown = asks("it marks as critical what is unknown, absent or listed twice");
    let unmarked = asks("an attribute that must be critical is not marked so");
    refused(&[
        ("forged-crit-unknown", "any", &unknown),
        ("forged-crit-absent", "any", &unknown),
        ("forged-crit-twice", "any", &unknown),
        ("forged-crit-signing-time", "any", &unknown),
        ("forged-scheme-not-critical", "any", &unknown),
        ("forged-expiry-critical-absent", "any", &unknown),
        ("forged-no-crit", "any", &unmarked),
        ("forged-empty-crit", "any", &unmarked),
        ("forged-expiry-not-critical", "any", &unmarked),
        ("forged-authority-not-critical", "authority", &unmarked),
        (
            "forged-crit-not-list",
            "any",
            "an envelope cannot be read: its list of critical headers is not one of names",
        ),
    ]);
}

#[test]
fn a_signature_that_needs_a_plugin_says_so() {
    let text = "a signature needs a notation plugin to be verified, which cannot be run here: sign without one";
    refused(&[
        ("forged-plugin", "any", text),
        ("forged-plugin-not-critical", "any", text),
        ("forged-plugin-version", "any", text),
        ("forged-plugin", "audit", text),
    ]);
}

#[test]
fn scheme_type_and_times_agree() {
    let asks =
        |why| format!("an envelope's signed attributes are not as the specification asks: {why}");
    refused(&[
        (
            "forged-type-other",
            "any",
            &asks("the content type is not a notation payload"),
        ),
        (
            "forged-type-absent",
            "any",
            &asks("the content type is not a notation payload"),
        ),
        (
            "forged-scheme-other",
            "any",
            &asks("the signing scheme is not known"),
        ),
        (
            "forged-scheme-absent",
            "any",
            &asks("the signing scheme is missing"),
        ),
        (
            "forged-time-absent",
            "any",
            &asks("the signing time is missing"),
        ),
        (
            "forged-authority-no-time",
            "authority",
            &asks("the signing time is missing"),
        ),
        (
            "forged-expiry-before-signing",
            "any",
            &asks("it expires before it was signed"),
        ),
        (
            "forged-authentic-under-x509",
            "any",
            &asks("an authentic signing time is not for the scheme notary.x509"),
        ),
        (
            "forged-authority-signing-time",
            "authority",
            &asks("a signing time is not for a signing authority"),
        ),
        (
            "forged-time-text.jws",
            "any",
            "an envelope cannot be read: a time is not RFC 3339",
        ),
        (
            "forged-time-untagged.cose",
            "any",
            "an envelope cannot be read: a time is not tag 1 with whole seconds",
        ),
    ]);
}

#[test]
fn a_header_brings_no_key_and_no_encoding() {
    let jws = "an envelope's signed attributes are not as the specification asks: its protected header brings a key, certificates or an encoding of its own";
    for header in ["jwk", "jku", "x5u", "x5c", "b64"] {
        refused(&[(&format!("forged-{header}.jws"), "any", jws)]);
    }
    refused(&[(
        "forged-x5chain-protected.cose",
        "any",
        "an envelope's signed attributes are not as the specification asks: its protected header brings a key or certificates of its own",
    )]);
}

#[test]
fn nothing_stands_twice_and_nothing_is_beside() {
    let jws = "an envelope cannot be read: it is not a flattened JWS of notation";
    let cose = "an envelope cannot be read: its unprotected header has what is not for notation";
    refused(&[
        ("forged-top-extra.jws", "any", jws),
        ("forged-signatures.jws", "any", jws),
        ("forged-payload-twice.jws", "any", jws),
        ("forged-unprotected-extra.jws", "any", jws),
        ("forged-trailing.jws", "any", jws),
        ("forged-unprotected-extra.cose", "any", cose),
        (
            "forged-trailing.cose",
            "any",
            "an envelope cannot be read: bytes follow its end",
        ),
        (
            "forged-untagged.cose",
            "any",
            "an envelope cannot be read: it is not a tagged COSE_Sign1",
        ),
        (
            "forged-tag-98.cose",
            "any",
            "an envelope cannot be read: it is not a tagged COSE_Sign1",
        ),
        (
            "forged-label-twice.cose",
            "any",
            "an envelope cannot be read: a header stands twice",
        ),
        (
            "forged-alg-twice.jws",
            "any",
            "an envelope cannot be read: its protected header is not a JSON object",
        ),
    ]);
}

#[test]
fn only_a_signature_over_this_image_counts() {
    let text = "a signature is over another image";
    let payload = |why| format!("a signed payload is not one of notation: {why}");
    refused(&[
        ("forged-other-digest", "any", text),
        ("forged-other-digest", "audit", text),
        ("forged-upper-digest", "any", text),
        ("forged-case-digest", "any", text),
        (
            "forged-no-digest",
            "any",
            &payload("its descriptor is not complete"),
        ),
        (
            "forged-no-size",
            "any",
            &payload("its descriptor is not complete"),
        ),
        (
            "forged-payload-text",
            "any",
            &payload("it is not a JSON object"),
        ),
        (
            "forged-payload-empty",
            "any",
            &payload("it has no target artefact"),
        ),
        (
            "forged-payload-null",
            "any",
            &payload("its descriptor is not one of OCI"),
        ),
        (
            "forged-digest-twice",
            "any",
            &payload("its descriptor is not one of OCI"),
        ),
        (
            "forged-target-twice",
            "any",
            &payload("it is not a JSON object"),
        ),
        (
            "forged-annotations-number",
            "any",
            &payload("its descriptor is not one of OCI"),
        ),
    ]);
    let good = envelope("signed-p256.jws");
    let other = portcullis_policy::Digest::of(b"another image");
    let refused = verifier("any")
        .verify(&other, &[&good], &[], now())
        .unwrap_err();
    assert!(refused.clause().ends_with(text), "{}", refused.clause());
}
