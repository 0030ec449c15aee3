//! The bootstrap list: images that are in force beside every policy, so that no policy can lock out what
//! distributes policy (DESIGN §3 rule 10). Digest and namespace only.

use crate::digest::Digest;
use crate::load::SourceFile;
use crate::span::{Diagnostic, Span};

/// One entry of bootstrap.yaml.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BootstrapImage {
    /// Normalised repository.
    pub repository: String,
    /// The one digest allowed.
    pub digest: Digest,
    /// Namespaces it is allowed in; `*` stands for every one and for calls without a pod.
    pub namespaces: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bootstrap {
    /// Its entries.
    pub images: Vec<BootstrapImage>,
}

impl Bootstrap {
    /// Parses bootstrap.yaml.
    ///
    /// # Errors
    /// Diagnostics with places, as the policy loader gives them.
    pub fn parse(_file: &SourceFile) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }

    /// The entry that allows `digest` in `namespace`, whatever repository the request names it by: the digest alone
    /// identifies the content.
    pub fn allows(&self, _namespace: Option<&str>, _digest: &Digest) -> Option<&BootstrapImage> {
        todo!()
    }
}
