//! Every envelope of the fixtures under every policy it was tried with, against what notation itself said.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_trust::evidence::RevocationAnswer;
use portcullis_trust::notation::NotationVerifier;

use super::np_common::{crl, digest, envelope, now, requirement, text};

/// What notation 1.3.2 accepts and is refused here: envelope (without its ending where both are), and why.
const STRICTER: [(&str, &str); 26] = [
    // Two readers of one document may each see another value.
    ("forged-alg-twice.jws", "a name stands twice"),
    ("forged-payload-twice.jws", "a name stands twice"),
    ("forged-digest-twice", "a name stands twice"),
    ("forged-target-twice", "a name stands twice"),
    ("forged-case-digest", "upper and lower case of names differ"),
    // signature-envelope-jws.md: "no additional top level fields are supported".
    ("forged-top-extra.jws", "unknown member"),
    ("forged-signatures.jws", "unknown member"),
    ("forged-unprotected-extra", "unknown unprotected header"),
    // RFC 7515 section 4.1, RFC 7797: they change which key counts, or what is signed.
    ("forged-jwk.jws", "a key in the header"),
    ("forged-jku.jws", "a key in the header"),
    ("forged-x5u.jws", "certificates in the header"),
    ("forged-x5c.jws", "certificates in the header"),
    ("forged-b64.jws", "an encoding in the header"),
    (
        "forged-x5chain-protected.cose",
        "certificates in the header",
    ),
    // signature-specification.md: "unknown critical attributes MUST cause signature verification to fail".
    ("forged-crit-unknown", "unknown critical attribute"),
    (
        "forged-crit-unknown-number.cose",
        "unknown critical attribute",
    ),
    (
        "forged-crit-signing-time.cose",
        "as notation has it for JWS",
    ),
    ("forged-crit-twice.cose", "as notation has it for JWS"),
    ("forged-plugin-version", "a plugin that is not run"),
    // "only valid when signing scheme is …".
    (
        "forged-authentic-under-x509.cose",
        "as notation has it for JWS",
    ),
    (
        "forged-authority-signing-time.cose",
        "as notation has it for JWS",
    ),
    (
        "forged-time-float.cose",
        "fractional seconds SHOULD NOT be used",
    ),
    // "Certificate Requirements".
    (
        "forged-leaf-purpose-any",
        "MUST NOT contain anyExtendedKeyUsage",
    ),
    (
        "forged-ca-not-critical",
        "basicConstraints MUST be marked as critical",
    ),
    // Two attributes of one type: notation takes the last.
    (
        "forged-name-cn-twice",
        "two common names, under an identity",
    ),
    // notation refuses parts with several values in a policy, and takes them apart in a certificate.
    (
        "forged-name-multi",
        "a part with several values, under an identity",
    ),
];

/// What notation refuses and is accepted here.
const LOOSER: [(&str, &str); 2] = [
    // The digest names the bytes; whoever verifies is not told how long they are, nor what a registry calls them.
    ("forged-other-size", "the digest is that of the image"),
    ("forged-other-media-type", "the digest is that of the image"),
];

#[test]
fn every_verdict_is_the_one_of_notation_or_differs_for_a_stated_reason() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let verdicts = text("verdicts.tsv");
    assert!(verdicts.lines().count() > 800, "the table was cut");
    for row in verdicts.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, policy, answers, verdict, said] = columns[..] else {
            panic!("{row}");
        };
        let answers: &[Arc<RevocationAnswer>] = if answers == "crl" { &[crl()] } else { &[] };
        let ours = judge(file, policy, answers);
        let expected = verdict == "accept";
        if ours.is_ok() == expected {
            continue;
        }
        let list: &[(&str, &str)] = if expected { &STRICTER } else { &LOOSER };
        let stem = file.rsplit_once('.').unwrap().0;
        match list.iter().find(|(name, _)| *name == file || *name == stem) {
            Some((name, _)) => {
                used.insert(*name);
            }
            None => wrong.push(format!(
                "{file} {policy}: {ours:?}, notation: {verdict} {said}"
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, _) in STRICTER.iter().chain(&LOOSER) {
        assert!(used.contains(name), "{name} is no difference any more");
    }
}

fn judge(file: &str, policy: &str, answers: &[Arc<RevocationAnswer>]) -> Result<String, String> {
    let requirement = requirement(policy).map_err(|error| error.to_string())?;
    let verifier = NotationVerifier::compile(&requirement).map_err(|found| {
        let texts: Vec<String> = found.into_iter().map(|one| one.message).collect();
        texts.join("; ")
    })?;
    let artefact = envelope(file);
    verifier
        .verify(&digest(), &[&artefact], answers, now())
        .map(|verified| verified[0].signer.clone())
        .map_err(|refused| refused.clause())
}
