//! What a registry holds beside an image, and a client that looks for it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use portcullis::registry::{Auth, RemoteError};
use portcullis::signatures::{Gathered as Answer, SignatureClient, SignatureQuestion};
use portcullis_policy::Digest;
use portcullis_policy::model::Password;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{SignatureSet, SignatureSource};
use tokio::time::Instant;

use crate::registry_common::{Client, Reply, Seen, Sent, reference, soon};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub const NOTATION: &str = "application/vnd.cncf.notary.signature";
pub const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The image that is asked about.
pub fn image() -> Digest {
    Digest::of(b"the image")
}

/// The referrers tag of [`image`].
pub fn tag() -> String {
    format!("sha256-{}", image().hex())
}

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// A repository `app`: answers by path.
#[derive(Debug, Clone, Default)]
pub struct Shelf(BTreeMap<String, (String, Bytes)>);

impl Shelf {
    pub fn put(&mut self, path: impl Into<String>, content_type: &str, bytes: impl Into<Bytes>) {
        self.0
            .insert(path.into(), (content_type.to_owned(), bytes.into()));
    }

    /// A blob. Its descriptor, without closing brace.
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes);
        let octets = "application/octet-stream";
        self.put(format!("/v2/app/blobs/{digest}"), octets, bytes.to_vec());
        descriptor(media_type, &digest, bytes.len())
    }

    /// A manifest. Its descriptor, without closing brace.
    pub fn manifest(&mut self, text: &str) -> String {
        let digest = Digest::of(text.as_bytes());
        self.put(
            format!("/v2/app/manifests/{digest}"),
            MANIFEST,
            text.to_owned(),
        );
        descriptor(MANIFEST, &digest, text.len())
    }

    /// A bundle with `text` as its content. The descriptor of its manifest, without closing brace.
    pub fn bundle(&mut self, text: &str) -> String {
        let layer = self.blob(BUNDLE, text.as_bytes());
        self.manifest(&artefact(
            &format!("\"artifactType\":\"{BUNDLE}\","),
            EMPTY,
            &layer,
        ))
    }

    /// A notation envelope. The descriptor of its manifest, without closing brace.
    pub fn notation(&mut self, media_type: &str, text: &str) -> String {
        let layer = self.blob(media_type, text.as_bytes());
        self.manifest(&artefact("", NOTATION, &layer))
    }

    /// The index under the referrers tag.
    pub fn tag(&mut self, descriptors: &[String]) {
        self.put(
            format!("/v2/app/manifests/{}", tag()),
            INDEX,
            index(descriptors),
        );
    }

    /// The answer of the referrers API.
    pub fn api(&mut self, descriptors: &[String]) {
        self.put(
            format!("/v2/app/referrers/{}", image()),
            INDEX,
            index(descriptors),
        );
    }

    /// Layers under the tag with this suffix.
    pub fn legacy(&mut self, suffix: &str, layers: &[String]) {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json"}},"layers":[{}]}}"#,
            layers.join(",")
        );
        self.put(
            format!("/v2/app/manifests/{}.{suffix}", tag()),
            MANIFEST,
            text,
        );
    }

    pub fn answer(&self, seen: &Seen) -> Reply {
        let path = seen.target.split('?').next().unwrap();
        match self.0.get(path) {
            None => Reply::text(404, "secret-from-the-server"),
            Some((content_type, bytes)) => Reply {
                status: 200,
                body: Sent::Whole(bytes.clone()),
                ..Reply::default()
            }
            .with("content-type", content_type),
        }
    }
}

pub fn descriptor(media_type: &str, digest: &Digest, size: usize) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}"#)
}

/// A descriptor without a statement about its kind, as go-containerregistry before 0.21.6 writes it.
pub fn silent(descriptor: &str) -> String {
    said(descriptor, EMPTY)
}

pub fn said(descriptor: &str, artifact_type: &str) -> String {
    format!("{descriptor},\"artifactType\":\"{artifact_type}\"}}")
}

/// A manifest with one layer, given by its descriptor without closing brace, whose subject is [`image`].
pub fn artefact(more: &str, config: &str, layer: &str) -> String {
    artefact_of(more, config, layer, &image())
}

pub fn artefact_of(more: &str, config: &str, layer: &str, subject: &Digest) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",{more}"config":{{"mediaType":"{config}","digest":"{}","size":2}},"layers":[{layer}}}],"subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":1}}}}"#,
        Digest::of(b"{}")
    )
}

pub fn index(descriptors: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        descriptors.join(",")
    )
}

/// What was found of a source, or why nothing was.
pub type Gathered = Result<SignatureSet, RemoteError>;

/// A client for `r.test/app`.
pub struct Looker {
    pub client: SignatureClient,
    pub registry: Arc<Client>,
    pub image: String,
    pub auth: Auth,
    pub passwords: Vec<(String, Password)>,
    pub deadline: fn() -> Instant,
}

impl Looker {
    pub fn new(registry: Client) -> Self {
        Self {
            client: SignatureClient::new(&registry),
            registry: Arc::new(registry),
            image: "r.test/app".to_owned(),
            auth: Auth::Anonymous,
            passwords: Vec::new(),
            deadline: soon,
        }
    }

    pub async fn all(&self, sources: &[SignatureSource]) -> Vec<Gathered> {
        let answers = self.answers(sources).await.into_iter();
        answers
            .map(|one| one.set.ok_or_else(|| one.failure.unwrap()))
            .collect()
    }

    pub async fn answers(&self, sources: &[SignatureSource]) -> Vec<Answer> {
        let reference = reference(&self.image);
        let question = SignatureQuestion {
            reference: &reference,
            subject: &image(),
            sources,
            passwords: &self.passwords,
            auth: &self.auth,
            now: now(),
            deadline: (self.deadline)(),
        };
        let gathered = sendable(self.client.gather(&question)).await;
        assert_eq!(gathered.len(), sources.len());
        for (one, wanted) in gathered.iter().zip(sources) {
            assert_eq!(one.source, *wanted);
            if let Some(set) = &one.set {
                assert_eq!(set.source, *wanted);
                assert_eq!(set.repository, reference.repository());
                assert_eq!(set.subject, image());
                assert_eq!(set.gathered_at, now());
            }
            if let Some(error) = &one.failure {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
        gathered
    }

    pub async fn one(&self, source: SignatureSource) -> Gathered {
        self.all(&[source]).await.remove(0)
    }

    pub async fn bundles(&self) -> Gathered {
        self.one(SignatureSource::Bundles).await
    }
}

/// Gathering is done in tasks.
fn sendable<T: Future + Send>(future: T) -> T {
    future
}

/// The artefacts as texts.
pub fn texts(gathered: &Gathered) -> Vec<String> {
    let set = gathered.as_ref().unwrap();
    set.artefacts
        .iter()
        .map(|artefact| String::from_utf8(artefact.bytes.clone()).unwrap())
        .collect()
}
