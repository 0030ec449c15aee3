//! Running a credential provider plugin: JSON in, JSON out, bounded.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::provider_config::Provider;

/// Largest answer of a plugin, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    api_version: &'a str,
    kind: &'static str,
    image: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginAnswer {
    pub kind: String,
    pub api_version: String,
    #[serde(default)]
    pub cache_key_type: String,
    #[serde(default)]
    pub cache_duration: Option<String>,
    #[serde(default)]
    pub auth: Option<BTreeMap<String, Pair>>,
}

#[derive(Deserialize)]
pub(super) struct Pair {
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub password: String,
}

/// Runs the plugin. It is killed if the caller stops waiting.
pub(super) async fn run(
    provider: &Provider,
    program: &Path,
    repository: &str,
) -> Result<PluginAnswer, &'static str> {
    let question = serde_json::to_vec(&Question {
        api_version: &provider.api_version,
        kind: "CredentialProviderRequest",
        image: repository,
    })
    .map_err(|_| "the question cannot be written")?;
    let mut child = Command::new(program)
        .args(&provider.args)
        .envs(provider.env.iter().map(|env| (&env.name, &env.value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What it says there may quote a secret.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| "it cannot be started")?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("it has no input or output");
    };
    let mut out = Vec::new();
    let mut stdout = stdout.take(MAX_ANSWER.saturating_add(1));
    let write = async {
        // A plugin that does not read its question may still answer.
        let _unread = stdin.write_all(&question).await;
        drop(stdin);
    };
    let ((), read) = tokio::join!(write, stdout.read_to_end(&mut out));
    read.map_err(|_| "its output cannot be read")?;
    if u64::try_from(out.len()).unwrap_or(u64::MAX) > MAX_ANSWER {
        return Err("its answer is larger than 1 MiB");
    }
    let status = child.wait().await.map_err(|_| "it cannot be waited for")?;
    if !status.success() {
        return Err("it failed");
    }
    let answer: PluginAnswer = serde_json::from_slice(&out)
        .map_err(|_| "its answer is not a CredentialProviderResponse")?;
    if answer.kind != "CredentialProviderResponse" || answer.api_version != provider.api_version {
        return Err("its answer is of another kind or version than the question");
    }
    Ok(answer)
}
