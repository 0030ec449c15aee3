//! The walk over a collection below its root: timestamp, snapshot, targets, delegations. The update session feeds it
//! files as they arrive, [`super::verify`] feeds it stored ones: there is one verifier.

use std::collections::{BTreeMap, VecDeque};

use portcullis_policy::Digest;

use super::error::NotaryError;
use super::keys::PublicKey;
use super::metadata::{Delegation, Envelope, FileMeta, MAX_ROLES, RoleKeys, Targets, max_bytes};
use super::root::{Root, threshold};
use crate::time::Timestamp;

/// Bytes of all delegated roles of a collection together.
const MAX_DELEGATED: u64 = 16 << 20;

/// What a verified targets role says.
#[derive(Debug, Clone)]
pub(super) struct TargetsRole {
    /// SHA-256 of the targets it may sign.
    pub(super) targets: BTreeMap<String, Option<Digest>>,
    /// Keys the role may be signed with.
    pub(super) listed: Vec<PublicKey>,
    /// Keys that did sign it, with their ids.
    pub(super) signed: Vec<(String, PublicKey)>,
}

/// The file that the walk needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// timestamp.json, under no other name: it is what says which snapshot is current.
    Timestamp,
    /// The file of this role, as listed.
    File(String, FileMeta),
    /// Nothing: the collection is verified.
    Complete,
}

/// The state of a walk.
#[derive(Debug)]
pub(super) struct Walk {
    root: Root,
    root_text: String,
    at: Timestamp,
    floors: BTreeMap<String, u64>,
    snapshot: Option<FileMeta>,
    listed: Option<BTreeMap<String, FileMeta>>,
    pending: VecDeque<Delegation>,
    /// Delegations queued so far.
    queued: usize,
    /// Bytes of the delegated roles so far, as listed.
    delegated: u64,
    /// Versions accepted, by role.
    pub(super) versions: BTreeMap<String, u64>,
    /// `targets` and every delegation that counts.
    pub(super) roles: BTreeMap<String, TargetsRole>,
    /// Delegations that do not count, and why.
    pub(super) unusable: BTreeMap<String, NotaryError>,
}

impl Walk {
    /// Starts below a root that is believed already.
    pub(super) fn new(
        root: Root,
        root_text: &str,
        at: Timestamp,
        floors: &BTreeMap<String, u64>,
    ) -> Result<Self, NotaryError> {
        let mut walk = Self {
            root,
            root_text: root_text.to_owned(),
            at,
            floors: floors.clone(),
            snapshot: None,
            listed: None,
            pending: VecDeque::new(),
            queued: 0,
            delegated: 0,
            versions: BTreeMap::new(),
            roles: BTreeMap::new(),
            unusable: BTreeMap::new(),
        };
        let version = walk.root.envelope.version;
        walk.floor("root", version)?;
        Ok(walk)
    }

    /// What is needed next.
    pub(super) fn next(&self) -> Result<Next, NotaryError> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(Next::Timestamp);
        };
        let Some(listed) = &self.listed else {
            return Ok(Next::File("snapshot".to_owned(), snapshot.clone()));
        };
        let role = if self.roles.contains_key("targets") {
            match self.pending.front() {
                None => return Ok(Next::Complete),
                Some(delegation) => delegation.name.as_str(),
            }
        } else {
            "targets"
        };
        let meta = listed.get(role).ok_or_else(|| NotaryError::NotListed {
            role: role.to_owned(),
            by: "snapshot",
        })?;
        Ok(Next::File(role.to_owned(), meta.clone()))
    }

    /// Takes the file that [`Walk::next`] asked for.
    pub(super) fn accept(&mut self, text: &str) -> Result<(), NotaryError> {
        match self.next()? {
            Next::Complete => Ok(()),
            Next::Timestamp => self.timestamp(text),
            Next::File(role, meta) => {
                meta.check(&role, text.as_bytes())?;
                match role.as_str() {
                    "snapshot" => self.snapshot(text),
                    "targets" => self.targets(text),
                    _ => self.delegation(text),
                }
            }
        }
    }

    fn timestamp(&mut self, text: &str) -> Result<(), NotaryError> {
        let envelope = Envelope::read("timestamp", "Timestamp", text)?;
        self.judge("timestamp", &envelope, self.root.role("timestamp")?)?;
        self.floor("timestamp", envelope.version)?;
        let snapshot = envelope
            .meta()?
            .remove("snapshot")
            .ok_or(NotaryError::NotListed {
                role: "snapshot".to_owned(),
                by: "timestamp",
            })?;
        self.snapshot = Some(snapshot);
        Ok(())
    }

    fn snapshot(&mut self, text: &str) -> Result<(), NotaryError> {
        let envelope = Envelope::read("snapshot", "Snapshot", text)?;
        self.judge("snapshot", &envelope, self.root.role("snapshot")?)?;
        self.floor("snapshot", envelope.version)?;
        let listed = envelope.meta()?;
        // The root of another publication does not go with this snapshot (mix and match).
        listed
            .get("root")
            .ok_or(NotaryError::NotListed {
                role: "root".to_owned(),
                by: "snapshot",
            })?
            .check("root", self.root_text.as_bytes())?;
        self.listed = Some(listed);
        Ok(())
    }

    fn targets(&mut self, text: &str) -> Result<(), NotaryError> {
        let envelope = Envelope::read("targets", "Targets", text)?;
        let role = self.root.role("targets")?.clone();
        self.judge("targets", &envelope, &role)?;
        self.floor("targets", envelope.version)?;
        let everything = [String::new()];
        let targets = envelope.targets()?;
        self.take("targets", &role, &everything, &envelope, targets)
    }

    /// A delegate must not be able to spoil the collection for everyone else: what is wrong with its role makes the
    /// role not count, and whoever needs the role is told why. (A file that is not the one listed is no delegate's doing.)
    fn delegation(&mut self, text: &str) -> Result<(), NotaryError> {
        let Some(delegation) = self.pop() else {
            return Ok(());
        };
        let name = delegation.name.as_str();
        let read = Envelope::read(name, "Targets", text).and_then(|envelope| {
            self.judge(name, &envelope, &delegation.keys)?;
            self.floor(name, envelope.version)?;
            Ok((envelope.targets()?, envelope))
        });
        match read {
            Ok((targets, envelope)) => self.take(
                name,
                &delegation.keys,
                &delegation.paths,
                &envelope,
                targets,
            ),
            Err(problem) => {
                self.unusable.insert(delegation.name, problem);
                self.skip_unreadable();
                Ok(())
            }
        }
    }

    /// Goes on without the delegation that [`Walk::next`] asked for. False: it asked for something else.
    pub(super) fn give_up(&mut self, problem: NotaryError) -> bool {
        if !self.roles.contains_key("targets") {
            return false;
        }
        let Some(delegation) = self.pop() else {
            return false;
        };
        self.unusable.insert(delegation.name, problem);
        self.skip_unreadable();
        true
    }

    fn pop(&mut self) -> Option<Delegation> {
        let delegation = self.pending.pop_front()?;
        let length = self.listing(&delegation.name).map_or(0, |meta| meta.length);
        self.delegated = self.delegated.saturating_add(length);
        Some(delegation)
    }

    fn listing(&self, role: &str) -> Option<&FileMeta> {
        self.listed.as_ref()?.get(role)
    }

    /// Signatures and expiry.
    fn judge(&self, name: &str, envelope: &Envelope, keys: &RoleKeys) -> Result<(), NotaryError> {
        threshold(name, envelope, keys)?;
        if self.at >= envelope.expires {
            return Err(NotaryError::Expired {
                role: name.to_owned(),
                version: envelope.version,
                expired: envelope.expires,
            });
        }
        Ok(())
    }

    /// Rollback: an equal version is the same publication seen again.
    fn floor(&mut self, role: &str, version: u64) -> Result<(), NotaryError> {
        match self.floors.get(role) {
            Some(floor) if version < *floor => Err(NotaryError::Rollback {
                role: role.to_owned(),
                version,
                floor: *floor,
            }),
            _ => {
                self.versions.insert(role.to_owned(), version);
                Ok(())
            }
        }
    }

    /// Takes a judged role in and queues what it delegates to.
    fn take(
        &mut self,
        name: &str,
        keys: &RoleKeys,
        paths: &[String],
        envelope: &Envelope,
        targets: Targets,
    ) -> Result<(), NotaryError> {
        let signed = threshold(name, envelope, keys)?
            .into_iter()
            .filter_map(|key| Some((key.id.clone(), key.key.clone().ok()?)))
            .collect();
        let role = TargetsRole {
            targets: targets
                .targets
                .into_iter()
                .filter(|(target, _)| paths.iter().any(|path| target.starts_with(path)))
                .collect(),
            listed: keys
                .keys
                .iter()
                .filter_map(|key| key.key.clone().ok())
                .collect(),
            signed,
        };
        self.roles.insert(name.to_owned(), role);
        for mut delegation in targets.delegations {
            // A role speaks only for its own children, and hands on only what it holds.
            let child = delegation
                .name
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| !rest.contains('/'));
            if !child {
                continue;
            }
            delegation
                .paths
                .retain(|path| paths.iter().any(|held| path.starts_with(held)));
            // The owner's own delegations come first and fit (`MAX_ROLES` per file); what delegates add to them may not.
            if self.queued >= MAX_ROLES {
                let problem = NotaryError::TooMany {
                    what: "delegated roles",
                    limit: MAX_ROLES,
                };
                self.unusable.insert(delegation.name, problem);
                continue;
            }
            self.queued = self.queued.saturating_add(1);
            self.pending.push_back(delegation);
        }
        self.skip_unreadable();
        Ok(())
    }

    /// Skips delegations whose files are not asked for: not published, or too large. How large a delegate makes its file
    /// is its own doing and spoils nothing else.
    fn skip_unreadable(&mut self) {
        while let Some(delegation) = self.pending.front() {
            let name = &delegation.name;
            let problem = match self.listing(name) {
                Some(meta) => match self.too_large(name, meta.length) {
                    Some(problem) => problem,
                    None => return,
                },
                // Nobody has published it. One that was seen before must be there.
                None => NotaryError::NotListed {
                    role: name.clone(),
                    by: "snapshot",
                },
            };
            let Some(Delegation { name, .. }) = self.pending.pop_front() else {
                return;
            };
            let unpublished = matches!(problem, NotaryError::NotListed { .. });
            if !unpublished || name != "targets/releases" || self.floors.contains_key(&name) {
                self.unusable.insert(name, problem);
            }
        }
    }

    fn too_large(&self, role: &str, length: u64) -> Option<NotaryError> {
        let limit = max_bytes(role);
        if u64::try_from(limit).map_or(true, |limit| length > limit) {
            return Some(NotaryError::TooLarge {
                role: role.to_owned(),
                limit,
            });
        }
        (self.delegated.saturating_add(length) > MAX_DELEGATED).then(|| NotaryError::TooLarge {
            role: "what is delegated".to_owned(),
            limit: usize::try_from(MAX_DELEGATED).unwrap_or(usize::MAX),
        })
    }
}
