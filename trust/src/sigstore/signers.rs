//! Who may sign: keys and identities of a requirement, and which of them an artefact is by.

use std::sync::Arc;

use portcullis_policy::model::{Demand, SigstoreSigner, SigstoreSigners};
use portcullis_policy::{Diagnostic, Severity, Span};
use sigstore_types::{Artifact, Sha256Hash};

use super::artefact::{Content, Signed};
use super::key::{Digested, Message, PublicKey};
use super::keyed;
use super::keyless::{self, Certified, Demands};
use super::reason::Reason;
use super::root::Root;
use crate::finding::Verified;
use crate::pattern::TextPattern;
use crate::time::Timestamp;

/// Characters of a name that are shown.
const MAX_SHOWN: usize = 256;

/// Keys, identities and trusted root of a requirement, parsed.
#[derive(Debug)]
pub struct SignerSet {
    /// Different keys, each with the index of the first entry that names it.
    keys: Vec<KeySigner>,
    identities: Vec<IdentitySigner>,
    pub(super) threshold: usize,
    pub(super) log: Demand,
    certificate_timestamp: Demand,
    root: Arc<Root>,
}

#[derive(Debug)]
struct KeySigner {
    index: usize,
    name: String,
    key: PublicKey,
}

#[derive(Debug)]
struct IdentitySigner {
    index: usize,
    identity: TextPattern,
    issuer: TextPattern,
}

/// Who really signed, by what cannot be written in two ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Key(usize),
    Identity { names: Vec<String>, issuer: String },
}

/// A signature that counts.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) who: Who,
    /// The entries of the requirement that it satisfies. Never empty.
    pub(super) signers: Vec<usize>,
    pub(super) verified: Verified,
}

impl SignerSet {
    /// Parses keys, patterns and trusted root.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(signers: &SigstoreSigners) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let mut keys: Vec<KeySigner> = Vec::new();
        let mut identities = Vec::new();
        for (index, signer) in signers.of.iter().enumerate() {
            match signer {
                SigstoreSigner::Key(material) => match PublicKey::from_pem(&material.bytes) {
                    // One key under two names is one signer.
                    Ok(key) if keys.iter().any(|known| known.key == key) => {}
                    Ok(key) => keys.push(KeySigner {
                        index,
                        name: material.name.clone(),
                        key,
                    }),
                    Err(why) => diagnostics.push(error(
                        &material.span,
                        format!("the public key {} cannot be used: {why}", material.name),
                    )),
                },
                SigstoreSigner::Identity(one) => {
                    let mut compile = |what: &str, text| {
                        TextPattern::compile(text)
                            .map_err(|why| {
                                diagnostics.push(error(
                                    &one.span,
                                    format!("the {what} is no regular expression: {why}"),
                                ));
                            })
                            .ok()
                    };
                    let identity = compile("identity", &one.identity);
                    let issuer = compile("issuer", &one.issuer);
                    if let (Some(identity), Some(issuer)) = (identity, issuer) {
                        identities.push(IdentitySigner {
                            index,
                            identity,
                            issuer,
                        });
                    }
                }
            }
        }
        let place = signers.of.first().map_or_else(Span::nowhere, place);
        if diagnostics.is_empty()
            && !(1..=keys.len() + identities.len()).contains(&signers.threshold)
        {
            let different = keys.len() + identities.len();
            diagnostics.push(error(
                &place,
                format!(
                    "the threshold is {}, and there are {different} different signers",
                    signers.threshold
                ),
            ));
        }
        let root = match Root::compile(&signers.trusted_root, &place) {
            Ok(root) if diagnostics.is_empty() => root,
            Ok(_) => return Err(diagnostics),
            Err(more) => {
                diagnostics.extend(more);
                return Err(diagnostics);
            }
        };
        Ok(Self {
            keys,
            identities,
            threshold: signers.threshold,
            log: signers.transparency_log,
            certificate_timestamp: signers.signed_certificate_timestamp,
            root,
        })
    }

    /// Who of the signers made `signed`. `artifact` is what a message signature is over; a statement's subject and a
    /// payload's digest are for the caller to compare.
    pub(super) fn verify(
        &self,
        signed: &Signed,
        artifact: &Artifact<'_>,
        now: Timestamp,
    ) -> Result<Hit, Reason> {
        let certified = signed.certified();
        if (!certified || signed.legacy) && !self.keys.is_empty() {
            match self.by_key(signed, artifact, now) {
                Err(Reason::OtherKey) if certified && !self.identities.is_empty() => {}
                other => return other,
            }
        }
        match (certified, self.identities.is_empty()) {
            (false, _) => Err(Reason::IdentitiesOnly),
            (true, true) => Err(Reason::KeysOnly),
            (true, false) => self.by_identity(signed, artifact, now),
        }
    }

    fn by_key(
        &self,
        signed: &Signed,
        artifact: &Artifact<'_>,
        now: Timestamp,
    ) -> Result<Hit, Reason> {
        let outside;
        let message = match (&signed.content, artifact) {
            (Content::Statement(_) | Content::Payload(_), _) => Message::Bytes(&signed.message),
            (Content::Message, Artifact::Blob(bytes)) => Message::Bytes(bytes),
            (Content::Message, Artifact::Digest(digest)) => {
                outside = Sha256Hash::try_from(digest.as_bytes())
                    .map_err(|_| Reason::Malformed("its digest is no SHA-256"))?;
                Message::Sha256(outside.as_bytes())
            }
            _ => return Err(Reason::OtherDigest),
        };
        let digested = Digested::new(message);
        let mut reason = Reason::OtherKey;
        for signer in &self.keys {
            let found = keyed::verify(signed, &digested, &signer.key, &self.root, self.log, now);
            match found {
                Ok(signed_at) => {
                    return Ok(Hit {
                        who: Who::Key(signer.index),
                        signers: vec![signer.index],
                        verified: Verified {
                            signer: format!("{} (key {})", signer.name, signer.key.id()),
                            signed_at,
                            notes: Vec::new(),
                        },
                    });
                }
                Err(Reason::OtherKey) => {}
                Err(other) => reason = other,
            }
        }
        Err(reason)
    }

    fn by_identity(
        &self,
        signed: &Signed,
        artifact: &Artifact<'_>,
        now: Timestamp,
    ) -> Result<Hit, Reason> {
        let artifact = match &signed.content {
            // The library takes the payload of the legacy format for a file.
            Content::Payload(payload) => Artifact::from_blob(payload),
            Content::Statement(_) | Content::Message => artifact.clone(),
        };
        let demands = Demands {
            log: self.log,
            certificate_timestamp: self.certificate_timestamp,
        };
        let Certified {
            names,
            issuer,
            signed_at,
        } = keyless::verify(signed, artifact, &self.root, demands, now)?;
        let matching: Vec<(usize, &String)> = self
            .identities
            .iter()
            .filter(|signer| signer.issuer.matches(&issuer))
            .filter_map(|signer| {
                let name = names.iter().find(|name| signer.identity.matches(name))?;
                Some((signer.index, name))
            })
            .collect();
        let Some((_, name)) = matching.first() else {
            return Err(Reason::OtherIdentity(shown(&names.join(" and "), &issuer)));
        };
        Ok(Hit {
            verified: Verified {
                signer: shown(name, &issuer),
                signed_at: Some(signed_at),
                notes: Vec::new(),
            },
            signers: matching.iter().map(|(index, _)| *index).collect(),
            who: Who::Identity { names, issuer },
        })
    }
}

/// Names of a verified certificate for a message: without line breaks and such, and cut where they are long.
fn shown(name: &str, issuer: &str) -> String {
    let harmless = |text: &str| -> String {
        text.chars()
            .flat_map(char::escape_debug)
            .take(MAX_SHOWN)
            .collect()
    };
    format!("{} by {}", harmless(name), harmless(issuer))
}

fn place(signer: &SigstoreSigner) -> Span {
    match signer {
        SigstoreSigner::Key(key) => key.span.clone(),
        SigstoreSigner::Identity(identity) => identity.span.clone(),
    }
}

fn error(span: &Span, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: span.clone(),
        message,
    }
}
