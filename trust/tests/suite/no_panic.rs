//! Whatever a registry, a signer, an authority or a pod sends: nothing panics, and what was signed still verifies only while
//! what is signed stands in it, word for word, with the same verdict.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::hostile::{Seed, TARGETS, Target};

/// Mutations per target; each runs in well under a millisecond, but for a few.
const CASES: u32 = 384;
/// Longest arbitrary input, in bytes.
const MAX_ARBITRARY: usize = 512;
/// Most positions at which every fixture has a bit flipped.
const FLIPS: usize = 24;

/// Something done to bytes on the way.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index, usize),
    Truncate(Index),
    Repeat(Index, usize),
    Insert(Index, Vec<u8>),
    /// Bytes of another fixture, over what is there.
    Splice(Index, Index, Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => (at(), 1..64_usize).prop_map(|(at, size)| Mutation::Cut(at, size)),
        1 => at().prop_map(Mutation::Truncate),
        1 => (at(), 1..64_usize).prop_map(|(at, size)| Mutation::Repeat(at, size)),
        1 => (at(), vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), at(), at(), 1..256_usize).prop_map(|(seed, from, to, size)| Mutation::Splice(seed, from, to, size)),
    ]
}

fn slice(bytes: &[u8], at: usize, size: usize) -> &[u8] {
    &bytes[at..bytes.len().min(at + size)]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation, seeds: &[Seed]) {
    if bytes.is_empty() {
        return;
    }
    let place = |at: &Index| at.index(bytes.len());
    match mutation {
        Mutation::Flip(at, bit) => {
            let at = place(at);
            bytes[at] ^= 1 << bit;
        }
        Mutation::Set(at, byte) => {
            let at = place(at);
            bytes[at] = *byte;
        }
        Mutation::Cut(at, size) => {
            let at = place(at);
            let size = slice(bytes, at, *size).len();
            bytes.drain(at..at + size);
        }
        Mutation::Truncate(at) => {
            let at = place(at);
            bytes.truncate(at);
        }
        Mutation::Repeat(at, size) => {
            let at = place(at);
            let part = slice(bytes, at, *size).to_vec();
            bytes.splice(at..at, part);
        }
        Mutation::Insert(at, part) => {
            let at = place(at);
            bytes.splice(at..at, part.iter().copied());
        }
        Mutation::Splice(seed, from, to, size) => {
            let to = place(to);
            let other = &seed.get(seeds).bytes;
            if other.is_empty() {
                return;
            }
            let part = slice(other, from.index(other.len()), *size).to_vec();
            let end = bytes.len().min(to + part.len());
            bytes.splice(to..end, part);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

/// Fixtures that verify, by their verdict.
fn verdicts(target: &Target, seeds: &[Seed]) -> Vec<(String, Seed)> {
    let verdict = |seed: &Seed| Some(((target.run)(&seed.bytes)?, seed.clone()));
    seeds.iter().filter_map(verdict).collect()
}

/// What verifies is one of the fixtures as far as it is signed: the same verdict, and all of what is signed.
fn check(target: &Target, good: &[(String, Seed)], bytes: &[u8]) -> Result<(), String> {
    let Some(verdict) = (target.run)(bytes) else {
        return Ok(());
    };
    let known = good.iter().any(|(known, seed)| {
        *known == verdict && seed.signed.iter().all(|part| contains(bytes, part))
    });
    if known {
        return Ok(());
    }
    Err(format!(
        "{}: {verdict} from {}",
        target.name,
        hex::encode(bytes)
    ))
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// The targets that `name` begins, one test each so that they run beside each other.
fn hold(prefixes: &[&str]) {
    let chosen = |target: &&Target| {
        prefixes
            .iter()
            .any(|prefix| target.name.starts_with(prefix))
    };
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    assert!(!targets.is_empty());
    for target in targets {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        let good = verdicts(target, &seeds);
        for bytes in [
            &b""[..],
            b"\0",
            b"{",
            b"[",
            &[0x30, 0x80],
            &[0xff; 64],
            &[0x30; 4096],
            &[b'['; 4096],
            &[0x81; 4096],
            &[0xa0; 4096],
        ] {
            check(target, &good, bytes).unwrap();
        }
        for seed in &seeds {
            for at in (0..seed.bytes.len()).step_by(seed.bytes.len() / FLIPS + 1) {
                let mut bytes = seed.bytes.clone();
                bytes[at] ^= 1 << (at % 8);
                check(target, &good, &bytes).unwrap();
                check(target, &good, &seed.bytes[..at]).unwrap();
            }
        }
        runner(CASES)
            .run(&vec(any::<u8>(), 0..MAX_ARBITRARY), |bytes| {
                check(target, &good, &bytes).map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let strategy = (any::<Index>(), vec(mutation(), 1..4));
        runner(CASES)
            .run(&strategy, |(seed, mutations)| {
                let mut bytes = seed.get(&seeds).bytes.clone();
                for mutation in &mutations {
                    mutate(&mut bytes, mutation, &seeds);
                }
                check(target, &good, &bytes).map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

#[test]
fn references_and_policies() {
    hold(&["reference", "policy"]);
}

#[test]
fn notary_metadata() {
    hold(&["notary"]);
}

#[test]
fn cosign_signatures() {
    hold(&["cosign"]);
}

#[test]
fn attestations() {
    hold(&["attestation", "signed_statement", "cel"]);
}

#[test]
fn notation_envelopes() {
    hold(&["notation"]);
}

#[test]
fn timestamps_and_revocation() {
    hold(&["timestamp", "crl", "ocsp", "chain"]);
}

#[test]
fn openpgp_messages_and_keyrings() {
    hold(&["openpgp"]);
}

#[test]
fn every_verifier_has_a_fixture_that_verifies() {
    let verifiers = [
        "cosign_bundle",
        "cosign_legacy",
        "attestation_bundle",
        "attestation_legacy",
        "notation_jws",
        "notation_cose",
        "timestamp",
        "crl",
        "ocsp",
        "openpgp_message",
    ];
    for name in verifiers {
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        let good = verdicts(target, &(target.seeds)());
        assert!(good.len() > 1, "{name}: {}", good.len());
        // What is signed is in the fixture itself.
        for (_, seed) in good {
            assert!(
                seed.signed.iter().all(|part| contains(&seed.bytes, part)),
                "{}",
                seed.name
            );
            let opaque = name == "openpgp_message";
            assert!(opaque || !seed.signed.is_empty(), "{}", seed.name);
        }
    }
}
