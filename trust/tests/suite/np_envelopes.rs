//! Envelopes that were changed, damaged or nested, and many beside each other.

use portcullis_trust::evidence::ArtefactKind;
use proptest::prelude::*;

use super::np_common::{artefact, digest, envelope, judge, now, verifier};

const BOTH: [&str; 2] = ["jws", "cose"];

#[test]
fn what_notation_signs_with_every_kind_of_key_counts() {
    let verifier = verifier("sign");
    for form in BOTH {
        for key in ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"] {
            let verified = judge(&verifier, &envelope(&format!("signed-{key}.{form}"))).unwrap();
            let who = format!(
                "C=US, ST=WA, O=Example Org, OU=sign, CN={key} by ca:example (certificate "
            );
            assert!(verified.signer.starts_with(&who), "{}", verified.signer);
            assert!(verified.signed_at.unwrap() <= now());
            assert_eq!(
                verified.notes,
                ["the signing time is the signer's own claim"]
            );
        }
    }
}

#[test]
fn no_byte_of_an_envelope_can_change() {
    let verifier = verifier("any");
    for file in [
        "signed-p256.jws",
        "signed-p256.cose",
        "signed-rsa2048.cose",
        "signed-alone.jws",
    ] {
        let good = envelope(file);
        // The one text that nothing is concluded from (signature-specification.md, "Signing Agent").
        let agent = b"notation-go/";
        let agent = good
            .bytes
            .windows(agent.len())
            .position(|part| part == agent)
            .unwrap();
        let agent = agent..agent + b"notation-go/1.3.2".len() + 20;
        for at in (0..good.bytes.len()).filter(|at| !agent.contains(at)) {
            for bit in [0x01, 0x20, 0x80] {
                let mut changed = good.clone();
                changed.bytes[at] ^= bit;
                assert!(
                    judge(&verifier, &changed).is_err(),
                    "{file}: byte {at} ^ {bit:#x}"
                );
            }
        }
    }
}

#[test]
fn a_part_of_an_envelope_is_none() {
    let verifier = verifier("any");
    for file in ["signed-p256.jws", "signed-p256.cose"] {
        let good = envelope(file);
        for length in 0..good.bytes.len() {
            let part = artefact(good.kind, good.bytes[..length].to_vec());
            assert!(judge(&verifier, &part).is_err(), "{file} cut at {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_from_anywhere_are_judged_without_harm(
        cose in any::<bool>(),
        noise in proptest::collection::vec(any::<u8>(), 0..64),
        at in any::<proptest::sample::Index>(),
        over in 0_usize..64,
    ) {
        let mut spliced = envelope(if cose { "signed-stamped.cose" } else { "signed-stamped.jws" });
        let at = at.index(spliced.bytes.len());
        let end = spliced.bytes.len().min(at + over);
        let verifier = verifier("stamps");
        let before = spliced.clone();
        spliced.bytes.splice(at..end, noise.clone());
        if spliced == before {
            return Ok(());
        }
        // What counts after all says the same: only the signing agent may have changed.
        if let Ok(verified) = judge(&verifier, &spliced) {
            prop_assert_eq!(verified, judge(&verifier, &before).unwrap());
        }
        let noise = artefact(spliced.kind, noise);
        prop_assert!(judge(&verifier, &noise).is_err());
    }
}

#[test]
fn an_envelope_is_read_as_its_media_type_says() {
    let verifier = verifier("any");
    for (file, other) in [
        ("signed-p256.jws", ArtefactKind::NotationCose),
        ("signed-p256.cose", ArtefactKind::NotationJws),
        ("signed-p256.jws", ArtefactKind::SigstoreBundle),
    ] {
        let swapped = artefact(other, envelope(file).bytes);
        assert!(
            judge(&verifier, &swapped)
                .unwrap_err()
                .starts_with("an envelope cannot be read: ")
        );
    }
}

#[test]
fn an_envelope_without_end_is_not_read() {
    let verifier = verifier("any");
    let mut large = envelope("signed-p256.jws");
    large.bytes.resize(256 * 1024 + 1, b' ');
    assert_eq!(
        judge(&verifier, &large).unwrap_err(),
        "an envelope is larger than 256 KiB"
    );
    large.bytes.pop();
    judge(&verifier, &large).unwrap();
}

/// Each countersignature (label 7) has protected headers of its own, in a byte string: a reader that follows them is as deep
/// as the envelope is long.
#[test]
fn nested_countersignatures_do_not_end_the_stack() {
    fn bytes(content: &[u8]) -> Vec<u8> {
        let mut out = vec![0x5a];
        out.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }
    let mut header = vec![0xa0];
    while header.len() < 30_000 {
        // {7: [header, {}, h'00']}, without quadratic copies being felt.
        let mut outer = vec![0xa1, 0x07, 0x83];
        outer.extend(bytes(&header));
        outer.extend([0xa0, 0x41, 0x00]);
        header = outer;
    }
    for (protected, unprotected) in [(&header, &vec![0xa0]), (&vec![0xa0], &header)] {
        let mut envelope = vec![0xd2, 0x84];
        envelope.extend(bytes(protected));
        envelope.extend(unprotected);
        envelope.extend([0x41, 0x00, 0x41, 0x00]);
        let deep = artefact(ArtefactKind::NotationCose, envelope);
        judge(&verifier("any"), &deep).unwrap_err();
    }
}

#[test]
fn nested_values_do_not_end_the_stack() {
    for (kind, open) in [
        (ArtefactKind::NotationCose, &b"\x81"[..]),
        (ArtefactKind::NotationCose, b"\xd2"),
        (ArtefactKind::NotationCose, b"\xa1\x01"),
        (ArtefactKind::NotationJws, b"["),
        (ArtefactKind::NotationJws, b"{\"payload\":"),
    ] {
        let deep = artefact(kind, open.repeat(20_000));
        judge(&verifier("any"), &deep).unwrap_err();
    }
}

#[test]
fn a_foreign_envelope_hides_no_good_one() {
    let verifier = verifier("sign");
    let all = [
        "forged-by-other-key.jws",
        "forged-other-digest.cose",
        "signed-p256.cose",
        "signed-self.jws",
        "signed-rsa2048.jws",
    ]
    .map(envelope);
    let every: Vec<_> = all.iter().collect();
    let verified = verifier.verify(&digest(), &every, &[], now()).unwrap();
    assert_eq!(verified.len(), 2);
    let bad: Vec<_> = [0, 1, 3].map(|at| &all[at]).to_vec();
    let refused = verifier.verify(&digest(), &bad, &[], now()).unwrap_err();
    assert_eq!(
        refused.clause(),
        "3 were found and none counts: a signature does not verify with the key of its own certificate, a signature is over another \
         image, no certificate of a signature's chain is in a trust store that the policy names"
    );
    assert!(
        verifier
            .verify(&digest(), &[], &[], now())
            .unwrap_err()
            .found_nothing()
    );
}
