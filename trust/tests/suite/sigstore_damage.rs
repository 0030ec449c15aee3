//! Damage anywhere in an artefact: it still says what was signed, or it does not count.

use portcullis_policy::model::SigstoreSigners;
use portcullis_trust::evidence::Artefact;
use portcullis_trust::finding::Refused;
use portcullis_trust::sigstore::{SignedStatement, SignerSet};

use crate::sigstore_fixture::{IDENTITY, ISSUER, app, case, exact, key, now, offline, verify};

/// Every seventh byte: all of them would take seconds, and these fall everywhere.
const STEP: usize = 7;

fn signers() -> SigstoreSigners {
    offline(vec![key("p256.pub"), exact(IDENTITY, ISSUER)])
}

fn statements(set: &SignerSet, artefact: &Artefact) -> Vec<SignedStatement> {
    set.statements(&app(), &[artefact], now(), &mut Refused::default())
}

/// The artefact with one bit of one byte changed, for bytes all over it.
fn damaged(good: &Artefact) -> impl Iterator<Item = Artefact> {
    let positions = (0..good.bytes.len()).step_by(STEP);
    positions.zip((0..8).cycle()).map(|(position, bit)| {
        let mut artefact = good.clone();
        artefact.bytes[position] ^= 1 << bit;
        artefact
    })
}

#[test]
fn a_damaged_statement_is_the_one_that_was_signed_or_none() {
    let set = SignerSet::compile(&signers()).unwrap();
    for name in ["attested-bundle", "attested-legacy", "keyless-attested"] {
        let good = &case(name)[0];
        let signed = statements(&set, good);
        assert_eq!(signed.len(), 1);
        let mut refused = 0;
        for artefact in damaged(good) {
            for found in statements(&set, &artefact) {
                assert_eq!(found, signed[0]);
            }
            refused += usize::from(statements(&set, &artefact).is_empty());
        }
        assert!(refused > 50, "{name}: {refused}");
    }
}

#[test]
fn a_damaged_annotation_never_makes_another_signer() {
    for name in ["legacy-p256", "keyless-legacy"] {
        let good = &case(name)[0];
        let signed = verify(signers(), std::slice::from_ref(good)).unwrap();
        for annotation in good.annotations.keys() {
            for position in (0..good.annotations[annotation].len()).step_by(STEP) {
                let mut artefact = good.clone();
                let text = artefact.annotations.get_mut(annotation).unwrap();
                let other = if text[position..].starts_with('A') {
                    "B"
                } else {
                    "A"
                };
                text.replace_range(position..=position, other);
                if let Ok(found) = verify(signers(), &[artefact]) {
                    assert_eq!(found, signed, "{annotation} at {position}");
                }
            }
        }
    }
}
