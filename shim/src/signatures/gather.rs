//! One gathering: every source side by side, and for those in a registry host after host.

use futures_util::future::join_all;
use portcullis_trust::evidence::{SignatureSet, SignatureSource};
use tokio::sync::Semaphore;

use crate::registry::fetch::Fetcher;
use crate::registry::turns::note;
use crate::registry::{Registry, RemoteError};

use super::SignatureQuestion;
use super::cosign::{self, Legacy};
use super::extension;
use super::found::Found;
use super::limits::{self, CONCURRENT};
use super::lookaside::Store;
use super::media::Kind;
use super::place::Place;
use super::referrers::{self, memory::ApiMemory};

/// What one source had, and what kept away the rest of it.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The source.
    pub source: SignatureSource,
    /// What was found; empty: the source said that there is nothing. `None`: nothing was found, and it may have something.
    pub set: Option<SignatureSet>,
    /// Why something that it may have was not seen: nobody may conclude from `set` that it is not there.
    pub failure: Option<RemoteError>,
}

/// Sources that one list of things beside the image answers.
#[derive(Debug)]
enum Group<'a> {
    Referrers(Vec<(Kind, &'a SignatureSource)>),
    Legacy(Legacy, &'a SignatureSource),
    Extension(&'a SignatureSource),
    Lookaside(&'a str, &'a SignatureSource),
}

struct Gathering<'a> {
    registry: &'a Registry,
    memory: &'a ApiMemory,
    question: &'a SignatureQuestion<'a>,
    permits: Semaphore,
    room: usize,
}

/// Looks in every source of `question`.
pub(super) async fn gather(
    registry: &Registry,
    memory: &ApiMemory,
    question: &SignatureQuestion<'_>,
) -> Vec<Gathered> {
    let gathering = Gathering {
        registry,
        memory,
        question,
        permits: Semaphore::new(CONCURRENT),
        room: limits::share(question.sources.len()),
    };
    let groups = groups(question.sources);
    let mut runs = Vec::with_capacity(groups.len());
    for group in &groups {
        runs.push(gathering.group(group));
    }
    let mut all: Vec<Gathered> = join_all(runs).await.into_iter().flatten().collect();
    // In the order of the question.
    all.sort_by_key(|one| {
        let mut sources = question.sources.iter();
        sources.position(|source| *source == one.source)
    });
    all
}

fn groups(sources: &[SignatureSource]) -> Vec<Group<'_>> {
    let mut referrers = Vec::new();
    let mut groups = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        if sources.iter().take(at).any(|earlier| earlier == source) {
            continue;
        }
        match source {
            SignatureSource::Bundles => referrers.push((Kind::Bundle, source)),
            SignatureSource::Notation => referrers.push((Kind::Notation, source)),
            SignatureSource::CosignSignatures => {
                groups.push(Group::Legacy(Legacy::Signatures, source));
            }
            SignatureSource::CosignAttestations => {
                groups.push(Group::Legacy(Legacy::Attestations, source));
            }
            SignatureSource::Lookaside(base) => groups.push(Group::Lookaside(base, source)),
            SignatureSource::RegistryExtension => groups.push(Group::Extension(source)),
        }
    }
    if !referrers.is_empty() {
        groups.push(Group::Referrers(referrers));
    }
    groups
}

impl Group<'_> {
    fn sources(&self) -> Vec<&SignatureSource> {
        match self {
            Self::Referrers(kinds) => kinds.iter().map(|(_, source)| *source).collect(),
            Self::Legacy(_, source) | Self::Extension(source) | Self::Lookaside(_, source) => {
                vec![source]
            }
        }
    }
}

impl Gathering<'_> {
    async fn group(&self, group: &Group<'_>) -> Vec<Gathered> {
        let sources = group.sources();
        let results = match group {
            Group::Lookaside(base, _) => vec![self.lookaside(base).await],
            _ => self.over_hosts(group, sources.len()).await,
        };
        let answers = sources.into_iter().zip(results);
        answers
            .map(|(source, found)| self.answer(source, found))
            .collect()
    }

    fn answer(&self, source: &SignatureSource, found: Result<Found, RemoteError>) -> Gathered {
        let (found, failure) = match found {
            Ok(mut found) => {
                let failure = found.failure.take();
                (found, failure)
            }
            Err(failure) => (Found::default(), Some(failure)),
        };
        let Found {
            artefacts,
            truncated,
            ..
        } = found;
        let says_something = failure.is_none() || !artefacts.is_empty();
        let set = says_something.then(|| SignatureSet {
            source: source.clone(),
            repository: self.question.reference.repository(),
            subject: *self.question.subject,
            artefacts,
            earlier: Vec::new(),
            truncated: truncated || failure.is_some(),
            gathered_at: self.question.now,
        });
        Gathered {
            source: source.clone(),
            set,
            failure,
        }
    }

    async fn lookaside(&self, base: &str) -> Result<Found, RemoteError> {
        let SignatureQuestion {
            reference,
            subject,
            passwords,
            deadline,
            ..
        } = *self.question;
        let password = passwords
            .iter()
            .find_map(|(url, password)| (url == base).then_some(password));
        let fetcher: &Fetcher = &self.registry.fetcher();
        let store = Store {
            base,
            password,
            reference,
            subject,
            fetcher,
            permits: &self.permits,
            deadline,
        };
        store.gather(self.room).await
    }

    /// Host after host, until each of `count` sources was found whole at one: a mirror that copies images without their
    /// signatures, or fails at the one that counts, must not hide those of the upstream.
    async fn over_hosts(&self, group: &Group<'_>, count: usize) -> Vec<Result<Found, RemoteError>> {
        let mut found: Vec<Found> = (0..count).map(|_| Found::default()).collect();
        let SignatureQuestion {
            reference,
            subject,
            auth,
            deadline,
            ..
        } = *self.question;
        let name = reference.domain();
        let fail = |error: &RemoteError| (0..count).map(|_| Err(error.clone())).collect();
        let hosts = match self.registry.hosts(name, deadline).await {
            Ok(hosts) => hosts,
            Err(error) => return fail(&error),
        };
        // Which signatures there are is a matter of names that move, like tags.
        let mut turns = match hosts.turns(true, deadline) {
            Ok(turns) => turns,
            Err(error) => return fail(&error),
        };
        let fetcher: &Fetcher = &self.registry.fetcher();
        while !found.iter().all(Found::is_whole) {
            let Some((host, until)) = turns.next() else {
                break;
            };
            let place = Place {
                host,
                fetcher,
                repository: reference.path(),
                subject,
                auth,
                permits: &self.permits,
                until,
            };
            let missing: Vec<usize> = found
                .iter()
                .enumerate()
                .filter_map(|(at, found)| (!found.is_whole()).then_some(at))
                .collect();
            let answer = self.at_host(&place, group, &missing).await;
            if let Err(error) = &answer {
                tracing::debug!(registry = name, %error, "host asked for signatures");
            }
            let mut answers = answer.map(Vec::into_iter);
            for at in missing {
                let Some(found) = found.get_mut(at) else {
                    continue;
                };
                match &mut answers {
                    Ok(answers) => found.join(answers.next().unwrap_or_default()),
                    Err(error) => note(&mut found.failure, error.clone()),
                }
            }
        }
        let unasked = turns.end(None);
        for found in &mut found {
            if let Some(error) = &unasked
                && !found.is_whole()
            {
                note(&mut found.failure, error.clone());
            }
        }
        found.into_iter().map(Ok).collect()
    }

    /// What one host has of the sources of `group` at the places `missing`.
    async fn at_host(
        &self,
        place: &Place<'_>,
        group: &Group<'_>,
        missing: &[usize],
    ) -> Result<Vec<Found>, RemoteError> {
        match group {
            Group::Referrers(kinds) => {
                let kinds: Vec<Kind> = missing
                    .iter()
                    .filter_map(|at| Some(kinds.get(*at)?.0))
                    .collect();
                referrers::at_host(place, self.memory, &kinds, self.room).await
            }
            Group::Legacy(which, _) => cosign::at_host(place, *which, self.room)
                .await
                .map(|found| vec![found]),
            Group::Extension(_) => extension::at_host(place, self.room)
                .await
                .map(|found| vec![found]),
            Group::Lookaside(..) => Ok(Vec::new()),
        }
    }
}
