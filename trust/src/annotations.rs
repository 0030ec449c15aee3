//! What an image says about itself in annotations and labels.
//!
//! They are only as good as whoever made the image. What is proved here is that they are this image's: every document is
//! hashed from the digest down (subject, index, manifest, config), and what does not hash does not count.

mod chain;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_policy::model::AnnotationsRequirement;
use portcullis_policy::{Diagnostic, Digest, Severity};

use crate::evidence::ImageDescription;
use crate::finding::{Refused, Verified};
use crate::pattern::TextPattern;
use crate::time::Timestamp;
use chain::{Chain, NotThisImage, Place};

/// Annotation and label with the time an image was made (OCI image-spec, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";
/// How far the clock of whoever made an image may be ahead of the node's.
const SKEW: Duration = Duration::from_mins(5);

/// An `annotations` requirement, ready to verify.
#[derive(Debug)]
pub struct AnnotationsVerifier {
    values: BTreeMap<String, TextPattern>,
    max_age: Option<Duration>,
}

/// Why an image's description does not hold. Nothing here repeats what the image says: nobody signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Flaw {
    #[error("{0}")]
    NotThisImage(#[from] NotThisImage),
    #[error("it has no annotation or label `{0}`")]
    Missing(String),
    #[error("`{key}` is not `{wanted}` in {place}")]
    Other {
        key: String,
        wanted: String,
        place: Place,
    },
    #[error("it does not say when it was created")]
    NoTime,
    #[error("{0} do not name a time where they say when it was created")]
    BadTime(Place),
    #[error("it says in {0} that it was created in the future")]
    Future(Place),
    #[error("by {0} it was created longer ago than maxAge allows")]
    TooOld(Place),
}

impl AnnotationsVerifier {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// One diagnostic per pattern that cannot be used, with its place.
    pub fn compile(requirement: &AnnotationsRequirement) -> Result<Self, Vec<Diagnostic>> {
        let mut values = BTreeMap::new();
        let mut diagnostics = Vec::new();
        let mut refuse = |message: String| {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: requirement.span.clone(),
                message,
            });
        };
        if requirement.values.is_empty() && requirement.max_age.is_none() {
            refuse("`annotations` asks for nothing: name a value or `maxAge`".to_owned());
        }
        for (key, text) in &requirement.values {
            match TextPattern::compile(text) {
                Ok(pattern) => {
                    values.insert(key.clone(), pattern);
                }
                Err(error) => refuse(format!("the pattern for `{key}` cannot be used: {error}")),
            }
        }
        if diagnostics.is_empty() {
            Ok(Self {
                values,
                max_age: requirement.max_age,
            })
        } else {
            Err(diagnostics)
        }
    }

    /// Whether the descriptions of `digest` (every platform that is known) say what the policy asks for. A description that
    /// does not hash to `digest` is as good as none; each that does has to hold.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        digest: &Digest,
        descriptions: &[&ImageDescription],
        now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        let mut refused = Refused::default();
        let mut holds = true;
        let mut notes = BTreeSet::new();
        let mut counted = 0_usize;
        for description in descriptions {
            match Chain::read(digest, description) {
                Ok(chain) => {
                    counted = counted.saturating_add(1);
                    match self.check(&chain, now) {
                        Ok(said) => notes.extend(said),
                        Err(flaw) => {
                            holds = false;
                            refused.add(&flaw);
                        }
                    }
                }
                Err(flaw) => refused.add(&Flaw::from(flaw)),
            }
        }
        if !holds || counted == 0 {
            return Err(refused);
        }
        if counted > 1 {
            notes.insert(format!("{counted} platforms"));
        }
        Ok(vec![Verified {
            signer: format!("the image's own description ({digest})"),
            signed_at: None,
            notes: notes.into_iter().collect(),
        }])
    }

    fn check(&self, chain: &Chain, now: Timestamp) -> Result<Vec<String>, Flaw> {
        let mut notes = Vec::new();
        for (key, wanted) in &self.values {
            let mut found = false;
            for (place, value) in chain.values(key) {
                found = true;
                if !value.is_some_and(|value| wanted.matches(value)) {
                    return Err(Flaw::Other {
                        key: key.clone(),
                        wanted: wanted.shown().to_owned(),
                        place,
                    });
                }
            }
            if !found {
                return Err(Flaw::Missing(key.clone()));
            }
            notes.push(format!("`{key}` is `{}`", wanted.shown()));
        }
        if let Some(max_age) = self.max_age {
            let created = age(chain, max_age, now)?;
            notes.push(format!("created {created}"));
        }
        Ok(notes)
    }
}

/// Every place that says when the image was created has to say that it was not too long ago. Gives the earliest.
fn age(chain: &Chain, max_age: Duration, now: Timestamp) -> Result<Timestamp, Flaw> {
    let mut earliest: Option<Timestamp> = None;
    for (place, text) in chain.created().into_iter().chain(chain.values(CREATED)) {
        let created = text
            .and_then(Timestamp::parse)
            .ok_or(Flaw::BadTime(place))?;
        if created.since(now) > SKEW {
            return Err(Flaw::Future(place));
        }
        if now.since(created) > max_age {
            return Err(Flaw::TooOld(place));
        }
        earliest = Some(earliest.map_or(created, |before| before.min(created)));
    }
    earliest.ok_or(Flaw::NoTime)
}
