//! A trust server that fails, lies or goes back in time: each is told apart, and what was proved before keeps running.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Response;
use portcullis_tests::containerd::Generation;
use portcullis_tests::front::Front;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::kubelet::{Kubelet, KubeletError, Pod, PullPolicy, Reason};
use portcullis_tests::liar::{Asked, Liar, Reply, Sent, json, status};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::notary::Notary;
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::tokens::{Account, TokenServer};

const ECHO: &str = "words-of-the-server";

/// A shop that wants signatures, and a front that can lie about them.
async fn shop() -> Result<(Gated, Liar)> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    let liar = Liar::start(gated.notary.port(), Some(&gated.notary.front_tls()))?;
    gated.shim.configure(|settings| {
        settings.budget = "3s";
        for server in &mut settings.notary {
            server.port = liar.port();
        }
    })?;
    let demand = Demand::Signed {
        server: format!("https://127.0.0.1:{}", liar.port()),
        signer: SIGNER.to_owned(),
        key: gated.notary.public_key(SIGNER)?,
    };
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), demand)],
    ))?;
    Ok((gated, liar))
}

/// Pulls the tag as a user of that name, whose failures are nobody else's: nothing remembered stands in the way.
async fn pull_as(kubelet: &mut Kubelet, user: &str) -> Result<String, KubeletError> {
    let pod = Pod::new("shop", &tagged("shop/app", "1"))
        .pulled(PullPolicy::Always)
        .credential(user, "password");
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let pulled = kubelet.ensure_image(&pod, &sandbox.config).await;
    let _ = kubelet.remove_sandbox(&sandbox.id).await;
    pulled
}

fn timestamp(asked: &Asked, lie: impl FnOnce() -> Response<Sent>) -> Reply {
    if asked.path.ends_with("/timestamp.json") {
        Reply::Lie(lie())
    } else {
        Reply::Truth
    }
}

fn tampered(asked: &Asked, role: &str) -> Reply {
    if !asked.path.contains(role) {
        return Reply::Truth;
    }
    // As long as before: a longer file is not read to its end.
    Reply::Edited(Box::new(|told| {
        told.map(|body| {
            let mut bytes = body.to_vec();
            let at = String::from_utf8_lossy(&body).find("\"expires\":\"2");
            if let Some(digit) = at.and_then(|at| bytes.get_mut(at + "\"expires\":\"".len())) {
                *digit = b'3';
            }
            Bytes::from(bytes)
        })
    }))
}

type Lie = fn(&Asked) -> Reply;

const LIES: [(&str, Lie, Reason, &str); 11] = [
    (
        "broken",
        |_| Reply::Lie(status(500)),
        Reason::RegistryUnavailable,
        "status 500",
    ),
    (
        "unsigned",
        |_| Reply::Lie(status(404)),
        Reason::SignatureValidationFailed,
        "has no trust data for",
    ),
    (
        "silent",
        |_| Reply::Silence,
        Reason::RegistryUnavailable,
        "did not answer in time",
    ),
    (
        "garbage",
        |asked| timestamp(asked, || json("words-of-the-server")),
        Reason::SignatureValidationFailed,
        "timestamp is malformed",
    ),
    (
        "unauthorized",
        |_| Reply::Lie(status(401)),
        Reason::RegistryUnavailable,
        "wants credentials",
    ),
    (
        "cut",
        |_| Reply::Cut,
        Reason::RegistryUnavailable,
        "connection lost",
    ),
    (
        "forbidden",
        |_| Reply::Lie(status(403)),
        Reason::RegistryUnavailable,
        "refuses access",
    ),
    (
        "endless",
        |asked| timestamp(asked, || Response::new(Sent::Endless)),
        Reason::RegistryUnavailable,
        "sent more than",
    ),
    (
        "incomplete",
        |asked| {
            if asked.path.contains("/snapshot") {
                Reply::Lie(status(404))
            } else {
                Reply::Truth
            }
        },
        Reason::SignatureValidationFailed,
        "snapshot is missing",
    ),
    (
        "tampered",
        |asked| tampered(asked, "/snapshot"),
        Reason::SignatureValidationFailed,
        "snapshot is not the file listed",
    ),
    (
        "forged",
        |asked| tampered(asked, "/timestamp"),
        Reason::SignatureValidationFailed,
        "timestamp is signed by 0 of its keys",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_and_lie_is_told_apart_and_what_was_proved_keeps_running() -> Result<()> {
    let (gated, liar) = shop().await?;
    gated.push_signed("shop/app", "1", "first").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let mut running = kubelet.run_pod(&pod).await?;
    // New trust data, so that there is something to fetch.
    gated.push_signed("shop/app", "1", "second").await?;
    gated.tap.clear();
    let mut texts = Vec::new();
    for (name, lie, reason, words) in LIES {
        liar.says(lie);
        let refused = pull_as(&mut kubelet, name)
            .await
            .err()
            .with_context(|| format!("{name}: it was pulled"))?;
        assert_eq!(refused.reason, reason, "{name}: {refused}");
        assert!(refused.message.contains(words), "{name}: {refused}");
        assert!(!refused.message.contains(ECHO), "{name}: {refused}");
        texts.push(refused.message);
        running = kubelet.restart_container(&pod, &running).await?;
        assert_eq!(
            kubelet.output(&running).await?,
            "marker=first uid=0",
            "{name}"
        );
    }
    texts.sort();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all, "{texts:#?}");
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");
    assert!(
        !gated.shim.log().contains(ECHO),
        "the log repeats the server"
    );
    liar.tells_the_truth();
    pull_as(&mut kubelet, "honest").await?;
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_data_from_before_what_was_seen_is_refused_even_after_a_restart() -> Result<()> {
    let (mut gated, liar) = shop().await?;
    gated.push_signed("shop/app", "1", "vulnerable").await?;
    let mut kubelet = gated.kubelet().await?;
    pull_as(&mut kubelet, "early").await?;
    let old = liar.told();
    let fixed = gated.push_signed("shop/app", "1", "fixed").await?;
    pull_as(&mut kubelet, "later").await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let mut running = kubelet.run_pod(&pod).await?;
    gated.tap.clear();
    liar.says(move |asked| match old.get(&asked.path) {
        Some(body) => Reply::Lie(json(body.clone())),
        None => Reply::Truth,
    });
    for round in ["before", "after"] {
        let refused = pull_as(&mut kubelet, round).await.err();
        let refused = refused.with_context(|| format!("{round} a restart it was pulled"))?;
        assert_eq!(
            refused.reason,
            Reason::SignatureValidationFailed,
            "{refused}"
        );
        assert!(refused.message.contains("was rolled back"), "{refused}");
        running = kubelet.restart_container(&pod, &running).await?;
        assert_eq!(kubelet.output(&running).await?, "marker=fixed uid=0");
        gated.shim.restart()?;
        kubelet = gated.kubelet().await?;
    }
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");
    liar.tells_the_truth();
    assert_eq!(pull_as(&mut kubelet, "last").await?, fixed.id());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_replaced_by_one_with_another_root_is_refused() -> Result<()> {
    let (gated, liar) = shop().await?;
    gated.push_signed("shop/app", "1", "good").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;
    gated.tap.clear();

    // Same collection, same names, other keys.
    let gun = format!("{HOST}/shop/app");
    let mut evil = Notary::start(&gated.node.subdir("evil")?)?;
    evil.init(&gun, SIGNER)?;
    let image = gated.push("shop/app", "1", "evil").await?;
    evil.sign(&gun, "1", &image, SIGNER)?;
    let files = evil.published(&gun)?;
    liar.says(move |asked| {
        let name = asked.path.rsplit("/_trust/tuf/").next().unwrap_or_default();
        let name = name.trim_end_matches(".json");
        // `1.root`, `snapshot.<hash>` and plain names.
        let found = files.iter().find(|(role, _)| {
            name == role.as_str()
                || name.ends_with(&format!(".{role}"))
                || name.starts_with(&format!("{role}."))
        });
        match found {
            Some((_, body)) => Reply::Lie(json(body.clone())),
            None => Reply::Lie(status(404)),
        }
    });
    let refused = pull_as(&mut kubelet, "ann").await.err();
    let refused = refused.context("it was pulled")?;
    assert_eq!(
        refused.reason,
        Reason::SignatureValidationFailed,
        "{refused}"
    );
    assert!(refused.message.contains("root"), "{refused}");
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=good uid=0");
    liar.tells_the_truth();
    pull_as(&mut kubelet, "ben").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_data_that_expired_is_refused_for_pulls_and_stops_no_pod() -> Result<()> {
    let (mut gated, _liar) = shop().await?;
    gated.push_signed("shop/app", "1", "good").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;
    gated.tap.clear();
    gated.shim.clock_ahead(30);
    gated.shim.restart()?;
    let mut kubelet = gated.kubelet().await?;
    let refused = pull_as(&mut kubelet, "ann").await.err();
    let refused = refused.context("it was pulled")?;
    assert_eq!(
        refused.reason,
        Reason::SignatureValidationFailed,
        "{refused}"
    );
    assert!(refused.message.contains("expired at"), "{refused}");
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=good uid=0");
    Ok(())
}

const ACCOUNTS: &[Account] = &[
    Account {
        user: "reader",
        password: "reads-it-all",
        identity: "identity-of-reader",
        actions: &["pull"],
    },
    Account {
        user: "writer",
        password: "writes-it-all",
        identity: "identity-of-writer",
        actions: &["pull", "push", "*"],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trust_server_that_wants_tokens_is_shown_those_of_the_pull_and_of_this_collection_only()
-> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    let dir = gated.node.subdir("tokens")?;
    let tokens = TokenServer::start(&dir, ACCOUNTS)?;
    gated.notary = Notary::start_with_tokens(&dir, &tokens.guard(), "writer:writes-it-all")?;
    gated.notary_front = Front::start(gated.notary.port())?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    tokens.front().clear();
    let mut kubelet = gated.kubelet().await?;
    let pod = |user: &str, password: &str| {
        let pod = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Always);
        if user.is_empty() {
            pod
        } else {
            pod.credential(user, password)
        }
    };
    for (user, password) in [("", ""), ("reader", "guessed")] {
        let refused = kubelet.run_pod(&pod(user, password)).await.err();
        let refused = refused.with_context(|| format!("{user:?} got in"))?;
        assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
        assert!(refused.message.contains("wants credentials"), "{refused}");
    }

    // A token server that gives tokens for another collection.
    let guard = tokens.guard();
    tokens.front().says(move |_| {
        let scope = format!("repository:{HOST}/other/app:pull");
        match guard.token(&[scope]) {
            Ok(token) => Reply::Lie(json(format!(r#"{{"token":"{token}","expires_in":300}}"#))),
            Err(_) => Reply::Cut,
        }
    });
    let refused = kubelet
        .run_pod(&pod("reader", "wrong-collection"))
        .await
        .err();
    let refused = refused.context("a token for another collection got in")?;
    assert!(refused.message.contains("wants credentials"), "{refused}");
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");

    let guard = tokens.guard();
    tokens.front().says(move |asked| {
        let gun = format!("repository:{HOST}/shop/app:pull");
        let known = asked.authorization.is_some();
        match guard.token(&[gun]) {
            Ok(token) if known => {
                Reply::Lie(json(format!(r#"{{"token":"{token}","expires_in":300}}"#)))
            }
            _ => Reply::Lie(status(401)),
        }
    });
    let running = kubelet.run_pod(&pod("reader", "reads-it-all")).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
    assert_eq!(
        kubelet.image_id(&tagged("shop/app", "1")).await?.as_deref(),
        Some(image.id())
    );
    // And nobody rides on that.
    assert!(kubelet.run_pod(&pod("", "")).await.is_err());
    Ok(())
}
