//! Attestations: signed in-toto statements about a digest, and what a policy asks of them.
//!
//! Who signed is [`crate::sigstore`]'s business; what was signed is this module's. A statement never keeps another one from
//! counting, with one exception: of vulnerability reports by trusted scanners the newest decides, so that an older clean
//! report cannot stand in for a newer one that is not.

mod cel;
mod conditions;
mod flaw;
mod provenance;
mod source_uri;
mod statement;
mod time;
mod vulnerabilities;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_policy::model::AttestationRequirement;
use portcullis_policy::{Diagnostic, Digest};

use crate::evidence::Artefact;
use crate::finding::{Refused, Verified};
use crate::sigstore::matching::assign;
use crate::sigstore::{SignedStatement, SignerSet};
use crate::time::Timestamp;
use conditions::Conditions;
use flaw::Flaw;
use statement::Statement;

/// An `attestations` requirement, ready to verify.
#[derive(Debug)]
pub struct AttestationVerifier {
    signers: SignerSet,
    judge: Judge,
}

impl AttestationVerifier {
    /// Parses signers, patterns and the CEL expression.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(requirement: &AttestationRequirement) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let judge = Judge::compile(requirement, &mut diagnostics);
        match SignerSet::compile(&requirement.signers) {
            Ok(signers) if diagnostics.is_empty() => Ok(Self { signers, judge }),
            Ok(_) => Err(diagnostics),
            Err(found) => {
                diagnostics.extend(found);
                Err(diagnostics)
            }
        }
    }

    /// Whether statements of the required type by enough of the required signers say what the policy asks for: one
    /// [`Verified`] for each of those signers.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        digest: &Digest,
        artefacts: &[&Artefact],
        now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        let mut refused = Refused::default();
        let statements = self
            .signers
            .statements(digest, artefacts, now, &mut refused);
        self.judge.verify(digest, &statements, now, refused)
    }
}

/// What is asked of statements whose signature counts.
#[derive(Debug)]
pub(crate) struct Judge {
    conditions: Conditions,
    threshold: usize,
}

/// A statement and what it comes to.
struct Judged<'a> {
    by: &'a SignedStatement,
    /// When it was made; `None`: it does not say.
    made: Option<Timestamp>,
    notes: Result<Vec<String>, Flaw>,
}

/// When a statement was made, and whether it holds; or why it is none of the type.
type Said = Result<(Option<Timestamp>, Result<Vec<String>, Flaw>), Flaw>;

impl Judge {
    pub(crate) fn compile(
        requirement: &AttestationRequirement,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            conditions: Conditions::compile(requirement, diagnostics),
            threshold: requirement.signers.threshold.max(1),
        }
    }

    /// The rest of [`AttestationVerifier::verify`]; `refused` has what signatures were already refused for.
    pub(crate) fn verify(
        &self,
        digest: &Digest,
        statements: &[SignedStatement],
        now: Timestamp,
        mut refused: Refused,
    ) -> Result<Vec<Verified>, Refused> {
        // Whoever may push can put one signed statement there in many wrappings: what it says is judged once.
        let mut read: BTreeMap<&[u8], Said> = BTreeMap::new();
        let mut judged = Vec::new();
        for by in statements {
            let said = read
                .entry(&by.bytes)
                .or_insert_with(|| self.read(&by.bytes, digest, now));
            match said {
                Ok((made, notes)) => judged.push(Judged {
                    by,
                    made: *made,
                    notes: notes.clone(),
                }),
                Err(flaw) => refused.add(flaw),
            }
        }
        if self.conditions.newest_decides() {
            only_newest(&mut judged);
        }
        let mut found: BTreeMap<usize, (&[usize], Verified)> = BTreeMap::new();
        for one in judged {
            match one.notes {
                Ok(notes) => {
                    // One signer may have made the same statement in two formats.
                    found.entry(one.by.signer).or_insert_with(|| {
                        let mut verified = one.by.verified.clone();
                        verified.notes.extend(notes);
                        (&one.by.entries, verified)
                    });
                }
                Err(flaw) => refused.add(&flaw),
            }
        }
        let assigned = assign(found.iter().map(|(who, (entries, _))| (*who, *entries)));
        if assigned.len() < self.threshold {
            refused.partly(assigned.len(), self.threshold);
            return Err(refused);
        }
        let mut verified: BTreeMap<usize, Verified> = BTreeMap::new();
        for (who, (_, one)) in found {
            if let Some(entry) = assigned.get(&who) {
                verified.insert(*entry, one);
            }
        }
        Ok(verified.into_values().collect())
    }

    fn read(&self, bytes: &[u8], digest: &Digest, now: Timestamp) -> Said {
        let statement = Statement::read(bytes, digest, self.conditions.predicate_type())?;
        let made = self.conditions.made(&statement).ok().flatten();
        Ok((made, self.conditions.check(&statement, now)))
    }
}

/// Lets no report count where the newest one does not hold: the newest of all, or the newest of the same signer. The newest
/// come first.
fn only_newest(judged: &mut [Judged<'_>]) {
    // A report that does not say when it was made may be the newest.
    let key = |one: &Judged<'_>| (one.made.is_none(), one.made);
    let fails = |of: &[&Judged<'_>]| {
        let newest = of.iter().map(|one| key(one)).max();
        of.iter()
            .any(|one| Some(key(one)) == newest && one.notes.is_err())
    };
    let all: Vec<&Judged<'_>> = judged.iter().collect();
    let mut by_signer: BTreeMap<usize, Vec<&Judged<'_>>> = BTreeMap::new();
    for one in judged.iter() {
        by_signer.entry(one.by.signer).or_default().push(one);
    }
    let all_fail = fails(&all);
    let outdated: BTreeSet<usize> = by_signer
        .into_iter()
        .filter(|(_, of)| all_fail || fails(of))
        .map(|(signer, _)| signer)
        .collect();
    for one in judged.iter_mut() {
        if outdated.contains(&one.by.signer) && one.notes.is_ok() {
            one.notes = Err(Flaw::Outdated);
        }
    }
    judged.sort_by_key(|one| std::cmp::Reverse(key(one)));
}

#[cfg(test)]
mod tests;
