//! Messages that are not one binary signature over one statement, and statements about other images.

use std::io::Write as _;

use portcullis_policy::ImageReference;
use portcullis_policy::model::SignedIdentity;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::openpgp::identity::IdentityError;
use portcullis_trust::openpgp::{PayloadError, SimpleError, SimpleVerifier};

use crate::common::openpgp::{
    IMAGE, artefact, digest, judge, judged, keyring, requirement, signature, summer, verifier,
};
use crate::common::{digest_of, time};

fn refused(name: &str) -> SimpleError {
    judged(name, "two.gpg").unwrap_err()
}

fn bytes_refused(message: &[u8]) -> SimpleError {
    judge(&verifier(keyring("two.gpg")), message, summer()).unwrap_err()
}

/// A packet with a five-octet length.
fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc0 | tag, 0xff];
    out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend(body);
    out
}

/// A compressed packet whose content is `algorithm`'s.
fn compressed(algorithm: u8, data: &[u8]) -> Vec<u8> {
    packet(8, &[&[algorithm], data].concat())
}

/// Stored blocks (RFC 1951, 3.2.4): a valid deflate stream that compresses nothing.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let chunks: Vec<&[u8]> = data.chunks(0xffff).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let length = u16::try_from(chunk.len()).unwrap();
        out.push(u8::from(number + 1 == chunks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.write_all(chunk).unwrap();
    }
    out
}

/// A deflate stream of `blocks` * 258 KiB zeros in a few bytes each: fixed Huffman codes, one literal, then matches of
/// length 258 at distance 1.
fn zeros(matches: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    let code = |bits: &mut Vec<bool>, value: u16, length: u32| {
        bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    };
    code(&mut bits, 0x30, 8); // literal 0
    for _ in 0..matches {
        code(&mut bits, 0xc5, 8); // length 258
        code(&mut bits, 0, 5); // distance 1
    }
    code(&mut bits, 0, 7);
    bits.chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |sum, bit| sum << 1 | u8::from(*bit))
        })
        .collect()
}

#[test]
fn what_is_not_a_binary_signed_message_is_refused_by_its_name() {
    assert_eq!(refused("cleartext"), SimpleError::Cleartext);
    assert_eq!(refused("armoured"), SimpleError::Armoured);
    assert_eq!(refused("detached"), SimpleError::Detached);
    assert_eq!(refused("encrypted"), SimpleError::Encrypted);
    assert_eq!(refused("stored"), SimpleError::Structure);
    assert_eq!(refused("text"), SimpleError::Text);
    assert_eq!(refused("sigstore"), SimpleError::Sigstore);
    assert_eq!(refused("bzip2"), SimpleError::Compression);
    assert_eq!(bytes_refused(b""), SimpleError::Structure);
    assert_eq!(bytes_refused(b"<html>404</html>"), SimpleError::Malformed);
}

#[test]
fn messages_are_read_plain_zipped_and_in_the_old_order() {
    for name in [
        "ed",
        "uncompressed",
        "zlib",
        "old-style",
        "sha512",
        "notation",
        "rsa",
    ] {
        assert!(judged(name, "two.gpg").is_ok(), "{name}");
    }
}

#[test]
fn one_signature_counts_and_not_several() {
    assert_eq!(refused("two-signatures"), SimpleError::SeveralSignatures);
    assert_eq!(refused("twice"), SimpleError::SeveralSignatures);
}

#[test]
fn nothing_may_stand_behind_or_before_a_message() {
    assert_eq!(refused("trailing"), SimpleError::Malformed);
    assert_eq!(refused("trailing-compressed"), SimpleError::Malformed);
    let good = signature("uncompressed");
    for extra in [
        &[0_u8][..],
        &[0xcb],
        &[0xcb, 0xff],
        b"\n",
        &packet(10, b"PGP"),
        &packet(60, b"x"),
    ] {
        judge(
            &verifier(keyring("two.gpg")),
            &[&good, extra].concat(),
            summer(),
        )
        .unwrap_err();
        judge(
            &verifier(keyring("two.gpg")),
            &[extra, &good].concat(),
            summer(),
        )
        .unwrap_err();
    }
    // The same inside a compressed packet, and a packet behind one.
    let inside = [good.clone(), packet(10, b"PGP")].concat();
    assert!(
        judge(
            &verifier(keyring("two.gpg")),
            &compressed(1, &stored(&good)),
            summer()
        )
        .is_ok()
    );
    bytes_refused(&compressed(1, &stored(&inside)));
    bytes_refused(&[compressed(1, &stored(&good)), packet(10, b"PGP")].concat());
}

#[test]
fn a_message_is_decompressed_once() {
    let once = compressed(1, &stored(&signature("uncompressed")));
    assert!(judge(&verifier(keyring("two.gpg")), &once, summer()).is_ok());
    assert_eq!(
        bytes_refused(&compressed(1, &stored(&once))),
        SimpleError::NestedCompression
    );
    let mut deep = once;
    for _ in 0..1000 {
        deep = compressed(0, &deep);
    }
    assert_eq!(bytes_refused(&deep), SimpleError::NestedCompression);
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let limit = SimpleError::TooLarge { limit: 4 << 20 };
    assert_eq!(bytes_refused(&vec![0xcb; (4 << 20) + 1]), limit);
    // Some 100 kB that would be 16 MiB: far more than a statement, long before the limit of what comes.
    let bomb = zeros(65_000);
    assert!(bomb.len() < 200_000);
    let decompressed = SimpleError::TooLarge { limit: 256 << 10 };
    assert_eq!(bytes_refused(&compressed(1, &bomb)), decompressed);
    assert_eq!(bytes_refused(&compressed(1, &zeros(2000))), decompressed);
    // Below the limit it is only nonsense.
    assert_eq!(
        bytes_refused(&compressed(1, &zeros(100))),
        SimpleError::Malformed
    );
}

#[test]
fn a_signature_with_endless_parts_is_not_taken_apart() {
    // Version 6, whose parts may take 4 GiB: empty preferences, each of which is an item in a list.
    let parts = [1, 11].repeat(1 << 20);
    let mut body = vec![6, 0, 27, 8];
    body.extend(u32::try_from(parts.len()).unwrap().to_be_bytes());
    body.extend(parts);
    body.extend([0; 4 + 2]);
    body.push(16);
    body.extend([7; 16 + 64]);
    let literal = packet(11, b"b\0\0\0\0\0{}");
    let whole = |body: &[u8]| [packet(2, body), literal.clone()].concat();
    assert_eq!(bytes_refused(&whole(&body)), SimpleError::Malformed);
    // Of a length that is not stated (old format).
    let endless = [&[0x8b_u8], body.as_slice()].concat();
    assert_eq!(bytes_refused(&endless), SimpleError::Malformed);
}

#[test]
fn what_has_no_place_in_a_message_is_not_parsed() {
    let good = signature("uncompressed");
    let strange = [
        packet(6, b"x"),
        packet(5, b"x"),
        packet(63, b"x"),
        packet(14, b"x"),
    ];
    for strange in strange {
        assert_eq!(
            bytes_refused(&[good.clone(), strange].concat()),
            SimpleError::Structure
        );
    }
}

#[test]
fn many_packets_are_not_looked_at() {
    assert_eq!(
        bytes_refused(&packet(10, b"PGP").repeat(100_000)),
        SimpleError::Structure
    );
}

#[test]
fn a_changed_message_is_never_accepted_and_never_panics() {
    let verifier = verifier(keyring("two.gpg"));
    for name in ["ed", "uncompressed", "rsa", "old-style", "expires-later"] {
        let good = signature(name);
        for length in 0..good.len() {
            judge(&verifier, &good[..length], summer()).unwrap_err();
        }
        for at in 0..good.len() {
            for flip in [1_u8, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                // What is not signed may change: the file name and date of the literal data, the unhashed subpackets, the
                // key id in the one-pass packet.
                if let Ok(found) = judge(&verifier, &bad, summer()) {
                    assert_eq!(found, judge(&verifier, &good, summer()).unwrap());
                }
            }
        }
    }
}

#[test]
fn changed_content_is_told_from_an_unknown_key() {
    assert!(matches!(refused("tampered"), SimpleError::Invalid(_)));
    assert!(matches!(refused("other"), SimpleError::OtherKey(id) if id.len() == 40));
}

#[test]
fn times_are_judged_by_the_clock_that_is_handed_in() {
    let at = |name: &str, at: Timestamp| judge(&verifier(keyring("ed.asc")), &signature(name), at);
    let signed = at("expired-signature", time("2026-02-05T00:00:00Z"))
        .unwrap()
        .signed_at
        .unwrap();
    let end = Timestamp(signed.0 + 10 * 24 * 3600);
    assert!(at("expired-signature", Timestamp(end.0 - 1)).is_ok());
    assert_eq!(
        at("expired-signature", end).unwrap_err(),
        SimpleError::Expired(end)
    );
    let Err(SimpleError::Future(made)) = at("future", summer()) else {
        panic!("accepted");
    };
    assert!(at("future", Timestamp(made.0 - 300)).is_ok());
    assert!(at("future", Timestamp(made.0 - 301)).is_err());
    assert!(matches!(
        at("before-key", summer()),
        Err(SimpleError::BeforeKey(_))
    ));
    // A clock that was set back before the keys were made.
    assert!(matches!(
        at("ed", time("2025-06-01T00:00:00Z")),
        Err(SimpleError::Key { .. })
    ));
}

#[test]
fn weak_hashes_and_unknown_critical_parts_are_refused() {
    assert_eq!(refused("sha1"), SimpleError::Hash);
    assert_eq!(refused("critical-notation"), SimpleError::Critical);
}

#[test]
fn a_good_signature_for_something_else_says_what_was_expected() {
    assert_eq!(
        refused("other-digest"),
        SimpleError::OtherDigest(digest_of("evil"))
    );
    let other = |expected: &str| {
        SimpleError::Identity(IdentityError::OtherRepository {
            expected: expected.to_owned(),
        })
    };
    assert_eq!(
        refused("other-repository"),
        other("registry.example.com/shop/app")
    );
    assert_eq!(
        refused("other-host"),
        other("registry.example.com/shop/app")
    );
    assert_eq!(
        refused("other-tag"),
        SimpleError::Identity(IdentityError::OtherReference {
            expected: IMAGE.to_owned()
        })
    );
    assert_eq!(
        refused("other-json"),
        SimpleError::Payload(PayloadError::Missing("optional"))
    );
    assert_eq!(
        refused("extra-field"),
        SimpleError::Payload(PayloadError::Unknown("critical"))
    );
}

#[test]
fn the_identity_of_the_requirement_is_what_counts() {
    let mut requirement = requirement(vec![keyring("ed.asc")]);
    let image = ImageReference::parse("mirror.example.com/app:v1.0").unwrap();
    let mut accepts = |identity: SignedIdentity, name: &str| {
        requirement.identity = identity;
        SimpleVerifier::compile(&requirement)
            .unwrap()
            .verify_one(&image, &digest(), &signature(name), summer())
            .is_ok()
    };
    assert!(!accepts(SignedIdentity::default(), "ed"));
    let remap = || SignedIdentity::Remap {
        prefix: "mirror.example.com".to_owned(),
        signed_prefix: "registry.example.com/shop".to_owned(),
    };
    assert!(accepts(remap(), "ed"));
    assert!(!accepts(remap(), "other-tag"));
    assert!(accepts(
        SignedIdentity::ExactReference(IMAGE.to_owned()),
        "ed"
    ));
    assert!(accepts(
        SignedIdentity::ExactRepository(IMAGE.to_owned()),
        "other-tag"
    ));
    // The digest always counts.
    assert!(!accepts(
        SignedIdentity::ExactRepository(IMAGE.to_owned()),
        "other-digest"
    ));
}

fn all(names: &[&str]) -> Vec<Artefact> {
    names.iter().map(|name| artefact(signature(name))).collect()
}

fn gathered(names: &[&str]) -> Result<Vec<String>, String> {
    let artefacts = all(names);
    let image = ImageReference::parse(IMAGE).unwrap();
    verifier(keyring("two.gpg"))
        .verify(
            &image,
            &digest(),
            &artefacts.iter().collect::<Vec<_>>(),
            summer(),
        )
        .map(|found| found.into_iter().map(|one| one.signer).collect())
        .map_err(|refused| refused.clause())
}

#[test]
fn no_message_keeps_another_from_counting_and_every_key_is_named_once() {
    let found = gathered(&[
        "tampered",
        "ed",
        "sigstore",
        "zlib",
        "rsa",
        "two-signatures",
    ])
    .unwrap();
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("ed <") && found[1].starts_with("rsa <"));
}

#[test]
fn a_refusal_counts_what_was_found_and_says_why() {
    assert_eq!(gathered(&[]), Err("none was found".to_owned()));
    assert_eq!(
        gathered(&["sha1", "sigstore", "sigstore"]).unwrap_err(),
        "3 were found and none counts: 2 times: it is a Sigstore signature, which `cosign` asks for, its hash algorithm is \
         too weak or unknown"
    );
}

#[test]
fn evidence_of_another_system_is_not_read_as_a_message() {
    let mut other = artefact(signature("ed"));
    other.kind = ArtefactKind::CosignSignature;
    let image = ImageReference::parse(IMAGE).unwrap();
    let refused = verifier(keyring("ed.asc"))
        .verify(&image, &digest(), &[&other], summer())
        .unwrap_err();
    assert_eq!(
        refused.clause(),
        "1 was found and does not count: it is not a simple signature"
    );
}
