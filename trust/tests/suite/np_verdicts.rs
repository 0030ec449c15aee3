//! Every envelope of the fixtures under every policy it was tried with, against what notation itself said.

use std::sync::Arc;

use portcullis_trust::evidence::RevocationAnswer;
use portcullis_trust::notation::NotationVerifier;

use super::np_common::{crl, digest, envelope, now, requirement, text};

/// What notation accepts against its specification, or where it cannot see what it accepts: refused here. Each with why.
const STRICTER: [(&str, &str); 0] = [];

#[test]
fn every_verdict_is_the_one_of_notation_or_stricter_for_a_stated_reason() {
    let mut wrong = Vec::new();
    for row in text("verdicts.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, policy, answers, verdict, said] = columns[..] else {
            panic!("{row}");
        };
        let answers: &[Arc<RevocationAnswer>] = if answers == "crl" { &[crl()] } else { &[] };
        let ours = judge(file, policy, answers);
        let stricter = STRICTER
            .iter()
            .any(|(name, _)| *name == file || *name == policy);
        let expected = verdict == "accept" && !stricter;
        if ours.is_ok() != expected {
            wrong.push(format!(
                "{file} {policy}: {ours:?}, notation: {verdict} {said}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn judge(file: &str, policy: &str, answers: &[Arc<RevocationAnswer>]) -> Result<String, String> {
    let requirement = requirement(policy).map_err(|error| error.to_string())?;
    let verifier = NotationVerifier::compile(&requirement).map_err(|found| {
        found
            .iter()
            .map(|one| one.message.clone())
            .collect::<Vec<_>>()
            .join("; ")
    })?;
    let artefact = envelope(file);
    verifier
        .verify(&digest(), &[&artefact], answers, now())
        .map(|verified| verified[0].signer.clone())
        .map_err(|refused| refused.clause())
}
