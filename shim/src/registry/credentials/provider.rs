//! The kubelet's credential provider plugins (`CredentialProviderConfig`, KEP-2133): a program per registry, asked
//! with JSON on standard input.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::auth::Auth;
use super::super::config::CredentialProvidersConfig;
use super::super::duration;
use super::super::files::{self, Snapshot, Stamp};
use super::exec::{self, Pair};
use super::image_match::ImageMatch;
use super::provider_config::{self, Provider};

/// Longest run of a plugin. The kubelet allows a minute; here a pull waits for it.
const MAX_RUN: Duration = Duration::from_secs(10);
/// Answers remembered.
const MAX_REMEMBERED: usize = 256;
/// Longest time an answer is remembered.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// What a plugin answered, most specific key first.
type Entries = Vec<(ImageMatch, Auth)>;

/// The plugins of the node.
pub(crate) struct Providers {
    config: CredentialProvidersConfig,
    list: Mutex<Option<Snapshot<Vec<Provider>>>>,
    answers: Mutex<HashMap<CacheKey, (Entries, Instant)>>,
    /// One plugin runs at a time: they are slow, and many callers want the same answer.
    running: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    provider: String,
    /// State of the program and of the configuration, so that an upgrade or rotation is noticed.
    stamps: [Option<Stamp>; 2],
    /// The image, the registry, or empty, as the plugin's `cacheKeyType` says.
    key: String,
}

impl Providers {
    pub(crate) fn new(config: CredentialProvidersConfig) -> Self {
        Self {
            config,
            list: Mutex::default(),
            answers: Mutex::default(),
            running: tokio::sync::Mutex::new(()),
        }
    }

    /// Credentials for `repository` on `registry`, from the first plugin that has some.
    pub(crate) async fn find(
        &self,
        registry: &str,
        repository: &str,
        deadline: Instant,
    ) -> Option<Auth> {
        for provider in self.list().iter() {
            if !provider.is_for(repository) {
                continue;
            }
            let deadline = deadline.min(Instant::now() + MAX_RUN);
            match timeout_at(deadline, self.ask(provider, registry, repository)).await {
                Ok(Ok(Some(auth))) => return Some(auth),
                Ok(Ok(None)) => {}
                Ok(Err(reason)) => {
                    tracing::warn!(provider = provider.name, reason, "credential provider");
                }
                Err(_elapsed) => {
                    tracing::warn!(
                        provider = provider.name,
                        "credential provider took too long"
                    );
                }
            }
        }
        None
    }

    fn list(&self) -> Arc<Vec<Provider>> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = &*list
            && snapshot.is_current()
        {
            return Arc::clone(&snapshot.value);
        }
        let snapshot = Snapshot::make(|trace| provider_config::read(&self.config.config, trace));
        let value = Arc::clone(&snapshot.value);
        *list = Some(snapshot);
        value
    }

    async fn ask(
        &self,
        provider: &Provider,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Auth>, &'static str> {
        let program = self.config.bin_dir.join(&provider.name);
        let stamps = [files::stamp(&program), files::stamp(&self.config.config)];
        let key = |key: &str| CacheKey {
            provider: provider.name.clone(),
            stamps,
            key: key.to_owned(),
        };
        // From the narrowest to the widest, as the kubelet looks.
        let keys = [key(repository), key(registry), key("")];
        let _running = self.running.lock().await;
        for key in &keys {
            if let Some(entries) = self.remembered(key) {
                return Ok(choose(&entries, repository));
            }
        }
        let answer = exec::run(provider, &program, repository).await?;
        let entries = entries(answer.auth);
        let life = match &answer.cache_duration {
            Some(text) => duration::parse(text).ok_or("its cacheDuration is no duration")?,
            None => duration::parse(&provider.default_cache_duration).unwrap_or_default(),
        };
        let [image, registry, global] = keys;
        let key = match answer.cache_key_type.as_str() {
            "Image" => image,
            "Registry" => registry,
            "Global" => global,
            _ => return Err("its cacheKeyType is not Image, Registry or Global"),
        };
        let auth = choose(&entries, repository);
        if !life.is_zero() {
            self.remember(key, entries, life);
        }
        Ok(auth)
    }

    fn remembered(&self, key: &CacheKey) -> Option<Entries> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, until) = answers.get(key)?;
        (Instant::now() < *until).then(|| entries.clone())
    }

    fn remember(&self, key: CacheKey, entries: Entries, life: Duration) {
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, until)| *until > now);
        if answers.len() < MAX_REMEMBERED {
            answers.insert(key, (entries, now + life.min(MAX_LIFE)));
        }
    }
}

fn entries(auth: Option<BTreeMap<String, Pair>>) -> Entries {
    let mut out: Entries = auth
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, pair)| {
            let auth = Auth::Basic {
                username: pair.username,
                password: pair.password,
            };
            Some((ImageMatch::parse(&key)?, auth))
        })
        .collect();
    out.sort_by_key(|(key, _)| std::cmp::Reverse(key.rank()));
    out
}

fn choose(entries: &[(ImageMatch, Auth)], repository: &str) -> Option<Auth> {
    entries
        .iter()
        .find(|(key, _)| key.matches(repository))
        .map(|(_, auth)| auth.clone())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Plugin {
        dir: tempfile::TempDir,
        providers: Providers,
    }

    impl Plugin {
        /// A plugin that is a shell script, with `extra` in its configuration.
        fn new(script: &str, extra: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let bin_dir = dir.path().join("bin");
            std::fs::create_dir(&bin_dir).unwrap();
            let config = dir.path().join("providers.yaml");
            std::fs::write(
                &config,
                format!(
                    "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: plugin\n  \
                     matchImages: ['*.example']\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n{extra}"
                ),
            )
            .unwrap();
            let plugin = Self {
                providers: Providers::new(CredentialProvidersConfig { config, bin_dir }),
                dir,
            };
            plugin.install(script);
            plugin
        }

        fn install(&self, script: &str) {
            let new = self.dir.path().join("new");
            let log = self.dir.path().join("runs");
            let script = format!("#!/bin/sh\ncat >> {}\n{script}\n", log.display());
            std::fs::write(&new, script).unwrap();
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::rename(&new, self.dir.path().join("bin/plugin")).unwrap();
        }

        fn questions(&self) -> String {
            std::fs::read_to_string(self.dir.path().join("runs")).unwrap_or_default()
        }

        async fn find(&self, registry: &str, path: &str) -> Option<String> {
            let deadline = Instant::now() + Duration::from_secs(9);
            let repository = format!("{registry}/{path}");
            match self.providers.find(registry, &repository, deadline).await? {
                Auth::Basic { username, .. } => Some(username),
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(user: &str, cache: &str) -> String {
        format!(
            "echo '{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
             {cache},\"auth\":{{\"*.example\":{{\"username\":\"{user}\",\"password\":\"p\"}}}}}}'"
        )
    }

    #[tokio::test]
    async fn a_plugin_is_asked_for_its_images_only_and_with_its_arguments() {
        let plugin = Plugin::new(
            &format!(
                "test \"$1$EXTRA\" = onetwo || exit 1\n{}",
                answer("alice", "\"cacheKeyType\":\"Image\"")
            ),
            "  args: [one]\n  env: [{name: EXTRA, value: two}]\n  futureField: x\n",
        );
        assert_eq!(plugin.find("other.org", "app").await, None);
        assert_eq!(plugin.questions(), "");
        assert_eq!(
            plugin.find("r.example", "app").await.as_deref(),
            Some("alice")
        );
        let question: serde_json::Value = serde_json::from_str(&plugin.questions()).unwrap();
        assert_eq!(question["image"], "r.example/app");
        assert_eq!(question["kind"], "CredentialProviderRequest");
    }

    #[tokio::test]
    async fn answers_are_remembered_as_widely_as_the_plugin_says_and_until_it_changes() {
        let cache = "\"cacheKeyType\":\"Registry\",\"cacheDuration\":\"1h\"";
        let plugin = Plugin::new(&answer("old", cache), "");
        assert_eq!(plugin.find("r.example", "a").await.as_deref(), Some("old"));
        assert_eq!(plugin.find("r.example", "b").await.as_deref(), Some("old"));
        assert_eq!(plugin.questions().matches("image").count(), 1);
        assert_eq!(plugin.find("s.example", "a").await.as_deref(), Some("old"));
        assert_eq!(plugin.questions().matches("image").count(), 2);
        plugin.install(&answer("new", cache));
        assert_eq!(plugin.find("r.example", "a").await.as_deref(), Some("new"));
    }

    #[tokio::test]
    async fn without_a_cache_duration_every_call_asks() {
        let plugin = Plugin::new(&answer("a", "\"cacheKeyType\":\"Image\""), "");
        plugin.find("r.example", "a").await;
        plugin.find("r.example", "a").await;
        assert_eq!(plugin.questions().matches("image").count(), 2);
    }

    #[tokio::test]
    async fn a_plugin_that_fails_floods_or_lies_gives_no_credentials() {
        for script in [
            "exit 1",
            "cat /dev/zero",
            "echo not json",
            "echo '{\"kind\":\"Other\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\"}'",
            &answer("a", "\"cacheKeyType\":\"Everything\""),
        ] {
            let plugin = Plugin::new(script, "");
            assert_eq!(plugin.find("r.example", "a").await, None, "{script}");
        }
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_given_up_at_the_deadline() {
        let plugin = Plugin::new("exec sleep 600", "");
        let deadline = Instant::now() + Duration::from_millis(100);
        let found = plugin.providers.find("r.example", "r.example/a", deadline);
        assert_eq!(found.await, None);
    }
}
