//! The update of one collection as a state machine without I/O: it says which file to fetch, takes it, and ends in a
//! verified collection with the memory to keep, or in the reason for refusal.

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use portcullis_policy::model::NotaryServer;

use super::error::NotaryError;
use super::metadata::max_bytes;
use super::root::{Anchor, Root, believe, chain, pin};
use super::verify::{Next, Walk};
use super::{NotaryCollection, NotaryMemory};
use crate::time::Timestamp;

/// Root versions fetched in one update.
const MAX_ROOTS: u64 = 64;
/// Bytes of all files of a collection together, without those of delegated roles, which the walk counts.
const MAX_TOTAL: usize = 16 << 20;
/// Version floors kept of roles that nobody delegates to any more.
const MAX_FLOORS: usize = 1024;

/// One file the session wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// File name below `{server}/v2/{gun}/_trust/tuf/`, such as `snapshot.<sha256>.json` or `targets/alice.<sha256>.json`.
    pub file: String,
    /// Largest body to read, in bytes.
    pub max_bytes: usize,
}

/// What the session says next.
#[derive(Debug)]
pub enum Step {
    /// Fetch this and call [`Session::supply`].
    Fetch(Want),
    /// Finished.
    Done(Result<Box<(NotaryCollection, NotaryMemory)>, NotaryError>),
}

/// An update of one collection. Asks for root.json, then for the versions between the root it trusts and that one, then
/// for the timestamp and what that leads to; files that the previous copy holds already are not asked for again.
#[derive(Debug)]
pub struct Session {
    gun: String,
    trust: NotaryServer,
    memory: NotaryMemory,
    /// The time that expiries are judged at: never before the previous copy was gathered, so that a clock set back
    /// makes no old file fresh again.
    at: Timestamp,
    /// Bodies of the previous copy, by digest.
    kept: BTreeMap<Digest, String>,
    /// Roots trusted or to be linked, oldest first.
    roots: Vec<String>,
    /// Newest root version among those, 0 if there is none.
    trusted: u64,
    stage: Stage,
    total: usize,
}

#[derive(Debug)]
enum Stage {
    /// root.json.
    NewestRoot,
    /// `{next}.root.json` for the versions below that of `newest`.
    Roots {
        next: u64,
        newest: String,
        until: u64,
    },
    /// Below the root: the walk, the files it has taken, by role, and the one it wants.
    Below {
        walk: Box<Walk>,
        taken: BTreeMap<String, String>,
        want: Next,
    },
    Done(Result<Box<(NotaryCollection, NotaryMemory)>, NotaryError>),
}

impl Session {
    /// Starts an update of `gun` at time `now`. `previous` is the stored copy, if any; one that does not fit the
    /// trust configured now is not built upon, while the floors of `memory` still hold.
    pub fn new(
        gun: &str,
        trust: &NotaryServer,
        memory: &NotaryMemory,
        previous: Option<&NotaryCollection>,
        now: Timestamp,
    ) -> Self {
        let mut session = Self {
            gun: gun.to_owned(),
            trust: trust.clone(),
            memory: memory.clone(),
            at: now,
            kept: BTreeMap::new(),
            roots: Vec::new(),
            trusted: 0,
            stage: Stage::NewestRoot,
            total: 0,
        };
        let Some(previous) = previous.filter(|old| old.server == trust.server && old.gun == gun)
        else {
            return session;
        };
        // Judged at the time it was gathered: that its root expired since is what an update mends.
        if let Ok((start, newest)) = chain(session.anchor(), &previous.roots, previous.gathered_at)
        {
            session.trusted = newest.envelope.version;
            session.roots = previous.roots.iter().skip(start).cloned().collect();
            session.total = session.roots.iter().map(String::len).sum();
            session.at = now.max(previous.gathered_at);
            session.kept = [&previous.snapshot, &previous.targets]
                .into_iter()
                .chain(previous.delegations.values())
                .map(|text| (Digest::of(text.as_bytes()), text.clone()))
                .collect();
        }
        session
    }

    fn anchor(&self) -> Anchor<'_> {
        Anchor {
            gun: &self.gun,
            trust: &self.trust,
            first_root: self.memory.first_root.as_ref(),
        }
    }

    /// What to do next. Calling it twice without `supply` gives the same answer.
    pub fn step(&mut self) -> Step {
        let (file, role, listed) = match &self.stage {
            Stage::Done(result) => return Step::Done(result.clone()),
            Stage::NewestRoot => ("root.json".to_owned(), "root", None),
            Stage::Roots { next, .. } => (format!("{next}.root.json"), "root", None),
            Stage::Below { want, .. } => match want {
                Next::File(role, meta) => (
                    format!("{role}.{}.json", meta.sha256.hex()),
                    role.as_str(),
                    usize::try_from(meta.length).ok(),
                ),
                Next::Timestamp | Next::Complete => {
                    ("timestamp.json".to_owned(), "timestamp", None)
                }
            },
        };
        let limit = max_bytes(role);
        Step::Fetch(Want {
            file,
            max_bytes: listed.map_or(limit, |length| length.min(limit)),
        })
    }

    /// The bytes of the file wanted, or `None` for 404. Other failures end the session by dropping it.
    pub fn supply(&mut self, body: Option<Vec<u8>>) {
        let stage = std::mem::replace(&mut self.stage, Stage::NewestRoot);
        self.stage = match stage {
            Stage::Done(result) => Stage::Done(result),
            stage => self
                .advance(stage, body)
                .unwrap_or_else(|error| Stage::Done(Err(error))),
        };
    }

    fn advance(&mut self, stage: Stage, body: Option<Vec<u8>>) -> Result<Stage, NotaryError> {
        match stage {
            Stage::Done(_) => Ok(stage),
            Stage::NewestRoot => {
                let body = body.ok_or_else(|| NotaryError::NoTrustData {
                    gun: self.gun.clone(),
                })?;
                let newest = self.text("root", body)?;
                self.newest_root(newest)
            }
            Stage::Roots {
                next,
                newest,
                until,
            } => {
                // A server may not have kept it; then the next one must be linked to the one before.
                if let Some(body) = body {
                    let text = self.text("root", body)?;
                    self.roots.push(text);
                }
                self.between(next.saturating_add(1), newest, until)
            }
            Stage::Below {
                mut walk,
                mut taken,
                want,
            } => {
                let (role, meta) = match want {
                    Next::File(role, meta) => (role, Some(meta)),
                    Next::Timestamp | Next::Complete => ("timestamp".to_owned(), None),
                };
                let body = body.ok_or_else(|| NotaryError::Missing { role: role.clone() })?;
                // Go reads what is not UTF-8, so that a delegate can publish it.
                let no_text = std::str::from_utf8(&body).is_err()
                    && meta.is_some_and(|meta| meta.check(&role, &body).is_ok());
                match self.text(&role, body) {
                    Ok(text) => {
                        walk.accept(&text)?;
                        taken.insert(role, text);
                    }
                    Err(problem) => {
                        if !no_text || !walk.give_up(problem.clone()) {
                            return Err(problem);
                        }
                    }
                }
                self.below(walk, taken)
            }
        }
    }

    fn text(&mut self, role: &str, body: Vec<u8>) -> Result<String, NotaryError> {
        if body.len() > max_bytes(role) {
            return Err(NotaryError::TooLarge {
                role: role.to_owned(),
                limit: max_bytes(role),
            });
        }
        if !role.starts_with("targets/") {
            self.total = self.total.saturating_add(body.len());
        }
        if self.total > MAX_TOTAL {
            return Err(NotaryError::TooLarge {
                role: "the collection".to_owned(),
                limit: MAX_TOTAL,
            });
        }
        String::from_utf8(body).map_err(|_| NotaryError::Malformed {
            role: role.to_owned(),
            problem: "not UTF-8",
        })
    }

    fn newest_root(&mut self, newest: String) -> Result<Stage, NotaryError> {
        let root = Root::read(&newest)?;
        let version = root.envelope.version;
        if self.trusted == 0 {
            match believe(self.anchor(), &newest, &root) {
                Ok(()) => self.trusted = version,
                // The pin or the first root may be an older one that leads here.
                Err(NotaryError::PinMismatch { .. } | NotaryError::FirstRootChanged { .. }) => {}
                Err(error) => return Err(error),
            }
            if self.trusted == 0 {
                return self.between(1, newest, version);
            }
            self.roots = vec![newest];
            return self.linked();
        }
        if version == self.trusted {
            if self.roots.last() != Some(&newest) {
                return Err(NotaryError::RootReplaced { version });
            }
            return self.linked();
        }
        self.between(self.trusted.saturating_add(1), newest, version)
    }

    /// Asks for the roots from `next` up to, not including, `until`; then the newest is linked to them.
    fn between(&mut self, next: u64, newest: String, until: u64) -> Result<Stage, NotaryError> {
        if until.saturating_sub(next) > MAX_ROOTS {
            return Err(NotaryError::TooMany {
                what: "root versions at once",
                limit: usize::try_from(MAX_ROOTS).unwrap_or(usize::MAX),
            });
        }
        if next < until {
            return Ok(Stage::Roots {
                next,
                newest,
                until,
            });
        }
        self.roots.push(newest);
        self.linked()
    }

    /// All roots are here: judges their chain and starts the walk below the newest.
    fn linked(&mut self) -> Result<Stage, NotaryError> {
        let (start, root) = chain(self.anchor(), &self.roots, self.at)?;
        self.roots.drain(..start);
        let root_text = self.roots.last().map(String::as_str).unwrap_or_default();
        let walk = Walk::new(root, root_text, self.at, &self.memory.floors)?;
        self.below(Box::new(walk), BTreeMap::new())
    }

    /// Asks for the next file that the previous copy does not hold.
    fn below(
        &mut self,
        mut walk: Box<Walk>,
        mut taken: BTreeMap<String, String>,
    ) -> Result<Stage, NotaryError> {
        loop {
            let want = walk.next()?;
            match &want {
                Next::Complete => break,
                Next::Timestamp => return Ok(Stage::Below { walk, taken, want }),
                Next::File(role, meta) => {
                    if meta.length > u64::try_from(max_bytes(role)).unwrap_or(u64::MAX) {
                        return Err(NotaryError::TooLarge {
                            role: role.clone(),
                            limit: max_bytes(role),
                        });
                    }
                    let Some(text) = self.kept.get(&meta.sha256) else {
                        return Ok(Stage::Below { walk, taken, want });
                    };
                    walk.accept(text)?;
                    taken.insert(role.clone(), text.clone());
                }
            }
        }
        Ok(Stage::Done(Ok(Box::new(self.finish(taken, &walk)))))
    }

    fn finish(
        &mut self,
        mut delegations: BTreeMap<String, String>,
        walk: &Walk,
    ) -> (NotaryCollection, NotaryMemory) {
        let mut take = |role| delegations.remove(role).unwrap_or_default();
        let (timestamp, snapshot, targets) = (take("timestamp"), take("snapshot"), take("targets"));
        let roots = std::mem::take(&mut self.roots);
        let mut memory = std::mem::take(&mut self.memory);
        // A delegate may invent roles without end. Roles that are delegated to, published or not, keep their floors.
        memory.floors.extend(walk.versions.clone());
        if memory.floors.len() > MAX_FLOORS {
            memory.floors.retain(|role, _| {
                walk.versions.contains_key(role) || walk.unusable.contains_key(role)
            });
        }
        let first_use = pin(&self.trust, &self.gun).is_none();
        if first_use && memory.first_root.is_none() {
            memory.first_root = roots.first().map(|root| Digest::of(root.as_bytes()));
        }
        let collection = NotaryCollection {
            server: self.trust.server.clone(),
            gun: self.gun.clone(),
            gathered_at: self.at,
            roots,
            timestamp,
            snapshot,
            targets,
            delegations,
        };
        (collection, memory)
    }
}
