//! What may run for a reference, given an image ID that is on the node (docs/rules.md rule 3).

use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_trust::{Decision, Denial, DenialReason};
use tokio::time::Instant;

use super::heal::HealFailure;
use super::judge::{Matched, Subject, Trust};
use super::{Gate, refusal};
use crate::containerd::ContainerdError;
use crate::store::{Link, ResolutionSource};

/// Most manifests of one image ID that are judged.
const MAX_ROOTS: usize = 16;

/// The judgement of an image on the node.
#[derive(Debug, Clone)]
pub(super) enum ImageVerdict {
    /// This image may run. It is not the one asked about if the tag was moved by another namespace.
    Run { link: Link, decision: Decision },
    /// Policy says no.
    Deny { decision: Decision },
    /// No evidence is stored, and none could be gathered now.
    Undecided {
        decision: Decision,
        failure: HealFailure,
    },
}

impl ImageVerdict {
    /// Mode under which a refusal applies.
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Run { decision, .. }
            | Self::Deny { decision }
            | Self::Undecided { decision, .. } => decision.mode,
        }
    }
}

impl Gate {
    /// Judges `image` for the reference of `subject`; `deadline` bounds all outside work.
    pub(super) async fn judge_image(
        &self,
        subject: &Subject,
        image: &Digest,
        deadline: Instant,
    ) -> Result<ImageVerdict, ContainerdError> {
        let candidates = self.candidates(subject, image, deadline).await?;
        let denied = match self.first_allowed(subject, &candidates) {
            Ok((link, decision)) => return Ok(ImageVerdict::Run { link, decision }),
            Err(denied) => denied,
        };
        if let Some(verdict) = self.swapped(subject, image, deadline).await {
            return Ok(verdict);
        }
        let mut decision = denied.unwrap_or_else(|| untraceable(subject, image));
        if is_mendable(&decision) {
            let failure = self.heal(subject, &candidates, deadline).await;
            match self.first_allowed(subject, &candidates) {
                Ok((link, decision)) => return Ok(ImageVerdict::Run { link, decision }),
                Err(again) => decision = again.unwrap_or(decision),
            }
            if let Some(verdict) = self.swapped(subject, image, deadline).await {
                return Ok(verdict);
            }
            match failure {
                Some(failure @ HealFailure::Remote(_)) if lacks_evidence(&decision) => {
                    return Ok(ImageVerdict::Undecided { decision, failure });
                }
                Some(HealFailure::Refused(text)) => append(&mut decision, &text),
                _ => {}
            }
        }
        self.mention_moved_tag(subject, &candidates, &mut decision);
        Ok(ImageVerdict::Deny { decision })
    }

    /// Judges a bare image ID: every reference under which the gate accepted it for this namespace must be allowed, and
    /// none means deny (docs/policy.md).
    pub(super) async fn judge_bare_id(
        &self,
        subject_of: impl Fn(&str) -> Option<Subject>,
        namespace: Option<&str>,
        image: &Digest,
        deadline: Instant,
    ) -> Result<Option<ImageVerdict>, ContainerdError> {
        let mut last = None;
        for link in self.links_to(image, deadline).await? {
            for known in self.inner.parts.store.references_of(namespace, &link.root) {
                let Some(subject) = subject_of(&known.reference) else {
                    continue;
                };
                match self.judge_image(&subject, image, deadline).await? {
                    verdict @ ImageVerdict::Run { .. } => last = Some(verdict),
                    refused => return Ok(Some(refused)),
                }
            }
        }
        Ok(last)
    }

    /// The links from a digest that the reference may stand for to `image`.
    async fn candidates(
        &self,
        subject: &Subject,
        image: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Link>, ContainerdError> {
        let mut links = self.links_to(image, deadline).await?;
        let Some(digest) = subject.reference.digest() else {
            if let Some(known) = self.accepted(subject) {
                links.sort_by_key(|link| link.root != known);
            }
            links.truncate(MAX_ROOTS);
            return Ok(links);
        };
        if !links.iter().any(|link| link.root == *digest) {
            // The digest may be that of a manifest inside an index, or of another index around the same manifest.
            match self.prove(digest, deadline).await {
                Ok(proved) => links.extend(proved.into_iter().filter(|link| link.config == *image)),
                Err(ContainerdError::Content { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        links.retain(|link| link.root == *digest);
        Ok(links)
    }

    /// Links that end in `image`: stored ones, else proved now from containerd's content.
    pub(super) async fn links_to(
        &self,
        image: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Link>, ContainerdError> {
        let stored = self.inner.parts.store.links_to(image);
        if !stored.is_empty() {
            return Ok(stored);
        }
        let links = self
            .inner
            .parts
            .containerd
            .links_to_image(image, deadline)
            .await?;
        for link in &links {
            self.inner.parts.store.put_link(link.clone());
        }
        Ok(links)
    }

    /// Proves what `root` leads to, from bytes hashed here, and remembers it.
    pub(super) async fn prove(
        &self,
        root: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Link>, ContainerdError> {
        let links = self.inner.parts.containerd.prove(root, deadline).await?;
        for link in &links {
            self.inner.parts.store.put_link(link.clone());
        }
        Ok(links)
    }

    fn accepted(&self, subject: &Subject) -> Option<Digest> {
        let reference = subject.reference.normalised();
        self.inner
            .parts
            .store
            .resolution(subject.namespace(), &reference)
            .map(|known| known.digest)
    }

    /// The first candidate that is allowed, else the denial that says most.
    fn first_allowed(
        &self,
        subject: &Subject,
        candidates: &[Link],
    ) -> Result<(Link, Decision), Option<Decision>> {
        let mut denied: Option<Decision> = None;
        for link in candidates {
            let decision = self.decide(subject, &link.root, Trust::Stored);
            if decision.allowed() {
                let by_digest = subject.reference.digest().is_some();
                let source = if by_digest {
                    ResolutionSource::Reference
                } else {
                    ResolutionSource::Cached
                };
                self.remember(subject, link.root, source);
                return Ok((link.clone(), decision));
            }
            // Evidence that is only missing may yet be gathered: that denial is the one to keep.
            if denied.as_ref().is_none_or(|denied| !is_mendable(denied)) {
                denied = Some(decision);
            }
        }
        Err(denied)
    }

    /// The tag was moved by another namespace, and the digest remembered for this one is allowed, present, and runs as the
    /// same user (the kubelet took the uid from the image it was shown): that image is what runs (docs/rules.md).
    async fn swapped(
        &self,
        subject: &Subject,
        image: &Digest,
        deadline: Instant,
    ) -> Option<ImageVerdict> {
        let remembered = self.remembered_elsewhere(subject, image)?;
        let shown = self.inner.parts.store.links_to(image);
        let user = &shown.first()?.user;
        for link in remembered {
            if link.user != *user {
                continue;
            }
            let decision = self.decide(subject, &link.root, Trust::Stored);
            let present = self
                .inner
                .parts
                .containerd
                .image_status(&link.config.to_string(), deadline)
                .await;
            if decision.allowed()
                && present.is_ok_and(|present| present.is_some_and(|found| found.id == link.config))
            {
                return Some(ImageVerdict::Run { link, decision });
            }
        }
        None
    }

    fn remembered_elsewhere(&self, subject: &Subject, image: &Digest) -> Option<Vec<Link>> {
        if subject.reference.digest().is_some() {
            return None;
        }
        let digest = self.accepted(subject)?;
        let links = self.inner.parts.store.links_from(&digest);
        Some(
            links
                .into_iter()
                .filter(|link| link.config != *image)
                .collect(),
        )
    }

    fn mention_moved_tag(&self, subject: &Subject, candidates: &[Link], decision: &mut Decision) {
        let moved = subject.reference.digest().is_none()
            && self
                .accepted(subject)
                .is_some_and(|known| candidates.iter().all(|link| link.root != known));
        if moved {
            append(
                decision,
                "the tag was moved on this node since this namespace's image was accepted; use the digest",
            );
        }
    }
}

/// Whether gathering (again) may help.
fn is_mendable(decision: &Decision) -> bool {
    decision
        .denial
        .as_ref()
        .is_some_and(|denial| denial.reason.mendable())
}

fn lacks_evidence(decision: &Decision) -> bool {
    decision
        .denial
        .as_ref()
        .is_some_and(|denial| denial.reason == DenialReason::LackOfEvidence)
}

fn append(decision: &mut Decision, text: &str) {
    if let Some(denial) = &mut decision.denial
        && !denial.text.contains(text)
    {
        denial.text = format!("{} ({text})", denial.text);
    }
}

/// No manifest on this node is known to lead to the image.
fn untraceable(subject: &Subject, image: &Digest) -> Decision {
    match subject.matched() {
        Matched::Refused(decision) => decision.clone(),
        Matched::Governed(wanted) => {
            let namespace = refusal::namespace_words(subject.namespace());
            let reference = &subject.reference;
            let text = match reference.digest() {
                Some(digest) => format!(
                    "{namespace} may not run {reference}: the image it would run ({image}) is not what {digest} contains; \
                     pull the digest again"
                ),
                None => format!(
                    "{namespace} may not run {reference}: no manifest in containerd's content store leads to image ID \
                     {image}; remove the image and let it be pulled again"
                ),
            };
            Decision {
                denial: Some(Denial {
                    reason: DenialReason::NotSatisfied,
                    text,
                }),
                mode: wanted.mode,
                rules: Vec::new(),
                findings: Vec::new(),
                unmet: Vec::new(),
            }
        }
    }
}
