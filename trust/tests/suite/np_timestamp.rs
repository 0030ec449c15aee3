//! RFC 3161 timestamps: tokens of openssl and notation, and what must not pass for one.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_trust::Timestamp;
use portcullis_trust::notation::timestamp::{TimestampError, VerifiedTimestamp, verify};

const MESSAGE: &[u8] = include_bytes!("../fixtures/timestamp/message");
/// Seconds that pass while fixtures are made.
const MAKING: i64 = 60;

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timestamp");
    std::fs::read(path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn made_at() -> i64 {
    String::from_utf8(file("made-at"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn check(token: &str, roots: &[&str]) -> Result<VerifiedTimestamp, TimestampError> {
    let roots: Vec<Vec<u8>> = roots.iter().map(|root| file(root)).collect();
    verify(&file(token), MESSAGE, &roots)
}

#[track_caller]
fn refused(token: &str, because: &str) {
    let error = check(token, &["root.crt"]).unwrap_err();
    assert!(error.to_string().contains(because), "{token}: {error}");
}

#[test]
fn tokens_of_the_real_tools_verify() {
    for (token, authority, slack) in [
        ("rsa.tst", "tsa.crt", 1),
        ("no-accuracy.tst", "tsa.crt", 0),
        ("baseline.tst", "tsa.crt", 1),
        ("fraction.tst", "tsa.crt", 3),
        ("sha512.tst", "tsa.crt", 0),
        ("sha512-imprint.tst", "tsa.crt", 1),
        ("p384.tst", "tsa384.crt", 0),
        ("by-key.tst", "tsa.crt", 1),
    ] {
        let stamped = check(token, &["stranger.crt", "root.crt"])
            .unwrap_or_else(|error| panic!("{token}: {error}"));
        assert_eq!(
            stamped.chain,
            [file(authority), file("root.crt")],
            "{token}"
        );
        let Timestamp(earliest) = stamped.range.earliest;
        let Timestamp(latest) = stamped.range.latest;
        // A fraction ends in the next second.
        let width = 2 * slack + i64::from(token == "fraction.tst");
        assert_eq!(latest - earliest, width, "{token}");
        assert!(earliest + slack >= made_at(), "{token}");
        assert!(latest - slack <= made_at() + MAKING, "{token}");
    }
}

#[test]
fn a_chain_is_built_over_the_certificates_of_the_token() {
    let stamped = check("deep.tst", &["root.crt"]).unwrap();
    assert_eq!(
        stamped.chain,
        [file("deep.crt"), file("inter.crt"), file("root.crt")]
    );
    refused(
        "missing-intermediate.tst",
        "does not lead to a trusted root",
    );
}

#[test]
fn an_intermediate_may_itself_be_the_trusted_one() {
    let stamped = check("deep.tst", &["inter.crt"]).unwrap();
    assert_eq!(stamped.chain, [file("deep.crt"), file("inter.crt")]);
}

#[test]
fn what_notation_stores_is_a_token_over_the_signature() {
    let envelope: serde_json::Value = serde_json::from_slice(&file("notation.jws")).unwrap();
    let signature = URL_SAFE_NO_PAD
        .decode(envelope["signature"].as_str().unwrap())
        .unwrap();
    let token = STANDARD
        .decode(
            envelope["header"]["io.cncf.notary.timestampSignature"]
                .as_str()
                .unwrap(),
        )
        .unwrap();
    let stamped = verify(&token, &signature, &[file("root.crt")]).unwrap();
    assert_eq!(stamped.chain, [file("tsa.crt"), file("root.crt")]);
    assert_eq!(
        verify(&token, MESSAGE, &[file("root.crt")]),
        Err(TimestampError::OtherMessage)
    );
}

#[test]
fn a_token_over_other_bytes_does_not_count() {
    assert_eq!(
        verify(&file("rsa.tst"), b"another signature", &[file("root.crt")]),
        Err(TimestampError::OtherMessage)
    );
}

#[test]
fn an_authority_that_is_not_trusted_stamps_nothing() {
    let because = "does not lead to a trusted root";
    for roots in [&["stranger.crt"][..], &[]] {
        let error = check("rsa.tst", roots).unwrap_err();
        assert!(error.to_string().contains(because), "{error}");
    }
}

#[test]
fn the_certificate_is_for_timestamps_alone_and_says_so_critically() {
    for token in ["no-usage.tst", "not-critical.tst", "two-usages.tst"] {
        refused(token, "not for timestamps alone");
    }
    refused("key-agreement.tst", "not for signatures");
}

#[test]
fn certificates_are_valid_at_the_time_of_the_stamp() {
    for token in ["expired.tst", "future.tst"] {
        refused(token, "does not lead to a trusted root");
    }
    let error = check("under-old-root.tst", &["old-root.crt"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not lead to a trusted root"),
        "{error}"
    );
}

#[test]
fn an_intermediate_that_may_not_sign_certificates_leads_nowhere() {
    refused("mute.tst", "does not lead to a trusted root");
}

#[test]
fn sha1_counts_nowhere() {
    refused("sha1-imprint.tst", "its hash is not SHA-256");
    refused("sha1.tst", "its signature algorithm is not supported");
    refused("sha1-certificate-id.tst", "does not name its certificate");
}

#[test]
fn a_small_key_stamps_nothing() {
    refused("small.tst", "its signature is not good");
}

#[test]
fn exactly_one_signer_signs() {
    refused("two-signers.tst", "exactly one signer");
}

#[test]
fn the_signature_covers_content_and_certificate_by_its_attributes() {
    refused("unbound.tst", "does not name its certificate");
    refused("no-attributes.tst", "signed content type");
    refused("no-certificates.tst", "certificate is not in it");
}

#[test]
fn other_content_is_no_timestamp() {
    refused("data.tst", "its content is not a TSTInfo");
    refused("message", "not a CMS ContentInfo");
}

#[test]
fn only_a_bare_token_in_der_is_read() {
    refused("ber.tst", "cannot be read");
    refused("response.tsr", "not a CMS ContentInfo");
    let mut longer = file("rsa.tst");
    longer.push(0);
    assert!(verify(&longer, MESSAGE, &[file("root.crt")]).is_err());
    let long = vec![0x30; (128 << 10) + 1];
    let error = verify(&long, MESSAGE, &[]).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

/// Replaces the one occurrence of `from`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    let [at] = places[..] else {
        panic!("{} places", places.len());
    };
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn a_forged_message_digest_does_not_carry_another_content() {
    use aws_lc_rs::digest::{SHA256, digest};

    let token = file("rsa.tst");
    let other = b"the signature of a forger";
    let imprint = digest(&SHA256, MESSAGE);
    let forged_imprint = digest(&SHA256, other);
    let moved = replaced(&token, imprint.as_ref(), forged_imprint.as_ref());
    let error = verify(&moved, other, &[file("root.crt")]).unwrap_err();
    assert!(
        error.to_string().contains("over another content"),
        "{error}"
    );

    // With the digest attribute forged too, the signature over the attributes fails.
    let content = |token: &[u8]| {
        let tag = [
            0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
        ];
        let at = (0..token.len())
            .find(|at| token[*at..].starts_with(&tag))
            .unwrap()
            + tag.len();
        // [0] EXPLICIT, OCTET STRING: both with a length in one byte.
        assert_eq!((token[at], token[at + 2]), (0xa0, 0x04));
        let length = usize::from(token[at + 3]);
        token[at + 4..at + 4 + length].to_vec()
    };
    let forged = replaced(
        &moved,
        digest(&SHA256, &content(&token)).as_ref(),
        digest(&SHA256, &content(&moved)).as_ref(),
    );
    let error = verify(&forged, other, &[file("root.crt")]).unwrap_err();
    assert!(
        error.to_string().contains("signature is not good"),
        "{error}"
    );
}
