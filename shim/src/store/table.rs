//! The tables of the file (docs/rules.md) and how many records each may hold.

/// One table. The order is that in which a transaction writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    /// SHA-256 of the value ─▶ the value: evidence as it was gathered.
    Artefacts,
    /// (server, GUN) ─▶ digest of the artefact in force.
    ArtefactIndex,
    /// (server, GUN) ─▶ rollback floors and the first root believed.
    TufFloors,
    /// (namespace, reference) ─▶ digest accepted.
    Resolutions,
    /// Root digest, manifest, image ID, chain ID.
    Links,
    /// (digest, repository, source).
    Origins,
    /// (digest, repository, source) ─▶ signatures and attestations found beside an image.
    Signatures,
    /// Question ─▶ CRL or OCSP answer.
    Revocations,
    /// (digest, manifest) ─▶ what an image says about itself.
    Descriptions,
    /// Sandboxes as they were created.
    Sandboxes,
    /// The latest time recorded.
    LastTime,
    /// The files of the last policy set that was in force.
    PolicyLastGood,
}

impl Table {
    /// Every table.
    pub(super) const ALL: [Self; 12] = [
        Self::Artefacts,
        Self::ArtefactIndex,
        Self::TufFloors,
        Self::Resolutions,
        Self::Links,
        Self::Origins,
        Self::Signatures,
        Self::Revocations,
        Self::Descriptions,
        Self::Sandboxes,
        Self::LastTime,
        Self::PolicyLastGood,
    ];

    /// Its name in the file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Artefacts => "artefacts",
            Self::ArtefactIndex => "artefact_index",
            Self::TufFloors => "tuf_floors",
            Self::Resolutions => "resolutions",
            Self::Links => "links",
            Self::Origins => "origins",
            Self::Signatures => "signatures",
            Self::Revocations => "revocations",
            Self::Descriptions => "descriptions",
            Self::Sandboxes => "sandboxes",
            Self::LastTime => "last_time",
            Self::PolicyLastGood => "policy_last_good",
        }
    }

    /// Its definition for redb.
    pub(super) const fn definition(
        self,
    ) -> redb::TableDefinition<'static, &'static str, &'static [u8]> {
        redb::TableDefinition::new(self.name())
    }

    /// The table called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// Most records per table. A kubelet runs at most a few hundred pods; the rest is room for images that are gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Artefacts, and with them collections.
    pub(super) artefacts: usize,
    /// Bytes of one artefact.
    pub(super) artefact_bytes: usize,
    /// Bytes of all artefacts.
    pub(super) artefacts_bytes: usize,
    /// Floors: never evicted, so there may be more of them than collections.
    pub(super) floors: usize,
    /// Resolutions.
    pub(super) resolutions: usize,
    /// Links.
    pub(super) links: usize,
    /// Origins.
    pub(super) origins: usize,
    /// Signature sets: a few sources for each image.
    pub(super) signatures: usize,
    /// Bytes of one signature set, CRL or description: a CRL has tens of megabytes where many certificates were taken back.
    pub(super) found_bytes: usize,
    /// Bytes of all of them, by table.
    pub(super) all_found_bytes: usize,
    /// CRLs and OCSP answers.
    pub(super) revocations: usize,
    /// Descriptions of images.
    pub(super) descriptions: usize,
    /// Sandboxes.
    pub(super) sandboxes: usize,
    /// Bytes of the last good policy set.
    pub(super) policy_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            artefacts: 2_000,
            artefact_bytes: 4 * 1024 * 1024,
            artefacts_bytes: 256 * 1024 * 1024,
            floors: 20_000,
            resolutions: 10_000,
            links: 10_000,
            origins: 10_000,
            signatures: 8_000,
            found_bytes: 48 * 1024 * 1024,
            all_found_bytes: 128 * 1024 * 1024,
            revocations: 1_000,
            descriptions: 2_000,
            sandboxes: 4_096,
            policy_bytes: 32 * 1024 * 1024,
        }
    }
}
