//! Media types: what an artefact is, as far as its types say.

use portcullis_trust::evidence::ArtefactKind;

use super::json::Manifest;

/// An OCI index: what a list of referrers is.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `Accept` for manifests of artefacts.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// `Accept` for blobs.
pub(super) const ANY: &str = "*/*";

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const NOTATION: &str = "application/vnd.cncf.notary.signature";
const JWS: &str = "application/jose+json";
const COSE: &str = "application/cose";
/// A layer of a legacy cosign signature.
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// A layer of a legacy cosign attestation.
pub(super) const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// Types that say nothing: the empty config, which go-containerregistry before 0.21.6 writes into the index under the
/// referrers tag as the type of every artefact, and the configs that tools put into an artefact for want of a better one.
const SAY_NOTHING: [&str; 4] = [
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.unknown.config.v1+json",
];

/// The kinds of artefacts that are found as referrers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bundle,
    Notation,
}

/// What a descriptor's `artifactType` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Is(Kind),
    Nothing,
    Other,
}

/// Whether a media type is that of a manifest.
pub(super) fn is_manifest(media_type: &str) -> bool {
    MANIFESTS.split(", ").any(|known| known == media_type)
}

fn is_bundle(media_type: &str) -> bool {
    // `….bundle.v0.3+json` and, older, `….bundle+json;version=0.1`.
    media_type
        .strip_prefix(BUNDLE)
        .is_some_and(|rest| rest.starts_with(['.', '+']))
}

/// What an `artifactType` says.
pub(super) fn said(artifact_type: Option<&str>) -> Said {
    match artifact_type.unwrap_or_default() {
        "" => Said::Nothing,
        text if SAY_NOTHING.contains(&text) => Said::Nothing,
        NOTATION => Said::Is(Kind::Notation),
        text if is_bundle(text) => Said::Is(Kind::Bundle),
        _ => Said::Other,
    }
}

/// What the one layer of a manifest is, if the manifest is of `kind`.
pub(super) fn artefact(manifest: &Manifest, kind: Kind) -> Option<ArtefactKind> {
    let ([layer], false) = (&*manifest.layers.of, manifest.layers.more) else {
        return None;
    };
    match kind {
        Kind::Bundle => {
            let said = said(manifest.artifact_type.as_deref());
            (is_bundle(&layer.media_type) && matches!(said, Said::Nothing | Said::Is(Kind::Bundle)))
                .then_some(ArtefactKind::SigstoreBundle)
        }
        Kind::Notation if manifest.config_type() == NOTATION => match &*layer.media_type {
            JWS => Some(ArtefactKind::NotationJws),
            COSE => Some(ArtefactKind::NotationCose),
            _ => None,
        },
        Kind::Notation => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_a_bundle_is_one_and_names_that_only_begin_so_are_not() {
        for yes in [
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            "application/vnd.dev.sigstore.bundle.v1+json",
            "application/vnd.dev.sigstore.bundle+json;version=0.1",
        ] {
            assert_eq!(said(Some(yes)), Said::Is(Kind::Bundle), "{yes}");
        }
        for no in [
            "application/vnd.dev.sigstore.bundles",
            "application/vnd.dev.sigstore.bundle",
            "application/spdx+json",
        ] {
            assert_eq!(said(Some(no)), Said::Other, "{no}");
        }
    }

    #[test]
    fn the_empty_type_of_older_tools_rules_nothing_out() {
        for nothing in [None, Some(""), Some("application/vnd.oci.empty.v1+json")] {
            assert_eq!(said(nothing), Said::Nothing, "{nothing:?}");
        }
    }
}
