//! Revocation of certificates: OCSP, then CRL (RFC 6960, RFC 5280; trust-store-trust-policy.md, "Certificate revocation").
//!
//! Every certificate of a chain but its root is asked about. Whether an answer was fresh is judged at the time it came,
//! never at the time of the decision: a node off the network keeps what it knows. That a certificate was taken back is
//! believed from a stale answer too. Answers come over plain HTTP from whoever sits on the way, so each one must be signed
//! by the certificate's own issuer, or a responder that the issuer appointed.

mod cert_id;
mod crl;
mod ocsp;
mod sources;
mod statement;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::sources::Sources;
use self::statement::{State, Statement};
use super::pki::Certificate;
use crate::evidence::{RevocationAnswer, RevocationWant};
use crate::time::Timestamp;

/// Longest CRL that is read, in bytes: what notation reads.
pub const MAX_CRL: usize = 32 << 20;
/// Longest OCSP response that is read, in bytes; real ones have 0.5 to 4 KiB.
pub const MAX_OCSP: usize = 64 << 10;
/// Longest chain; real ones have two to four certificates.
const MAX_CHAIN: usize = 16;
/// Most answers that are read for one certificate: one per URL.
const MAX_ANSWERS: usize = sources::MAX_OCSP_URLS + sources::MAX_CRL_URLS;

/// What is known about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Its authority says that it is good, or names no way to ask.
    Good,
    /// It was taken back.
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// No usable answer is known.
    Unknown {
        /// Why, in fixed words.
        cause: &'static str,
    },
}

/// What to ask about `chain` (DER, leaf first, root last): OCSP where a certificate names a responder, and CRL. In that
/// order, without repetition, `http` and `https` only, and at most 12 questions per certificate.
pub fn wants(chain: &[&[u8]]) -> Vec<RevocationWant> {
    let mut out: Vec<RevocationWant> = Vec::new();
    let Some(chain) = parse(chain) else {
        return out;
    };
    for (certificate, issuer) in links(&chain) {
        let Ok(sources) = Sources::of(certificate, issuer) else {
            continue;
        };
        for want in sources.wants() {
            if !out.contains(&want) {
                out.push(want);
            }
        }
    }
    out
}

/// The worst status of a certificate of `chain`: the first that was taken back, else the first that is unknown.
///
/// A revocation does not count where the certificate signed before the date from which its issuer calls it invalid
/// (`invalidityDate`): `signed_at` is a proved signing time, the later end of an RFC 3161 timestamp. The date of the
/// revocation itself excuses nothing, as in the specification: a key is mostly lost before anyone notices.
pub fn status(
    chain: &[&[u8]],
    answers: &[Arc<RevocationAnswer>],
    signed_at: Option<Timestamp>,
) -> RevocationStatus {
    let Some(chain) = parse(chain) else {
        return RevocationStatus::Unknown {
            cause: "its certificate chain cannot be read",
        };
    };
    let mut worst = RevocationStatus::Good;
    for (certificate, issuer) in links(&chain) {
        match certificate_status(certificate, issuer, answers, signed_at) {
            RevocationStatus::Good => {}
            revoked @ RevocationStatus::Revoked { .. } => return revoked,
            unknown @ RevocationStatus::Unknown { .. } => {
                if worst == RevocationStatus::Good {
                    worst = unknown;
                }
            }
        }
    }
    worst
}

/// [`status`] of several chains by the same answers. Whoever may push can wrap one signature in many envelopes, and a CRL
/// may have a million entries: each chain is looked up once.
pub(super) struct Statuses<'a> {
    answers: &'a [Arc<RevocationAnswer>],
    known: BTreeMap<(Vec<Vec<u8>>, Option<Timestamp>), RevocationStatus>,
}

impl<'a> Statuses<'a> {
    pub(super) fn new(answers: &'a [Arc<RevocationAnswer>]) -> Self {
        Self {
            answers,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn of(
        &mut self,
        chain: &[&[u8]],
        signed_at: Option<Timestamp>,
    ) -> &RevocationStatus {
        let owned = chain.iter().map(|der| der.to_vec()).collect();
        self.known
            .entry((owned, signed_at))
            .or_insert_with(|| status(chain, self.answers, signed_at))
    }
}

/// Whether `answer` is one to what [`wants`] asked about `chain`, is signed by whoever may answer for a certificate of it,
/// was fresh at `gathered_at`, and says good or revoked: what is not is never stored.
pub fn acceptable(answer: &RevocationAnswer, chain: &[&[u8]]) -> bool {
    statements(answer, chain)
        .iter()
        .any(|statement| statement.fresh && statement.state != State::Unknown)
}

/// Whether `answer`, which is [`acceptable`], may take the place of `stored`: its authority did not say it earlier. Whoever
/// sits on the way can replay an older answer that is still fresh, and must not undo a revocation that is known.
pub fn supersedes(answer: &RevocationAnswer, stored: &RevocationAnswer, chain: &[&[u8]]) -> bool {
    let newest = |answer| {
        statements(answer, chain)
            .iter()
            .map(|statement| statement.this_update)
            .max()
    };
    newest(answer) >= newest(stored)
}

/// What `answer` says about the certificates of `chain`.
fn statements(answer: &RevocationAnswer, chain: &[&[u8]]) -> Vec<Statement> {
    let Some(chain) = parse(chain) else {
        return Vec::new();
    };
    links(&chain)
        .filter_map(|(certificate, issuer)| {
            let sources = Sources::of(certificate, issuer).ok()?;
            read(answer, &sources, certificate, issuer)?.ok()
        })
        .collect()
}

fn parse<'a>(chain: &[&'a [u8]]) -> Option<Vec<Certificate<'a>>> {
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return None;
    }
    chain
        .iter()
        .map(|der| Certificate::from_der(der).ok())
        .collect()
}

/// Each certificate with its issuer. The root is nobody's to take back (it leaves the trust store instead).
fn links<'c, 'a>(
    chain: &'c [Certificate<'a>],
) -> impl Iterator<Item = (&'c Certificate<'a>, &'c Certificate<'a>)> {
    chain.iter().zip(chain.iter().skip(1))
}

/// What `answer` says about `certificate`. `None`: it answers another question. `Err`: why it says nothing.
fn read(
    answer: &RevocationAnswer,
    sources: &Sources,
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
) -> Option<Result<Statement, &'static str>> {
    match &answer.want {
        RevocationWant::Ocsp { url, request } => sources
            .asks_ocsp(url, request)
            .then(|| ocsp::read(&answer.bytes, certificate, issuer, answer.gathered_at)),
        RevocationWant::Crl { url } => sources.point_of(url).map(|point| {
            crl::read(
                &answer.bytes,
                certificate,
                issuer,
                point,
                answer.gathered_at,
            )
        }),
    }
}

fn certificate_status(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    answers: &[Arc<RevocationAnswer>],
    signed_at: Option<Timestamp>,
) -> RevocationStatus {
    let Ok(sources) = Sources::of(certificate, issuer) else {
        return RevocationStatus::Unknown {
            cause: "its certificate's revocation sources cannot be read",
        };
    };
    if sources.is_empty() {
        return RevocationStatus::Good;
    }
    let mut said: Vec<(&RevocationWant, Statement)> = Vec::new();
    let mut cause = None;
    let read = answers
        .iter()
        .filter_map(|answer| Some((&answer.want, read(answer, &sources, certificate, issuer)?)))
        .take(MAX_ANSWERS);
    for (want, statement) in read {
        match statement {
            Ok(statement) => said.push((want, statement)),
            Err(why) => cause = cause.or(Some(why)),
        }
    }
    let good = |statement: &Statement| statement.fresh && statement.is_good(signed_at);
    let last_good = said
        .iter()
        .filter(|(_, statement)| good(statement))
        .map(|(_, statement)| statement.this_update)
        .max();
    for (_, statement) in &said {
        if let Some(at) = statement.revoked(signed_at, last_good) {
            return RevocationStatus::Revoked { at };
        }
    }
    let by_ocsp = said
        .iter()
        .any(|(want, statement)| matches!(want, RevocationWant::Ocsp { .. }) && good(statement));
    let by_crl = sources.covered(|url| {
        said.iter().any(|(want, statement)| {
            matches!(want, RevocationWant::Crl { url: asked } if asked == url) && good(statement)
        })
    });
    if by_ocsp || by_crl {
        return RevocationStatus::Good;
    }
    let stale = said.iter().any(|(_, statement)| !statement.fresh);
    let unknown = said
        .iter()
        .any(|(_, statement)| statement.state == State::Unknown);
    RevocationStatus::Unknown {
        cause: match cause {
            Some(cause) => cause,
            None if stale => "its authority's answer was stale when it came",
            None if unknown => "its authority does not know the certificate",
            None if said.is_empty() => "its authority has not answered",
            None => "its authority has not answered for every distribution point",
        },
    }
}
