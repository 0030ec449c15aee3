//! A registry that fails, lies or stalls: a clear refusal within the budget, nothing unverified pulled, and the next
//! call works.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_until;
use portcullis_tests::front::Weather;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::MANIFEST;
use portcullis_tests::kubelet::{Kubelet, KubeletError, Pod, PullPolicy, Reason};
use portcullis_tests::liar::{Asked, Liar, Reply, Sent, status};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::registry::map_mirrors;

/// What no answer of the gate may repeat.
const ECHO: &str = "words-of-the-server";

/// Where the gate of a test finds registries; containerd has its own directory.
fn gate_certs(gated: &Gated) -> PathBuf {
    gated.node.dir().join("shim-certs.d")
}

/// A gate that lets everything of namespace `shop` in, behind a front that can lie about the registry.
async fn open_shop(budget: &'static str) -> Result<(Gated, Liar)> {
    let mut gated = Gated::prepare(Generation::One).await?;
    let liar = Liar::start(gated.node.registry.port(), None)?;
    map_mirrors(&gate_certs(&gated), HOST, &[], liar.port())?;
    gated.shim.configure(|settings| settings.budget = budget)?;
    gated.start(&namespace_policy("shop", &[("*", Demand::Allow)]))?;
    Ok((gated, liar))
}

async fn pull(kubelet: &mut Kubelet, reference: &str) -> Result<String, KubeletError> {
    let pod = Pod::new("shop", reference).pulled(PullPolicy::Always);
    pull_as(kubelet, &pod).await
}

async fn pull_as(kubelet: &mut Kubelet, pod: &Pod) -> Result<String, KubeletError> {
    let sandbox = kubelet.run_sandbox(pod).await?;
    let pulled = kubelet.ensure_image(pod, &sandbox.config).await;
    let _ = kubelet.remove_sandbox(&sandbox.id).await;
    pulled
}

fn with(mut response: Response<Sent>, name: &'static str, value: &str) -> Response<Sent> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}

fn manifest(body: Sent) -> Response<Sent> {
    with(Response::new(body), "content-type", MANIFEST)
}

/// HEAD is not known, so that the body counts.
fn body(asked: &Asked, lie: impl FnOnce() -> Response<Sent>) -> Reply {
    Reply::Lie(if asked.method == Method::HEAD {
        status(405)
    } else {
        lie()
    })
}

fn text(content: &'static str) -> Sent {
    Sent::Whole(Bytes::from_static(content.as_bytes()))
}

const NONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const SCHEMA_1: &str = r#"{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"history":[]}"#;

/// What the front says about a tag of that name; and every other tag is told truly.
fn lie(asked: &Asked) -> Reply {
    let tag = asked.path.rsplit('/').next().unwrap_or_default();
    let tag = tag.split('?').next().unwrap_or_default();
    let found = Response::new(Sent::Nothing);
    match tag {
        "unauthorized" => Reply::Lie(status(401)),
        "forbidden" => Reply::Lie(status(403)),
        "absent" => Reply::Lie(status(404)),
        "broken" => Reply::Lie(status(500)),
        "limited" => Reply::Lie(status(429)),
        "teapot" => Reply::Lie(status(418)),
        "loop" => Reply::Lie(with(status(307), "location", &asked.path)),
        "away" => Reply::Lie(with(status(302), "location", "file:///etc/passwd")),
        "page" => body(asked, || with(status(200), "content-type", "text/html")),
        "rubbish" => body(asked, || manifest(text("words-of-the-server"))),
        "compressed" => body(asked, || {
            with(manifest(text("\u{1f}")), "content-encoding", "gzip")
        }),
        "schema1" => body(asked, || manifest(text(SCHEMA_1))),
        "lying" => body(asked, || {
            with(manifest(text("{}")), "docker-content-digest", NONE)
        }),
        "odd" => Reply::Lie(with(
            with(found, "content-type", MANIFEST),
            "docker-content-digest",
            "md5:words-of-the-server",
        )),
        "huge" => Reply::Lie(with(
            with(
                with(found, "content-type", MANIFEST),
                "docker-content-digest",
                NONE,
            ),
            "content-length",
            "99999999",
        )),
        "endless" => body(asked, || manifest(Sent::Endless)),
        "stalled" => body(asked, || manifest(Sent::Stalls(Bytes::from_static(b"{")))),
        "silent" => Reply::Silence,
        "cut" => Reply::Cut,
        _ => Reply::Truth,
    }
}

/// Tag and what the refusal says. Failures that count against the host are kept apart, or the breaker would open.
const LIES: [(&str, &str); 19] = [
    ("broken", "status 500"),
    ("unauthorized", "wants credentials"),
    ("silent", "did not answer in time"),
    ("forbidden", "refuses access"),
    ("stalled", "did not answer in time"),
    ("absent", "does not have it"),
    ("cut", "connection lost"),
    ("limited", "limits the request rate"),
    ("teapot", "status 418"),
    ("loop", "too many redirects"),
    ("away", "a redirect to no address"),
    ("page", "not the media type of an image"),
    ("rubbish", "not the JSON of a manifest"),
    ("compressed", "a compressed body"),
    ("schema1", "schema 1 manifest"),
    ("lying", "does not hash to its Docker-Content-Digest"),
    ("odd", "a digest that is no sha256 digest"),
    ("huge", "more than 4194304 bytes"),
    ("endless", "more than 4194304 bytes"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_and_lie_of_a_registry_is_told_apart_and_heals_by_itself() -> Result<()> {
    let (gated, liar) = open_shop("3s").await?;
    for (tag, _) in LIES {
        gated.push("app", tag, "true").await?;
    }
    let mut kubelet = gated.kubelet().await?;
    liar.says(lie);
    for (tag, words) in LIES {
        let refused = pull(&mut kubelet, &tagged("app", tag))
            .await
            .err()
            .with_context(|| format!("{tag} was pulled"))?;
        assert_eq!(
            refused.reason,
            Reason::RegistryUnavailable,
            "{tag}: {refused}"
        );
        assert!(refused.message.contains(words), "{tag}: {refused}");
        assert!(
            refused.message.contains(&tagged("app", tag)),
            "{tag}: {refused}"
        );
        assert!(!refused.message.contains(ECHO), "{tag}: {refused}");
    }
    assert!(
        gated.tap.pulls()?.is_empty(),
        "something reached containerd"
    );
    assert!(
        !gated.shim.log().contains(ECHO),
        "the log repeats the server"
    );

    liar.tells_the_truth();
    for (tag, _) in LIES {
        wait_until("a registry that tells the truth again", async || {
            Ok(pull(&mut kubelet, &tagged("app", tag)).await.ok())
        })
        .await?;
    }
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_that_the_registry_made_up_brings_nothing_onto_the_node() -> Result<()> {
    let (gated, liar) = open_shop("10s").await?;
    gated.push("app", "1", "true").await?;
    liar.says(|asked| {
        if asked.method != Method::HEAD {
            return Reply::Truth;
        }
        Reply::Edited(Box::new(|mut told| {
            told.headers_mut()
                .insert("docker-content-digest", HeaderValue::from_static(NONE));
            told
        }))
    });
    let mut kubelet = gated.kubelet().await?;
    let refused = pull(&mut kubelet, &tagged("app", "1"))
        .await
        .err()
        .context("it was pulled")?;
    assert_eq!(refused.reason, Reason::ErrImagePull, "{refused}");
    assert!(refused.message.contains(NONE), "{refused}");
    assert_eq!(kubelet.image_id(&tagged("app", "1")).await?, None);
    liar.tells_the_truth();
    pull(&mut kubelet, &tagged("app", "1")).await?;
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_moves_between_the_look_and_the_pull_changes_nothing() -> Result<()> {
    let (gated, _liar) = open_shop("10s").await?;
    let seen = gated.push("app", "1", "seen").await?;
    let mut kubelet = gated.kubelet().await?;
    let mut held = gated.tap.hold("/runtime.v1.ImageService/PullImage");
    let pulling = tokio::spawn(async move {
        let pulled = pull(&mut kubelet, &tagged("app", "1")).await;
        (pulled, kubelet)
    });
    held.arrived().await?;
    let moved = gated.push("app", "1", "moved").await?;
    held.release();
    let (pulled, mut kubelet) = pulling.await?;
    assert_eq!(pulled?, seen.id());
    assert_eq!(
        kubelet.image_id(&tagged("app", "1")).await?.as_deref(),
        Some(seen.id())
    );
    assert_eq!(kubelet.image_id(moved.id()).await?, None);
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_limits_the_rate_is_left_alone_for_every_image_of_the_same_user()
-> Result<()> {
    let (gated, liar) = open_shop("10s").await?;
    for tag in ["1", "2", "3"] {
        gated.push("app", tag, "true").await?;
    }
    liar.says(|_| Reply::Lie(with(status(429), "retry-after", "60")));
    let mut kubelet = gated.kubelet().await?;
    let mut texts = Vec::new();
    for _ in 0..2 {
        for tag in ["1", "2"] {
            let refused = pull(&mut kubelet, &tagged("app", tag))
                .await
                .err()
                .context("it was pulled")?;
            assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
            texts.push(refused.message.replace(&tagged("app", tag), ""));
        }
    }
    assert_eq!(liar.asked().len(), 1, "{:#?}", liar.asked());
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    // Somebody else's account has a limit of its own.
    liar.tells_the_truth();
    let ann = Pod::new("shop", &tagged("app", "3")).credential("ann", "one");
    pull_as(&mut kubelet, &ann).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_keeps_failing_is_left_alone_and_everybody_can_see_it() -> Result<()> {
    let (gated, liar) = open_shop("10s").await?;
    liar.says(|_| Reply::Lie(status(503)));
    let mut kubelet = gated.kubelet().await?;
    for tag in ["1", "2", "3", "4", "5", "6"] {
        let refused = pull(&mut kubelet, &tagged("app", tag)).await;
        assert!(refused.is_err());
    }
    assert_eq!(liar.asked().len(), 5);
    let refused = pull(&mut kubelet, &tagged("app", "7"))
        .await
        .err()
        .context("it was pulled")?;
    assert!(refused.message.contains("failed repeatedly"), "{refused}");
    let host = format!("127.0.0.1:{}", liar.port());
    let status = gated.shim.status()?;
    let alarms = status["alarms"].to_string();
    assert!(alarms.contains(&host), "{alarms}");
    let metrics = gated.shim.metrics()?;
    let open = format!("registry_circuit_open{{host=\"{host}\"}} 1");
    assert!(metrics.contains(&open), "{metrics}");
    assert!(
        gated.shim.log().contains("circuit breaker opened"),
        "nothing in the log"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_pulls_of_one_tag_cost_one_question() -> Result<()> {
    let (gated, liar) = open_shop("2s").await?;
    gated.push("app", "1", "true").await?;
    // No answer comes, so that no caller comes after it.
    liar.says(|_| Reply::Silence);
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("app", "1")).pulled(PullPolicy::Always);
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let mut pulls = Vec::new();
    for _ in 0..20 {
        let (mut kubelet, pod, config) = (kubelet.clone(), pod.clone(), sandbox.config.clone());
        pulls.push(tokio::spawn(async move {
            kubelet.ensure_image(&pod, &config).await
        }));
    }
    for pull in pulls {
        let refused = pull.await?.err().context("it was pulled")?;
        assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    }
    assert_eq!(liar.asked().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_under_one_policy_is_not_remembered_under_the_next() -> Result<()> {
    let (gated, liar) = open_shop("10s").await?;
    gated.push("app", "1", "true").await?;
    liar.says(|_| Reply::Lie(status(404)));
    let mut kubelet = gated.kubelet().await?;
    assert!(pull(&mut kubelet, &tagged("app", "1")).await.is_err());
    liar.tells_the_truth();
    let policy = namespace_policy("shop", &[(&format!("{HOST}/*"), Demand::Allow)]);
    gated.shim.reload_policy("policy.yaml", &policy)?;
    pull(&mut kubelet, &tagged("app", "1")).await?;
    ensure!(liar.asked().len() == 2, "{:#?}", liar.asked());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_another_host_is_followed_without_the_credentials() -> Result<()> {
    let (gated, front) = open_shop("10s").await?;
    let elsewhere = Liar::start(gated.node.registry.port(), None)?;
    let away = format!("http://127.0.0.1:{}", elsewhere.port());
    front.says(move |asked| {
        Reply::Lie(if asked.authorization.is_none() {
            with(status(401), "www-authenticate", "Basic realm=\"front\"")
        } else {
            with(status(307), "location", &format!("{away}{}", asked.path))
        })
    });
    let image = gated.push("app", "1", "true").await?;
    let mut kubelet = gated.kubelet().await?;
    let ann = Pod::new("shop", &tagged("app", "1")).credential("ann", "one");
    assert_eq!(pull_as(&mut kubelet, &ann).await?, image.id());
    assert!(
        front
            .asked()
            .iter()
            .any(|asked| asked.authorization.is_some())
    );
    let led = elsewhere.asked();
    assert!(!led.is_empty(), "the redirect was not followed");
    assert!(
        led.iter().all(|asked| asked.authorization.is_none()),
        "{led:#?}"
    );
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_trickles_in_ends_with_the_budget() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.shim.configure(|settings| settings.budget = "2s")?;
    gated.start(&namespace_policy("shop", &[("*", Demand::Allow)]))?;
    gated.push("app", "1", "true").await?;
    gated.registry_front.set(Weather::Slow);
    let mut kubelet = gated.kubelet().await?;
    let refused = pull(&mut kubelet, &tagged("app", "1"))
        .await
        .err()
        .context("it was pulled")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    assert!(
        refused.message.contains("did not answer in time"),
        "{refused}"
    );
    assert!(gated.tap.pulls()?.is_empty(), "something was pulled");
    gated.registry_front.set(Weather::Fair);
    wait_until("the registry to be quick again", async || {
        Ok(pull(&mut kubelet, &tagged("app", "1")).await.ok())
    })
    .await?;
    Ok(())
}
