//! Judges what a create or a start names: a reference with an ID, a name, or a bare ID.

use std::sync::Arc;

use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_policy::reference::ReferenceError;
use portcullis_proto::cri::ImageSpec;
use tokio::time::Instant;

use super::judge::Subject;
use super::judge_image::ImageVerdict;
use super::record::Outcome;
use super::{Gate, names, refusal};
use crate::containerd::ContainerdError;
use crate::intercept::Refusal;
use crate::policy::ActivePolicy;
use crate::store::Link;

/// How an image is named by a create: the reference policy applies to, and the ID.
pub(super) struct Named {
    /// `None`: a bare ID that no reference came with.
    pub reference: Option<String>,
    /// The string to resolve at containerd for the ID.
    pub image: String,
}

impl Named {
    /// docs/policy.md: `user_specified_image`; else `image` if it is a name; else a bare ID.
    pub(super) fn of(spec: &ImageSpec) -> Self {
        let image = spec.image.clone();
        let reference = if !spec.user_specified_image.is_empty() {
            Some(spec.user_specified_image.clone())
        } else if names::image_id(&image).is_some() {
            None
        } else {
            Some(image.clone())
        };
        Self { reference, image }
    }

    /// Whether audit mode may excuse it at all.
    pub(super) fn excusable(&self) -> bool {
        let parsed = self.reference.as_deref().map(names::parse);
        !matches!(parsed, Some(Err(error)) if names::never_excused(&error))
    }

    /// The mode under which a refusal of it applies, from matching alone.
    pub(super) fn mode(&self, active: &Arc<ActivePolicy>, namespace: &str) -> Mode {
        let asked = Asked { active, namespace };
        let subject = self.reference.as_deref().map(|text| asked.subject(text));
        match subject {
            Some(Ok(subject)) => subject.mode(),
            Some(Err(error)) if names::never_excused(&error) => Mode::Enforce,
            _ => active.policy.node_mode,
        }
    }

    /// For messages and audit lines.
    pub(super) fn label(&self) -> &str {
        self.reference.as_deref().unwrap_or(&self.image)
    }
}

/// What became of a create or a start.
pub(super) enum Judged {
    /// This image runs; `record`: the tag record its reference stands for.
    Run {
        active: Arc<ActivePolicy>,
        outcome: Outcome,
        link: Link,
        enforced: bool,
        record: Option<String>,
    },
    /// Audit: forwarded as it came, because no image could be judged.
    Unchanged {
        active: Arc<ActivePolicy>,
        outcome: Outcome,
    },
    /// Refused.
    Refused {
        active: Arc<ActivePolicy>,
        outcome: Outcome,
        refusal: Refusal,
    },
}

/// One question, and how it ends when no verdict is possible.
struct Asked<'a> {
    active: &'a Arc<ActivePolicy>,
    namespace: &'a str,
}

impl Asked<'_> {
    fn subject(&self, text: &str) -> Result<Subject, ReferenceError> {
        Ok(Subject::new(
            Arc::clone(self.active),
            Some(self.namespace.to_owned()),
            names::parse(text)?,
        ))
    }

    /// No rule can speak: refused, or in audit mode forwarded as it came.
    fn unusable(&self, text: &str, mode: Mode) -> Judged {
        let excused = mode == Mode::Audit;
        let active = Arc::clone(self.active);
        let outcome = Outcome::unusable(text, excused);
        if excused {
            return Judged::Unchanged { active, outcome };
        }
        Judged::Refused {
            active,
            outcome,
            refusal: refusal::policy_says_no(text),
        }
    }

    /// containerd did not say what a verdict needs.
    fn unanswered(&self, error: &ContainerdError, mode: Mode) -> Judged {
        let active = Arc::clone(self.active);
        let refusal = refusal::containerd(error);
        if mode == Mode::Enforce {
            return Judged::Refused {
                active,
                outcome: Outcome::unanswered(&refusal.message, false),
                refusal,
            };
        }
        Judged::Unchanged {
            active,
            outcome: Outcome::unanswered(&refusal.message, true),
        }
    }
}

impl Gate {
    /// Judges what a create or a start names, in the sandbox's namespace.
    pub(super) async fn judge_named(
        &self,
        namespace: &str,
        named: &Named,
        deadline: Instant,
    ) -> Judged {
        let active = self.inner.parts.policy.current();
        let asked = Asked {
            active: &active,
            namespace,
        };
        let subject = match named.reference.as_deref().map(|text| asked.subject(text)) {
            Some(Ok(subject)) => Some(subject),
            Some(Err(error)) => {
                let text = names::unusable(Some(namespace), &error);
                return asked.unusable(&text, named.mode(&active, namespace));
            }
            None => None,
        };
        let mode = named.mode(&active, namespace);
        let judged = self.judge_subject(&asked, subject, named, mode, deadline);
        match judged.await {
            Ok(judged) => judged,
            Err(error) => asked.unanswered(&error, mode),
        }
    }

    async fn judge_subject(
        &self,
        asked: &Asked<'_>,
        subject: Option<Subject>,
        named: &Named,
        mode: Mode,
        deadline: Instant,
    ) -> Result<Judged, ContainerdError> {
        let (active, namespace) = (Arc::clone(asked.active), asked.namespace);
        let Some(id) = self.id_of(&named.image, deadline).await? else {
            let text = format!(
                "the image {} is not on this node",
                names::shown(&named.image)
            );
            return Ok(asked.unusable(&text, mode));
        };
        let verdict = if let Some(subject) = &subject {
            Some(self.judge_image(subject, &id, deadline).await?)
        } else {
            let subject_of = |text: &str| asked.subject(text).ok();
            self.judge_bare_id(subject_of, Some(namespace), &id, deadline)
                .await?
        };
        let Some(verdict) = verdict else {
            let text = format!(
                "namespace {namespace} may not run image ID {id}: no reference to it was ever accepted for this \
                 namespace; name the image by repository and digest"
            );
            return Ok(asked.unusable(&text, mode));
        };
        let record = subject.and_then(|subject| subject.reference.tag_record_name());
        let outcome = Outcome::of_image(&verdict);
        let enforced = verdict.mode() == Mode::Enforce;
        let refusal = match verdict {
            ImageVerdict::Run { link, .. } => {
                return Ok(Judged::Run {
                    active,
                    outcome,
                    link,
                    enforced,
                    record,
                });
            }
            ImageVerdict::Deny { decision } => match &decision.denial {
                Some(denial) => refusal::denied(denial),
                None => refusal::policy_says_no("the image was refused"),
            },
            ImageVerdict::Undecided { failure, .. } => {
                refusal::unhealed(namespace, named.label(), &failure)
            }
        };
        if enforced {
            return Ok(Judged::Refused {
                active,
                outcome,
                refusal,
            });
        }
        // docs/rules.md: the ID judged is what is forwarded, although it would be denied.
        Ok(
            match self.links_to(&id, deadline).await?.into_iter().next() {
                Some(link) => Judged::Run {
                    active,
                    outcome,
                    link,
                    enforced,
                    record,
                },
                None => Judged::Unchanged { active, outcome },
            },
        )
    }

    /// The image ID behind what a request says: an ID that the node has, or what containerd resolves a name to. Only a claim:
    /// what runs is compared afterwards.
    async fn id_of(
        &self,
        image: &str,
        deadline: Instant,
    ) -> Result<Option<Digest>, ContainerdError> {
        let found = self
            .inner
            .parts
            .containerd
            .image_status(image, deadline)
            .await?;
        let claimed = names::image_id(image);
        Ok(found
            .map(|found| found.id)
            .filter(|id| claimed.is_none_or(|claimed| claimed == *id)))
    }
}
