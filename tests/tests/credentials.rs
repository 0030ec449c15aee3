//! Credentials of pulls and of the node: every form opens what it is for, nothing else, and is written nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_cri::v1::AuthConfig;
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_until;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::kubelet::{Kubelet, KubeletError, Pod, PullPolicy, Reason, Running};
use portcullis_tests::liar::Liar;
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::registry::{Registry, map_host};
use portcullis_tests::tokens::{Account, TokenServer};

const PRIVATE: &str = "private.example.com";
const SECRET: &str = "correct-horse-battery";
const IDENTITY: &str = "identity-of-ann-0123456789";

const ACCOUNTS: &[Account] = &[Account {
    user: "ann",
    password: SECRET,
    identity: IDENTITY,
    actions: &["pull"],
}];

/// A node whose gate and containerd reach a private registry through one front, and what is in it.
struct Vault {
    gated: Gated,
    front: Liar,
    _registry: Registry,
    _tokens: Option<TokenServer>,
}

impl Vault {
    async fn start(tokens: bool) -> Result<Self> {
        let mut gated = Gated::prepare(Generation::One).await?;
        let dir = gated.node.subdir("private")?;
        let (registry, tokens) = if tokens {
            let tokens = TokenServer::start(&dir, ACCOUNTS)?;
            let registry = Registry::start_with_tokens(&dir, tokens.guard())?;
            (registry, Some(tokens))
        } else {
            (Registry::start_private(&dir, "ann", SECRET)?, None)
        };
        let front = Liar::start(registry.port(), None)?;
        for certs in [
            gated.node.dir().join("shim-certs.d"),
            gated.node.containerd.certs_dir(),
        ] {
            map_host(&certs, PRIVATE, front.port())?;
        }
        for tag in ["1", "2", "3", "4"] {
            registry.push("app", tag, &image(tag)?).await?;
        }
        gated.shim.configure(|settings| {
            settings.docker_config = Some(Path::new("/nonexistent/docker.json").to_owned());
        })?;
        let rules = [("*", Demand::Allow)];
        let (a, b) = (namespace_policy("a", &rules), namespace_policy("b", &rules));
        gated.start(&format!("{a}---\n{b}"))?;
        Ok(Self {
            gated,
            front,
            _registry: registry,
            _tokens: tokens,
        })
    }

    /// Fails if a secret is in the log, in what the gate keeps, or in what it says of itself.
    fn assert_no_secret(&self, texts: &[String]) -> Result<()> {
        let status = self.gated.shim.command(&["status"])?;
        let mut places = vec![
            ("status".to_owned(), status.stdout),
            (
                "metrics".to_owned(),
                self.gated.shim.metrics()?.into_bytes(),
            ),
            ("log".to_owned(), self.gated.shim.log().into_bytes()),
            ("answers".to_owned(), texts.join("\n").into_bytes()),
        ];
        for entry in fs::read_dir(self.gated.shim.state_dir())? {
            let path = entry?.path();
            places.push((path.display().to_string(), fs::read(&path)?));
        }
        assert!(places.len() > 4, "no state is kept");
        let encoded = STANDARD.encode(format!("ann:{SECRET}"));
        for secret in [SECRET, IDENTITY, &encoded, "Bearer ey", "wrong-password"] {
            for (place, bytes) in &places {
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{secret} is in {place}");
            }
        }
        Ok(())
    }
}

fn image(tag: &str) -> Result<Image> {
    Recipe::new(&format!("private{tag}")).build()
}

fn reference(tag: &str) -> String {
    format!("{PRIVATE}/app:{tag}")
}

fn pod(namespace: &str, tag: &str, auth: Option<AuthConfig>) -> Pod {
    let mut pod = Pod::new(namespace, &reference(tag)).pulled(PullPolicy::Always);
    pod.credentials.extend(auth);
    pod
}

async fn run(kubelet: &mut Kubelet, pod: &Pod) -> Result<Running, KubeletError> {
    let running = kubelet.run_pod(pod).await?;
    let _ = kubelet.remove_sandbox(&running.sandbox.id).await;
    Ok(running)
}

fn ann() -> AuthConfig {
    AuthConfig {
        username: "ann".into(),
        password: SECRET.into(),
        ..AuthConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_credentials_opens_a_private_registry_and_none_is_written_anywhere()
-> Result<()> {
    let vault = Vault::start(false).await?;
    let mut kubelet = vault.gated.kubelet().await?;
    let here = format!("http://127.0.0.1:{}", vault.front.port());
    let encoded = AuthConfig {
        auth: STANDARD.encode(format!("ann:{SECRET}")),
        ..AuthConfig::default()
    };
    let named = AuthConfig {
        server_address: here,
        ..ann()
    };
    for (tag, auth) in [("1", ann()), ("2", encoded), ("3", named)] {
        run(&mut kubelet, &pod("a", tag, Some(auth))).await?;
    }

    let elsewhere = AuthConfig {
        server_address: "https://other.example.com".into(),
        ..ann()
    };
    let wrong = AuthConfig {
        password: "wrong-password".into(),
        ..ann()
    };
    let rubbish = AuthConfig {
        auth: "wrong-password".into(),
        ..AuthConfig::default()
    };
    let mut texts = Vec::new();
    for (name, auth) in [
        ("for another server", Some(elsewhere)),
        ("wrong", Some(wrong)),
        ("none", None),
    ] {
        let refused = run(&mut kubelet, &pod("a", "4", auth)).await.err();
        let refused = refused.with_context(|| format!("credentials {name} opened it"))?;
        assert_eq!(
            refused.reason,
            Reason::RegistryUnavailable,
            "{name}: {refused}"
        );
        assert!(
            refused.message.contains("wants credentials"),
            "{name}: {refused}"
        );
        texts.push(refused.message);
    }
    let refused = run(&mut kubelet, &pod("a", "4", Some(rubbish))).await.err();
    let refused = refused.context("rubbish opened it")?;
    assert!(refused.message.contains("base64"), "{refused}");
    texts.push(refused.message);
    // And right credentials are not held up by the failures before them.
    run(&mut kubelet, &pod("a", "4", Some(ann()))).await?;
    vault.assert_no_secret(&texts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_identity_tokens_buy_tokens_and_none_is_written_anywhere() -> Result<()> {
    let vault = Vault::start(true).await?;
    let mut kubelet = vault.gated.kubelet().await?;
    let identity = |token: &str| AuthConfig {
        identity_token: token.into(),
        ..AuthConfig::default()
    };
    run(&mut kubelet, &pod("a", "1", Some(identity(IDENTITY)))).await?;
    run(&mut kubelet, &pod("a", "2", Some(ann()))).await?;
    let mut texts = Vec::new();
    for auth in [Some(identity("wrong-password")), None] {
        let refused = run(&mut kubelet, &pod("a", "3", auth)).await.err();
        let refused = refused.context("it was opened")?;
        assert!(refused.message.contains("wants credentials"), "{refused}");
        texts.push(refused.message);
    }
    vault.assert_no_secret(&texts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_without_credentials_shares_neither_success_nor_failure() -> Result<()> {
    let vault = Vault::start(false).await?;
    let mut kubelet = vault.gated.kubelet().await?;
    // While a's pull succeeds, and after it, b's is refused.
    let (a, b) = {
        let (mut first, mut second) = (kubelet.clone(), kubelet.clone());
        let (a, b) = (pod("a", "1", Some(ann())), pod("b", "1", None));
        tokio::join!(async move { run(&mut first, &a).await }, async move {
            run(&mut second, &b).await
        })
    };
    a?;
    assert!(b.is_err(), "b rode on a's credentials");
    let refused = run(&mut kubelet, &pod("b", "1", None)).await.err();
    let refused = refused.context("b rode on a's success")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    // The failure of b's pull is not a's.
    run(&mut kubelet, &pod("a", "1", Some(ann()))).await?;
    // A wrong password of a, and the right one of b, at once.
    let wrong = AuthConfig {
        password: "wrong-password".into(),
        ..ann()
    };
    assert!(
        run(&mut kubelet, &pod("a", "2", Some(wrong)))
            .await
            .is_err()
    );
    run(&mut kubelet, &pod("b", "2", Some(ann()))).await?;
    Ok(())
}

/// Pulls with credentials, then takes the evidence away, so that the next create has to gather with the node's own.
async fn forgotten(vault: &mut Vault) -> Result<(Kubelet, Pod)> {
    let mut kubelet = vault.gated.kubelet().await?;
    run(&mut kubelet, &pod("a", "1", Some(ann()))).await?;
    vault.gated.shim.stop()?;
    vault.gated.shim.forget()?;
    Ok((kubelet, Pod::new("a", &reference("1"))))
}

async fn healed(vault: &Vault, pod: &Pod) -> Result<()> {
    let mut kubelet = vault.gated.kubelet().await?;
    wait_until("the node's new credentials to be used", async || {
        Ok(run(&mut kubelet, pod).await.ok())
    })
    .await?;
    vault.assert_no_secret(&[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_docker_config_that_appears_later_heals_the_node_without_a_restart() -> Result<()> {
    let mut vault = Vault::start(false).await?;
    let config = vault.gated.node.dir().join("docker.json");
    vault
        .gated
        .shim
        .configure(|settings| settings.docker_config = Some(config.clone()))?;
    let (_, pod) = forgotten(&mut vault).await?;
    vault.gated.shim.start()?;
    let mut kubelet = vault.gated.kubelet().await?;
    for password in [None, Some("wrong-password")] {
        if let Some(password) = password {
            write_docker_config(&config, password)?;
        }
        let refused = run(&mut kubelet, &pod).await.err().context("it ran")?;
        assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
        assert!(refused.message.contains("wants credentials"), "{refused}");
    }
    write_docker_config(&config, SECRET)?;
    healed(&vault, &pod).await
}

fn write_docker_config(path: &Path, password: &str) -> Result<()> {
    let auth = STANDARD.encode(format!("ann:{password}"));
    let new = path.with_extension("new");
    fs::write(
        &new,
        format!(r#"{{"auths":{{"{PRIVATE}":{{"auth":"{auth}"}}}}}}"#),
    )?;
    Ok(fs::rename(new, path)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_provider_that_gets_the_right_answer_later_heals_the_node() -> Result<()> {
    let mut vault = Vault::start(false).await?;
    let programs = vault.gated.node.subdir("programs")?;
    let config = vault.gated.node.dir().join("providers.yaml");
    fs::write(
        &config,
        format!(
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: vault\n  \
             matchImages: ['{PRIVATE}']\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
        ),
    )?;
    install(&programs.join("vault"), "exit 1")?;
    vault.gated.shim.configure(|settings| {
        settings.docker_config = None;
        settings.providers = Some((config, programs.clone()));
    })?;
    let (_, pod) = forgotten(&mut vault).await?;
    vault.gated.shim.start()?;
    let mut kubelet = vault.gated.kubelet().await?;
    let refused = run(&mut kubelet, &pod).await.err().context("it ran")?;
    assert!(refused.message.contains("wants credentials"), "{refused}");
    let answer = format!(
        "echo '{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
         \"cacheKeyType\":\"Registry\",\"auth\":{{\"{PRIVATE}\":{{\"username\":\"ann\",\"password\":\"{SECRET}\"}}}}}}'"
    );
    install(&programs.join("vault"), &answer)?;
    healed(&vault, &pod).await
}

fn install(program: &Path, script: &str) -> Result<()> {
    let new = program.with_extension("new");
    fs::write(&new, format!("#!/bin/sh\ncat > /dev/null\n{script}\n"))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    Ok(fs::rename(new, program)?)
}
