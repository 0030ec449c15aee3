//! How much is looked at. Whoever may push to a repository may put anything beside an image in it.

/// Requests of one gathering under way at once.
pub(super) const CONCURRENT: usize = 4;
/// Pages of a list of referrers.
pub(super) const MAX_PAGES: usize = 10;
/// Descriptors of one page that are looked at.
pub(super) const MAX_DESCRIPTORS: usize = 4096;
/// Manifests opened because they are said to be of one kind, and as many again of those that say nothing.
pub(super) const MAX_OPENED: usize = 64;
/// Layers of one manifest, and signatures of one store.
pub(super) const MAX_SIGNATURES: usize = 64;
/// Annotations of one layer.
pub(super) const MAX_ANNOTATIONS: usize = 32;
/// Name and value of one annotation, in bytes. A certificate chain or a log entry is some ten thousand.
pub(super) const MAX_ANNOTATION: usize = 256 * 1024;
/// A signature, in bytes (containers/image: `MaxSignatureBodySize`).
pub(super) const MAX_SIGNATURE: usize = 4 * 1024 * 1024;
/// An attestation, in bytes: it may hold an SBOM.
pub(super) const MAX_ATTESTATION: usize = 8 * 1024 * 1024;
/// What one gathering takes into memory, in bytes, divided between its sources.
const MAX_TOTAL: usize = 32 * 1024 * 1024;
/// Index, manifest or config of an image, in bytes.
pub(super) const MAX_CONFIG: usize = 4 * 1024 * 1024;
/// A CRL, in bytes.
pub(super) const MAX_CRL: usize = 32 * 1024 * 1024;
/// An OCSP answer, in bytes.
pub(super) const MAX_OCSP: usize = 64 * 1024;

/// What each of `sources` sources may take into memory: none can starve another.
pub(super) fn share(sources: usize) -> usize {
    (MAX_TOTAL / sources.max(1)).max(MAX_ATTESTATION)
}
