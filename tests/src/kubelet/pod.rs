//! Pods as kubelet knows them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_cri::v1::{AuthConfig, Mount};

static COUNT: AtomicU64 = AtomicU64::new(1);

/// `imagePullPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Pull at every start.
    Always,
    /// Pull what is absent.
    IfNotPresent,
    /// Never pull.
    Never,
}

impl PullPolicy {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Always, Self::IfNotPresent, Self::Never];
}

/// Where the pod came from, which kubelet writes into the annotation `kubernetes.io/config.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The API server.
    Api,
    /// A file in the manifest directory: a static pod, which no admission webhook ever sees.
    File,
}

/// A pod of one container.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: an RFC 4122 UUID for API pods, 32 hex digits for static ones.
    pub uid: String,
    /// Where it came from.
    pub source: Source,
    /// `image`, exactly as in the pod.
    pub image: String,
    /// `imagePullPolicy`.
    pub pull: PullPolicy,
    /// What the image pull secrets hold; each is tried in turn.
    pub credentials: Vec<AuthConfig>,
    /// `command`, or empty for the image's own.
    pub command: Vec<String>,
    /// Labels of the pod.
    pub labels: HashMap<String, String>,
    /// Annotations of the pod.
    pub annotations: HashMap<String, String>,
    /// Image volumes, resolved by the caller.
    pub image_volumes: Vec<Mount>,
}

impl Pod {
    /// A pod from the API server, pulled if not present.
    pub fn new(namespace: &str, image: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            namespace: namespace.to_owned(),
            name: format!("pod-{count}"),
            uid: format!("00000000-0000-4000-8000-{count:012x}"),
            source: Source::Api,
            image: image.to_owned(),
            pull: PullPolicy::IfNotPresent,
            credentials: Vec::new(),
            command: Vec::new(),
            labels: HashMap::new(),
            annotations: HashMap::new(),
            image_volumes: Vec::new(),
        }
    }

    /// As a static pod.
    #[must_use]
    pub fn in_file(mut self) -> Self {
        self.source = Source::File;
        self.name = format!("{}-node", self.name);
        self.uid = format!("{:0>32}", self.uid.rsplit('-').next().unwrap_or_default());
        self
    }

    /// With another pull policy.
    #[must_use]
    pub fn pulled(mut self, pull: PullPolicy) -> Self {
        self.pull = pull;
        self
    }

    /// With another command.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(ToString::to_string).collect();
        self
    }

    /// With one more credential.
    #[must_use]
    pub fn credential(mut self, user: &str, password: &str) -> Self {
        self.credentials.push(AuthConfig {
            username: user.to_owned(),
            password: password.to_owned(),
            ..AuthConfig::default()
        });
        self
    }

    /// The pod's own annotations and those that kubelet adds.
    pub fn all_annotations(&self) -> HashMap<String, String> {
        let mut all = self.annotations.clone();
        let source = match self.source {
            Source::Api => "api",
            Source::File => "file",
        };
        all.insert("kubernetes.io/config.source".into(), source.into());
        all.insert(
            "kubernetes.io/config.seen".into(),
            "2026-11-20T12:00:00.000000000Z".into(),
        );
        if self.source == Source::File {
            all.insert("kubernetes.io/config.hash".into(), self.uid.clone());
        }
        all
    }

    /// The image as kubelet pulls it: with `:latest` where the pod gives neither tag nor digest.
    pub fn image_with_tag(&self) -> String {
        let last = self.image.rsplit('/').next().unwrap_or_default();
        if last.contains(':') || last.contains('@') {
            self.image.clone()
        } else {
            format!("{}:latest", self.image)
        }
    }
}
