//! Rules written by hand, and decisions about them.

use std::fs;

use portcullis_policy::bootstrap::{Bootstrap, BootstrapImage};
use portcullis_policy::model::{
    Dialect, Mode, NotaryRequirement, NotaryServer, NotarySigner, Pattern, Requirement, Rule,
    Scope, TagRule,
};
use portcullis_policy::{Digest, ImageReference, PolicySet};
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::{
    CompiledPolicy, Decision, Evidence, Origin, OriginSource, Question, Timestamp,
};

use super::{APP, Files, fixture, gather, now, pinned, span};

/// A rule of ImagePolicy/apps in namespace shop for everything below registry.example.com/shop.
pub(crate) fn rule(requirement: Requirement) -> Rule {
    Rule {
        scope: Scope::Namespace("shop".to_owned()),
        document: "ImagePolicy/apps".to_owned(),
        pattern: Pattern {
            text: "registry.example.com/shop/*".to_owned(),
            dialect: Dialect::Portcullis,
        },
        mode: None,
        tags: TagRule::Floating,
        requirement,
        max_evidence_age: None,
        span: span(),
    }
}

pub(crate) fn set(rules: Vec<Rule>) -> PolicySet {
    PolicySet {
        rules,
        governed_namespaces: ["shop".to_owned()].into(),
        has_cluster_policy: false,
    }
}

pub(crate) fn compile(rules: Vec<Rule>) -> CompiledPolicy {
    CompiledPolicy::compile(set(rules), Bootstrap::default(), Mode::Enforce).unwrap()
}

pub(crate) fn bootstrapped(rules: Vec<Rule>, digest: Digest) -> CompiledPolicy {
    let image = BootstrapImage {
        repository: APP.to_owned(),
        digest,
        namespaces: vec!["shop".to_owned()],
        span: span(),
    };
    let bootstrap = Bootstrap {
        images: vec![image],
    };
    CompiledPolicy::compile(set(rules), bootstrap, Mode::Enforce).unwrap()
}

pub(crate) fn trust() -> NotaryServer {
    pinned(APP, &Files::of("app/1"))
}

/// A Notary requirement with these (name, key file) signers.
pub(crate) fn notary(signers: &[(&str, &str)]) -> Requirement {
    Requirement::Notary(NotaryRequirement {
        trust: trust(),
        signers: signers
            .iter()
            .map(|(name, pem)| NotarySigner {
                name: (*name).to_owned(),
                public_key: fs::read(fixture(&format!("keys/{pem}"))).unwrap(),
                span: span(),
            })
            .collect(),
        span: span(),
    })
}

pub(crate) fn alice() -> Requirement {
    notary(&[("alice", "alice.pub")])
}

pub(crate) fn deny(reason: Option<&str>) -> Requirement {
    Requirement::Deny {
        reason: reason.map(str::to_owned),
    }
}

pub(crate) fn any(threshold: usize, of: Vec<Requirement>) -> Requirement {
    Requirement::Any { threshold, of }
}

pub(crate) fn reference(text: &str) -> ImageReference {
    ImageReference::parse(text).unwrap()
}

pub(crate) fn collection_of(folder: &str) -> NotaryEvidence {
    gather(&Files::of(folder), APP, &trust()).unwrap()
}

/// The collection as first published.
pub(crate) fn gathered() -> Evidence {
    Evidence {
        notary: vec![collection_of("app/1")],
        ..Evidence::default()
    }
}

pub(crate) fn origin(repository: &str, digest: Digest) -> Origin {
    Origin {
        repository: repository.to_owned(),
        digest,
        source: OriginSource::Pull,
        at: now(),
        reason: None,
    }
}

pub(crate) fn pulled(digest: Digest) -> Evidence {
    Evidence {
        origins: vec![origin(APP, digest)],
        ..Evidence::default()
    }
}

pub(crate) fn decide_at(
    policy: &CompiledPolicy,
    image: &str,
    digest: &Digest,
    evidence: &Evidence,
    now: Timestamp,
) -> Decision {
    let reference = reference(image);
    let question = Question {
        namespace: Some("shop"),
        reference: &reference,
        digest,
    };
    policy.decide(&question, evidence, now)
}

pub(crate) fn decide(
    policy: &CompiledPolicy,
    image: &str,
    digest: &Digest,
    evidence: &Evidence,
) -> Decision {
    decide_at(policy, image, digest, evidence, now())
}
