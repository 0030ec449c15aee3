//! gpg and skopeo were asked about every fixture when it was made; what they accept and refuse is accepted and refused
//! here, but for a list of exceptions, each of which is stricter.

use std::fs;

use portcullis_trust::openpgp::{KeyProblem, SimpleError};

use crate::common::openpgp::{compile, file, judge, keyring, signature};
use crate::common::time;

/// What gpg calls good and is refused here, and why.
const STRICTER: &[(&str, SimpleError)] = &[
    ("bzip2", SimpleError::Compression),
    ("cleartext", SimpleError::Cleartext),
    ("armoured", SimpleError::Armoured),
    ("text", SimpleError::Text),
    ("sha1", SimpleError::Hash),
    ("trailing-compressed", SimpleError::Malformed),
];

/// Keys that gpg accepts and that are too weak to be loaded here.
const WEAK: &[(&str, KeyProblem)] = &[
    ("rsa1024.asc", KeyProblem::Short),
    ("dsa1024.asc", KeyProblem::Short),
    ("k256.asc", KeyProblem::Algorithm),
];

struct Verdict {
    name: String,
    ring: String,
    at: String,
    /// Of the signature alone.
    good: bool,
    /// Signature, digest and reference.
    accepted: bool,
}

fn verdicts() -> Vec<Verdict> {
    let text = fs::read_to_string(file("verdicts.tsv")).unwrap();
    let line = |line: &str| {
        let [name, ring, at, gpg, skopeo] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        Verdict {
            name: name.to_owned(),
            ring: ring.to_owned(),
            at: at.to_owned(),
            good: gpg == "good",
            accepted: skopeo == "accepts",
        }
    };
    text.lines().map(line).collect()
}

/// Whether the cryptography was accepted, whatever is wrong with what was signed.
fn is_good(error: &SimpleError) -> bool {
    matches!(
        error,
        SimpleError::Payload(_) | SimpleError::OtherDigest(_) | SimpleError::Identity(_)
    )
}

#[test]
fn gpg_and_skopeo_agree_but_where_this_is_stricter() {
    let verdicts = verdicts();
    assert!(verdicts.len() > 60);
    let mut exceptions = Vec::new();
    for Verdict {
        name,
        ring,
        at,
        good,
        accepted,
    } in verdicts
    {
        let verifier = match compile(keyring(&ring)) {
            Ok(verifier) => verifier,
            Err(diagnostics) => {
                let weak = WEAK.iter().find(|(weak, _)| *weak == ring);
                match weak {
                    Some((_, problem)) => {
                        assert!(diagnostics[0].message.contains(&problem.to_string()));
                        exceptions.push(ring);
                    }
                    None => assert!(!good, "{ring}: {diagnostics:?}"),
                }
                continue;
            }
        };
        let now = time(&at);
        let own = judge(&verifier, &signature(&name), now);
        let what = format!("{name} with {ring} at {at}: {own:?}");
        let stricter = STRICTER.iter().find(|(stricter, _)| *stricter == name);
        match own {
            Ok(found) => {
                assert!(good && accepted, "{what}");
                assert!(found.signed_at.unwrap() <= now);
            }
            Err(error) if good && !is_good(&error) => {
                // gpg has nothing against a signature from the future.
                if !matches!(error, SimpleError::Future(_)) {
                    assert_eq!(stricter.map(|(_, why)| why), Some(&error), "{what}");
                }
                exceptions.push(name);
            }
            Err(error) => {
                assert!(!accepted, "{what}");
                assert_eq!(good, is_good(&error), "{what}");
            }
        }
    }
    let mut expected: Vec<&str> = STRICTER.iter().map(|(name, _)| *name).collect();
    expected.extend(WEAK.iter().map(|(ring, _)| *ring));
    expected.push("future");
    expected.sort_unstable();
    exceptions.sort_unstable();
    assert_eq!(exceptions, expected);
}
