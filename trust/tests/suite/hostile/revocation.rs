//! Timestamps, CRLs, OCSP responses, and the certificates they are about.

use std::sync::{Arc, LazyLock};

use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{RevocationAnswer, RevocationWant};
use portcullis_trust::notation::revocation::{
    RevocationStatus, acceptable, status, supersedes, wants,
};
use portcullis_trust::notation::timestamp;

use super::seeds::{list, read};
use super::{Seed, Target};

const CRL_URL: &str = "http://crl.example.com/inter.crl";

/// A minute after the fixtures were made.
static GATHERED_AT: LazyLock<Timestamp> = LazyLock::new(|| {
    let text = String::from_utf8(read("revocation/made-at")).unwrap();
    Timestamp(text.trim().parse::<i64>().unwrap() + 60)
});

/// The element at the beginning of `bytes`: header and content. `None`: its length is not written as in DER.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = match *bytes.get(1)? {
        short @ 0..=127 => (2, usize::from(short)),
        0x81 => (3, usize::from(*bytes.get(2)?)),
        0x82 => (
            4,
            usize::from(*bytes.get(2)?) << 8 | usize::from(*bytes.get(3)?),
        ),
        _ => return None,
    };
    bytes.get(..header + length)?.split_at_checked(header)
}

/// The whole element at the beginning of `bytes`.
fn element(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, content) = split(bytes)?;
    Some([header, content].concat())
}

/// What is inside the element at the beginning of `bytes`.
fn inside(bytes: &[u8]) -> Option<&[u8]> {
    Some(split(bytes)?.1)
}

/// What stands behind the first occurrence of `mark`.
fn behind<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(mark.len()).position(|part| part == mark)?;
    bytes.get(at + mark.len()..)
}

static TSA_ROOTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| vec![read("timestamp/root.crt")]);
static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| read("timestamp/message"));

pub(super) const TIMESTAMP: Target = Target {
    name: "timestamp",
    run: |bytes| {
        let found = timestamp::verify(bytes, &MESSAGE, &TSA_ROOTS).ok()?;
        Some(format!("{:?} {:?}", found.range, found.chain.first()))
    },
    seeds: || {
        // id-ct-TSTInfo, then [0] OCTET STRING.
        let mark = [0x06, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 16, 1, 4];
        list("timestamp", ".tst")
            .iter()
            .map(|name| {
                let seed = Seed::file(name);
                let info = behind(&seed.bytes, &mark)
                    .and_then(inside)
                    .and_then(inside)
                    .map(<[u8]>::to_vec);
                seed.with_signed(info.into_iter().collect())
            })
            .collect()
    },
};

/// A chain, and what its leaf asks.
struct Case {
    chain: Vec<Vec<u8>>,
    ocsp: RevocationWant,
}

impl Case {
    fn of(leaf: &str) -> Self {
        let chain: Vec<Vec<u8>> = [leaf, "inter", "root"]
            .iter()
            .map(|name| read(&format!("revocation/{name}.crt")))
            .collect();
        let borrowed: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let ocsp = wants(&borrowed).remove(0);
        assert!(matches!(ocsp, RevocationWant::Ocsp { .. }));
        Self { chain, ocsp }
    }

    /// The leaf's status by `bytes` alone; its issuer is not asked about.
    fn judge(&self, want: RevocationWant, bytes: &[u8]) -> RevocationStatus {
        let answer = RevocationAnswer {
            want,
            bytes: bytes.to_vec(),
            gathered_at: *GATHERED_AT,
        };
        let chain: Vec<&[u8]> = self.chain.iter().take(2).map(Vec::as_slice).collect();
        let stored = acceptable(&answer, &chain);
        assert!(supersedes(&answer, &answer, &chain));
        let status = status(&chain, &[Arc::new(answer)], None);
        // Only what is a statement is stored.
        assert!(!stored || !matches!(status, RevocationStatus::Unknown { .. }));
        status
    }
}

static CASES: LazyLock<[Case; 2]> = LazyLock::new(|| ["good", "compromised"].map(Case::of));

fn judge(want: impl Fn(&Case) -> RevocationWant, bytes: &[u8]) -> Option<String> {
    let [good, compromised] = CASES.each_ref().map(|case| case.judge(want(case), bytes));
    let silent = |status: &RevocationStatus| matches!(status, RevocationStatus::Unknown { .. });
    if silent(&good) && silent(&compromised) {
        return None;
    }
    Some(format!("{good:?} {compromised:?}"))
}

pub(super) const CRL: Target = Target {
    name: "crl",
    run: |bytes| {
        judge(
            |_| RevocationWant::Crl {
                url: CRL_URL.to_owned(),
            },
            bytes,
        )
    },
    seeds: || {
        list("revocation/crl", ".crl")
            .iter()
            .map(|name| {
                let seed = Seed::file(name);
                let signed = inside(&seed.bytes).and_then(element);
                seed.with_signed(signed.into_iter().collect())
            })
            .collect()
    },
};

pub(super) const OCSP: Target = Target {
    name: "ocsp",
    run: |bytes| judge(|case| case.ocsp.clone(), bytes),
    seeds: || {
        // id-pkix-ocsp-basic, then OCTET STRING.
        let mark = [0x06, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
        list("revocation/ocsp", ".der")
            .iter()
            .map(|name| {
                let seed = Seed::file(name);
                let data = behind(&seed.bytes, &mark)
                    .and_then(inside)
                    .and_then(inside)
                    .and_then(element);
                seed.with_signed(data.into_iter().collect())
            })
            .collect()
    },
};

/// As every certificate of a chain: questions are computed from certificates, and few and short.
pub(super) const CHAIN: Target = Target {
    name: "chain",
    run: |bytes| {
        let inter = read("revocation/inter.crt");
        for chain in [[bytes, &inter[..]], [bytes, bytes], [&inter[..], bytes]] {
            let asked = wants(&chain);
            assert!(asked.len() <= 12);
            for want in &asked {
                let (RevocationWant::Crl { url } | RevocationWant::Ocsp { url, .. }) = want;
                assert!(url.len() <= 2048 && url.to_ascii_lowercase().starts_with("http"));
            }
            let _ = status(&chain, &[], None);
        }
        None
    },
    seeds: || {
        ["revocation", "timestamp"]
            .iter()
            .flat_map(|folder| list(folder, ".crt"))
            .map(|name| Seed::file(&name))
            .collect()
    },
};
