//! What an envelope signs: the descriptor of an artefact (signature-specification.md, "Payload").

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::envelope::Object;
use super::error::NotationError;

/// The part of the payload that is looked at.
#[derive(Debug)]
pub(super) struct Payload {
    digest: String,
    /// User metadata.
    annotations: BTreeMap<String, String>,
}

impl Payload {
    /// What stands beside the target is not looked at: the specification keeps conditions out of the payload ("Signed
    /// Attributes").
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NotationError> {
        let Object(mut payload) = serde_json::from_slice::<Object<Box<RawValue>>>(bytes)
            .map_err(|_| NotationError::Payload("it is not a JSON object"))?;
        let target = payload
            .remove("targetArtifact")
            .ok_or(NotationError::Payload("it has no target artefact"))?;
        let Object(mut target) = read::<Object<Box<RawValue>>>(&target)?;
        let mut take = |name| {
            target
                .remove(name)
                .ok_or(NotationError::Payload("its descriptor is not complete"))
        };
        let digest = read(&take("digest")?)?;
        read::<u64>(&take("size")?)?;
        if read::<String>(&take("mediaType")?)?.is_empty() {
            return Err(NotationError::Payload("its descriptor is not complete"));
        }
        let annotations = match take("annotations") {
            Ok(raw) => read::<Object<String>>(&raw)?.0,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self {
            digest,
            annotations,
        })
    }

    pub(super) fn is_over(&self, digest: &Digest) -> bool {
        self.digest == digest.to_string()
    }

    /// The first of `wanted` that is not there with that value.
    pub(super) fn lacks<'a>(
        &self,
        wanted: &'a BTreeMap<String, String>,
    ) -> Option<(&'a String, &'a String)> {
        wanted
            .iter()
            .find(|(name, value)| self.annotations.get(*name) != Some(value))
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, NotationError> {
    serde_json::from_str(raw.get())
        .map_err(|_| NotationError::Payload("its descriptor is not one of OCI"))
}
