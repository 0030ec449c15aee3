//! Bundles, notation envelopes and cosign's legacy formats in registries that are old, slow, wrong or hostile.

mod registry_common;
mod signatures_common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use portcullis::registry::{Auth, RemoteError};
use portcullis_policy::Digest;
use portcullis_trust::evidence::{ArtefactKind, SignatureSource};
use registry_common::{Node, Reply, Seen, Sent, Server, at_once};
use signatures_common::{
    BUNDLE, EMPTY, INDEX, Looker, NOTATION, SIMPLE, Shelf, artefact, artefact_of, descriptor,
    image, index, said, silent, tag, texts,
};

const SBOM: &str = "application/spdx+json";

async fn served(shelf: Shelf) -> (Server, Looker) {
    let server = Server::start(move |seen| shelf.answer(seen)).await;
    let looker = Looker::new(Node::serving(&server).registry());
    (server, looker)
}

fn targets(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.target).collect()
}

#[tokio::test]
async fn a_bundle_in_a_registry_without_the_api_costs_four_requests_and_three_from_then_on() {
    let mut shelf = Shelf::default();
    let bundle = shelf.bundle("good");
    shelf.tag(&[silent(&bundle)]);
    let (server, looker) = served(shelf).await;
    let gathered = looker.bundles().await;
    assert_eq!(texts(&gathered), ["good"]);
    let set = gathered.unwrap();
    assert_eq!(set.artefacts[0].kind, ArtefactKind::SigstoreBundle);
    assert!(!set.truncated && set.artefacts[0].annotations.is_empty());
    assert_eq!(server.count(), 4, "{:?}", targets(&server));
    assert_eq!(texts(&looker.bundles().await), ["good"]);
    assert_eq!(server.count(), 7, "{:?}", targets(&server));
}

#[tokio::test]
async fn one_list_serves_bundles_and_envelopes() {
    let mut shelf = Shelf::default();
    let bundle = shelf.bundle("bundle");
    let jws = shelf.notation("application/jose+json", "jws");
    let cose = shelf.notation("application/cose", "cose");
    shelf.api(&[
        said(&bundle, BUNDLE),
        said(&jws, NOTATION),
        said(&cose, NOTATION),
    ]);
    let (server, looker) = served(shelf).await;
    let all = looker
        .all(&[SignatureSource::Notation, SignatureSource::Bundles])
        .await;
    assert_eq!(texts(&all[0]), ["jws", "cose"]);
    assert_eq!(texts(&all[1]), ["bundle"]);
    let kinds: Vec<_> = all[0]
        .as_ref()
        .unwrap()
        .artefacts
        .iter()
        .map(|a| a.kind)
        .collect();
    assert_eq!(
        kinds,
        [ArtefactKind::NotationJws, ArtefactKind::NotationCose]
    );
    assert_eq!(server.count(), 7, "{:?}", targets(&server));
}

#[tokio::test]
async fn nothing_is_said_only_after_api_and_tag_both_have_nothing() {
    let (server, looker) = served(Shelf::default()).await;
    assert!(texts(&looker.bundles().await).is_empty());
    assert_eq!(server.count(), 2);
    // Nothing was learned about the host: it may just not know this repository.
    assert!(texts(&looker.bundles().await).is_empty());
    assert!(targets(&server)[2].contains("/referrers/"));
}

#[tokio::test]
async fn a_host_that_was_thought_to_lack_the_api_is_asked_for_it_before_nothing_is_said() {
    let upgraded = Arc::new(AtomicBool::new(false));
    let (mut old, mut new) = (Shelf::default(), Shelf::default());
    let bundle = old.bundle("old");
    old.tag(&[silent(&bundle)]);
    let bundle = new.bundle("new");
    new.api(&[said(&bundle, BUNDLE)]);
    let switch = Arc::clone(&upgraded);
    let server = Server::start(move |seen| {
        if switch.load(Ordering::SeqCst) {
            new.answer(seen)
        } else {
            old.answer(seen)
        }
    })
    .await;
    let looker = Looker::new(Node::serving(&server).registry());
    assert_eq!(texts(&looker.bundles().await), ["old"]);
    upgraded.store(true, Ordering::SeqCst);
    assert_eq!(texts(&looker.bundles().await), ["new"]);
}

#[tokio::test]
async fn whoever_could_not_be_asked_has_not_said_that_there_is_nothing() {
    for status in [401, 403, 429, 500, 503, 302] {
        for part in ["/referrers/", "/manifests/sha256-"] {
            let server = Server::start(move |seen| {
                let status = if seen.target.contains(part) {
                    status
                } else {
                    404
                };
                Reply::text(status, "secret-from-the-server")
            })
            .await;
            let looker = Looker::new(Node::serving(&server).registry());
            for source in [SignatureSource::Bundles, SignatureSource::Notation] {
                let result = looker.one(source).await;
                assert!(result.is_err(), "{status} {part} {result:?}");
            }
            let sig = looker.one(SignatureSource::CosignSignatures).await;
            assert_eq!(
                sig.is_err(),
                part.starts_with("/manifests"),
                "{status} {part}"
            );
        }
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_not_nothing() {
    let server = Server::start_async(None, |_| std::future::pending()).await;
    let mut looker = Looker::new(Node::serving(&server).registry());
    looker.deadline = at_once;
    for result in looker
        .all(&[
            SignatureSource::Bundles,
            SignatureSource::CosignAttestations,
        ])
        .await
    {
        assert!(
            matches!(result, Err(RemoteError::Timeout { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_the_api_that_is_no_index_leads_to_the_tag() {
    for (status, content_type) in [
        (200, "text/html"),
        (200, "application/json"),
        (400, INDEX),
        (406, INDEX),
    ] {
        let mut shelf = Shelf::default();
        let bundle = shelf.bundle("good");
        shelf.tag(&[silent(&bundle)]);
        let server = Server::start(move |seen| {
            if seen.target.contains("/referrers/") {
                return Reply::text(status, index(&[])).with("content-type", content_type);
            }
            shelf.answer(seen)
        })
        .await;
        let looker = Looker::new(Node::serving(&server).registry());
        assert_eq!(
            texts(&looker.bundles().await),
            ["good"],
            "{status} {content_type}"
        );
    }
}

#[tokio::test]
async fn lists_that_lie_about_themselves_are_an_error() {
    for text in [
        "",
        "[]",
        r#"{"schemaVersion":2}"#,
        r#"{"schemaVersion":1,"manifests":[]}"#,
        r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#,
        r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
    ] {
        let mut shelf = Shelf::default();
        shelf.put(format!("/v2/app/referrers/{}", image()), INDEX, text);
        let (_server, looker) = served(shelf).await;
        let result = looker.bundles().await;
        assert!(
            matches!(result, Err(RemoteError::Invalid { .. })),
            "{text} {result:?}"
        );
    }
}

#[tokio::test]
async fn pages_are_followed_on_the_same_host_only() {
    let mut shelf = Shelf::default();
    let good = shelf.bundle("good");
    let elsewhere = Server::start(|_| Reply::status(500)).await;
    for (link, wanted) in [
        (
            format!("</v2/app/referrers/{}?page=2>; rel=\"next\"", image()),
            vec!["good"],
        ),
        (
            format!("<{}/v2/app/referrers/x>; rel=\"next\"", elsewhere.http()),
            vec![],
        ),
        ("<//other.test/v2/>; rel=\"next\"".to_owned(), vec![]),
    ] {
        let (shelf, good) = (shelf.clone(), good.clone());
        let server = Server::start(move |seen| {
            if seen.target.ends_with("page=2") {
                return Reply::text(200, index(&[said(&good, BUNDLE)])).with("content-type", INDEX);
            }
            if seen.target.contains("/referrers/") {
                return Reply::text(200, index(&[]))
                    .with("content-type", INDEX)
                    .with("link", link.clone());
            }
            shelf.answer(seen)
        })
        .await;
        let looker = Looker::new(Node::serving(&server).registry());
        let gathered = looker.bundles().await;
        assert_eq!(texts(&gathered), wanted);
        assert_eq!(gathered.unwrap().truncated, wanted.is_empty());
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn pages_without_end_end() {
    let server = Server::start(|seen| {
        let number = seen
            .target
            .split("page=")
            .nth(1)
            .map_or(0, |at| at.parse::<u32>().unwrap());
        Reply::text(200, index(&[]))
            .with("content-type", INDEX)
            .with(
                "link",
                format!(
                    "</v2/app/referrers/{}?page={}>; rel=next",
                    image(),
                    number + 1
                ),
            )
    })
    .await;
    let looker = Looker::new(Node::serving(&server).registry());
    assert!(looker.bundles().await.unwrap().truncated);
    assert_eq!(server.count(), 10);
}

#[tokio::test]
async fn a_good_signature_among_five_hundred_strange_descriptors_is_found() {
    let mut shelf = Shelf::default();
    let good = shelf.bundle("good");
    let mut descriptors: Vec<String> = (0..500)
        .map(|number: u32| {
            let digest = Digest::of(&number.to_be_bytes());
            let of = descriptor("application/vnd.oci.image.manifest.v1+json", &digest, 9);
            if number.is_multiple_of(2) {
                silent(&of)
            } else {
                said(&of, SBOM)
            }
        })
        .collect();
    descriptors.push(said(&good, BUNDLE));
    shelf.api(&descriptors);
    let (server, looker) = served(shelf).await;
    let gathered = looker.bundles().await;
    assert_eq!(texts(&gathered), ["good"]);
    assert!(gathered.unwrap().truncated);
    // The list, the good one with its blob, and as many that say nothing as the cap allows; no SBOM.
    assert_eq!(server.count(), 1 + 2 + 64);
}

#[tokio::test]
async fn other_known_kinds_are_not_opened_and_silent_ones_are() {
    let mut shelf = Shelf::default();
    let good = shelf.bundle("good");
    let sbom = shelf.bundle("an SBOM by its type");
    shelf.tag(&[said(&sbom, SBOM), silent(&good)]);
    let (_server, looker) = served(shelf).await;
    assert_eq!(texts(&looker.bundles().await), ["good"]);
}

#[tokio::test]
async fn a_manifest_counts_only_if_it_is_of_this_image_and_of_its_kind() {
    let mut shelf = Shelf::default();
    let bundle_type = format!("\"artifactType\":\"{BUNDLE}\",");
    let layer = shelf.blob(BUNDLE, b"x");
    let other = shelf.blob("text/plain", b"y");
    let other_image = Digest::of(b"another image");
    let manifests = [
        artefact_of(&bundle_type, EMPTY, &layer, &other_image),
        artefact(&bundle_type, EMPTY, &other),
        artefact(&bundle_type, EMPTY, &format!("{layer}}},{layer}")),
        artefact(&format!("\"artifactType\":\"{SBOM}\","), EMPTY, &layer),
        artefact(&format!("\"manifests\":[],{bundle_type}"), EMPTY, &layer),
        artefact("", EMPTY, &shelf.blob("application/jose+json", b"z")),
        "not JSON".to_owned(),
    ];
    let descriptors: Vec<String> = manifests
        .iter()
        .map(|text| said(&shelf.manifest(text), BUNDLE))
        .collect();
    shelf.api(&descriptors);
    let (_server, looker) = served(shelf).await;
    let all = looker
        .all(&[SignatureSource::Bundles, SignatureSource::Notation])
        .await;
    assert!(texts(&all[0]).is_empty() && texts(&all[1]).is_empty());
}

#[tokio::test]
async fn bytes_that_do_not_hash_to_their_digest_are_not_evidence_and_not_nothing() {
    for part in ["manifests", "blobs"] {
        let mut shelf = Shelf::default();
        let bundle = shelf.bundle("good");
        let digest = if part == "blobs" {
            Digest::of(b"good").to_string()
        } else {
            bundle.split('"').nth(7).unwrap().to_owned()
        };
        shelf.put(format!("/v2/app/{part}/{digest}"), EMPTY, "evil");
        shelf.api(&[said(&bundle, BUNDLE)]);
        let (_server, looker) = served(shelf).await;
        let result = looker.bundles().await;
        assert!(
            matches!(result, Err(RemoteError::Invalid { .. })),
            "{part} {result:?}"
        );
    }
}

#[tokio::test]
async fn what_strangers_broke_does_not_hide_a_good_signature() {
    let mut shelf = Shelf::default();
    let good = shelf.bundle("good");
    let wrong = shelf.bundle("wrong");
    shelf.put(
        format!("/v2/app/blobs/{}", Digest::of(b"wrong")),
        EMPTY,
        "evil!",
    );
    let missing = descriptor(signatures_common::MANIFEST, &Digest::of(b"missing"), 7);
    shelf.api(&[
        said(&missing, BUNDLE),
        said(&wrong, BUNDLE),
        said(&good, BUNDLE),
    ]);
    let (_server, looker) = served(shelf).await;
    let gathered = looker.bundles().await;
    assert_eq!(texts(&gathered), ["good"]);
    assert!(
        gathered.unwrap().truncated,
        "something was there that did not come"
    );
}

#[tokio::test]
async fn huge_blobs_are_not_read() {
    // Said to be huge: not asked for. Huge though said to be small: not read to its end.
    for said_size in [8 * 1024 * 1024 + 1, 100] {
        let mut shelf = Shelf::default();
        let digest = Digest::of(b"huge");
        let layer = descriptor(BUNDLE, &digest, said_size);
        let huge = shelf.manifest(&artefact("", EMPTY, &layer));
        let good = shelf.bundle("good");
        shelf.api(&[said(&huge, BUNDLE), said(&good, BUNDLE)]);
        let path = format!("/v2/app/blobs/{digest}");
        let asked = path.clone();
        let server = Server::start(move |seen| {
            if seen.target.starts_with(&path) {
                return Reply {
                    status: 200,
                    body: Sent::Endless,
                    ..Reply::default()
                };
            }
            shelf.answer(seen)
        })
        .await;
        let looker = Looker::new(Node::serving(&server).registry());
        let gathered = looker.bundles().await;
        assert_eq!(texts(&gathered), ["good"]);
        assert!(gathered.unwrap().truncated);
        let was_asked = targets(&server)
            .iter()
            .any(|target| target.starts_with(&asked));
        assert_eq!(was_asked, said_size == 100);
    }
}

#[tokio::test]
async fn a_few_large_artefacts_do_not_use_up_the_room_of_small_ones() {
    let mut shelf = Shelf::default();
    let mut descriptors = Vec::new();
    for number in 0..5_u8 {
        let mut large = vec![b'x'; 8 * 1024 * 1024 - 1];
        large.push(number);
        let layer = shelf.blob(BUNDLE, &large);
        descriptors.push(said(&shelf.manifest(&artefact("", EMPTY, &layer)), BUNDLE));
    }
    descriptors.push(said(&shelf.bundle("good"), BUNDLE));
    shelf.api(&descriptors);
    let (_server, looker) = served(shelf).await;
    let set = looker.bundles().await.unwrap();
    assert!(
        set.artefacts
            .iter()
            .any(|artefact| artefact.bytes == b"good")
    );
    let total: usize = set
        .artefacts
        .iter()
        .map(|artefact| artefact.bytes.len())
        .sum();
    assert!(total <= 32 * 1024 * 1024 && set.truncated, "{total}");
}

#[tokio::test]
async fn a_blob_that_lives_elsewhere_is_fetched_there_without_credentials() {
    let mut shelf = Shelf::default();
    let bundle = shelf.bundle("good");
    shelf.api(&[said(&bundle, BUNDLE)]);
    let storage = Server::start(|_| Reply::text(200, "good")).await;
    let to = format!("{}/object?signed=1", storage.http());
    let server = Server::start(move |seen| {
        if seen.header("authorization").is_none() {
            return Reply::challenge("Basic realm=x");
        }
        if seen.target.contains("/blobs/") {
            return Reply::redirect(to.clone());
        }
        shelf.answer(seen)
    })
    .await;
    let mut looker = Looker::new(Node::serving(&server).registry());
    looker.auth = Auth::Basic {
        username: "u".into(),
        password: "p".into(),
    };
    assert_eq!(texts(&looker.bundles().await), ["good"]);
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

/// Answers for `shelf`, but the blob of `text` with 503.
fn without(shelf: Shelf, text: &str) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let blob = format!("/blobs/{}", Digest::of(text.as_bytes()));
    move |seen| {
        if seen.target.contains(&blob) {
            Reply::status(503)
        } else {
            shelf.answer(seen)
        }
    }
}

#[tokio::test]
async fn a_signature_that_could_not_be_fetched_is_told_beside_those_that_came() {
    let mut shelf = Shelf::default();
    let (good, strange) = (shelf.bundle("good"), shelf.bundle("strange"));
    shelf.api(&[said(&strange, BUNDLE), said(&good, BUNDLE)]);
    let layers = ["legacy", "strange legacy"]
        .map(|text| format!("{}}}", shelf.blob(SIMPLE, text.as_bytes())));
    shelf.legacy("sig", &layers);
    for (source, lost, came) in [
        (SignatureSource::Bundles, "good", "strange"),
        (
            SignatureSource::CosignSignatures,
            "legacy",
            "strange legacy",
        ),
    ] {
        let server = Server::start(without(shelf.clone(), lost)).await;
        let looker = Looker::new(Node::serving(&server).registry());
        let one = looker
            .answers(std::slice::from_ref(&source))
            .await
            .remove(0);
        let failed = matches!(one.failure, Some(RemoteError::Status { status: 503, .. }));
        assert!(failed, "{source:?}: {:?}", one.failure);
        let set = one.set.unwrap();
        assert!(set.truncated);
        assert_eq!(texts(&Ok(set)), [came]);
    }
}

#[tokio::test]
async fn what_a_list_names_and_nobody_has_is_no_failure() {
    let mut shelf = Shelf::default();
    let strange = shelf.bundle("strange");
    let missing = descriptor(signatures_common::MANIFEST, &Digest::of(b"missing"), 7);
    shelf.api(&[said(&missing, BUNDLE), said(&strange, BUNDLE)]);
    let (_server, looker) = served(shelf).await;
    let one = looker.answers(&[SignatureSource::Bundles]).await.remove(0);
    assert!(one.failure.is_none(), "{:?}", one.failure);
}

#[tokio::test]
async fn a_mirror_that_fails_at_the_good_signature_does_not_keep_the_upstream_from_being_asked() {
    let mut shelf = Shelf::default();
    let (good, strange) = (shelf.bundle("good"), shelf.bundle("strange"));
    shelf.api(&[said(&strange, BUNDLE), said(&good, BUNDLE)]);
    let mirror = Server::start(without(shelf.clone(), "good")).await;
    let upstream = Server::start(move |seen| shelf.answer(seen)).await;
    let looker = mirrored(&mirror, &upstream);
    let found = looker.bundles().await;
    assert_eq!(texts(&found), ["strange", "good"]);
}

/// `r.test` with a mirror before it.
fn mirrored(mirror: &Server, upstream: &Server) -> Looker {
    let node = Node::new();
    let capabilities = "capabilities = ['pull', 'resolve']";
    node.hosts(
        "r.test",
        &format!(
            "server = '{}'\n[host.'{}']\n{capabilities}\n",
            upstream.http(),
            mirror.http()
        ),
    );
    Looker::new(node.registry())
}

#[tokio::test]
async fn a_mirror_without_signatures_does_not_hide_those_of_the_upstream() {
    let mut empty = Shelf::default();
    empty.api(&[]);
    let mut without_the_manifest = Shelf::default();
    let bundle = Shelf::default().bundle("good");
    without_the_manifest.tag(&[silent(&bundle)]);
    for copy in [Shelf::default(), empty, without_the_manifest] {
        let mut shelf = Shelf::default();
        let bundle = shelf.bundle("good");
        shelf.tag(&[silent(&bundle)]);
        let layer = shelf.blob(SIMPLE, b"legacy");
        shelf.legacy("sig", &[format!("{layer}}}")]);
        let mirror = Server::start(move |seen| copy.answer(seen)).await;
        let upstream = Server::start(move |seen| shelf.answer(seen)).await;
        let looker = mirrored(&mirror, &upstream);
        let all = looker
            .all(&[SignatureSource::Bundles, SignatureSource::CosignSignatures])
            .await;
        assert_eq!(texts(&all[0]), ["good"]);
        assert_eq!(texts(&all[1]), ["legacy"]);
    }
}

#[tokio::test]
async fn what_the_mirror_has_is_not_asked_of_the_upstream_again() {
    let mut copy = Shelf::default();
    let bundle = copy.bundle("bundle");
    copy.tag(&[silent(&bundle)]);
    let mut shelf = copy.clone();
    let jws = shelf.notation("application/jose+json", "jws");
    shelf.tag(&[silent(&bundle), said(&jws, NOTATION)]);
    let mirror = Server::start(move |seen| copy.answer(seen)).await;
    let upstream = Server::start(move |seen| shelf.answer(seen)).await;
    let looker = mirrored(&mirror, &upstream);
    assert_eq!(texts(&looker.bundles().await), ["bundle"]);
    assert_eq!(upstream.count(), 0);
    let all = looker
        .all(&[SignatureSource::Bundles, SignatureSource::Notation])
        .await;
    assert_eq!(texts(&all[0]), ["bundle"]);
    assert_eq!(texts(&all[1]), ["jws"]);
}

#[tokio::test]
async fn a_mirror_that_fails_or_an_upstream_that_does_leaves_it_open_whether_there_is_something() {
    for (mirror, upstream) in [(500, 404), (404, 500), (404, 401)] {
        let mirror = Server::start(move |_| Reply::status(mirror)).await;
        let upstream = Server::start(move |_| Reply::status(upstream)).await;
        let looker = mirrored(&mirror, &upstream);
        for source in [SignatureSource::Bundles, SignatureSource::CosignSignatures] {
            let result = looker.one(source).await;
            assert!(result.is_err(), "{result:?}");
        }
    }
}

#[tokio::test]
async fn legacy_layers_come_with_their_annotations_and_share_a_payload() {
    let mut shelf = Shelf::default();
    let payload = shelf.blob(SIMPLE, b"payload");
    let other = shelf.blob("text/plain", b"other");
    let layer = |signature: &str| {
        format!(
            "{payload},\"annotations\":{{\"dev.cosignproject.cosign/signature\":\"{signature}\"}}}}"
        )
    };
    shelf.legacy(
        "sig",
        &[
            layer("one"),
            format!("{other}}}"),
            layer("two"),
            layer("one"),
        ],
    );
    let dsse = shelf.blob("application/vnd.dsse.envelope.v1+json", b"envelope");
    shelf.legacy("att", &[format!("{dsse}}}")]);
    let (server, looker) = served(shelf).await;
    let all = looker
        .all(&[
            SignatureSource::CosignSignatures,
            SignatureSource::CosignAttestations,
        ])
        .await;
    assert_eq!(texts(&all[0]), ["payload", "payload"]);
    let signatures: Vec<_> = all[0]
        .as_ref()
        .unwrap()
        .artefacts
        .iter()
        .map(|artefact| artefact.annotations["dev.cosignproject.cosign/signature"].as_str())
        .collect();
    assert_eq!(signatures, ["one", "two"]);
    assert_eq!(texts(&all[1]), ["envelope"]);
    assert_eq!(
        all[1].as_ref().unwrap().artefacts[0].kind,
        ArtefactKind::CosignAttestation
    );
    assert_eq!(server.count(), 4, "{:?}", targets(&server));
}

#[tokio::test]
async fn legacy_layers_beyond_the_caps_are_noticed() {
    let mut shelf = Shelf::default();
    let good = format!("{}}}", shelf.blob(SIMPLE, b"good"));
    let many: Vec<String> = (0..70)
        .map(|number: u32| format!("{}}}", shelf.blob(SIMPLE, &number.to_be_bytes())))
        .collect();
    let large = format!(
        "{},\"annotations\":{{\"a\":\"{}\"}}}}",
        shelf.blob(SIMPLE, b"large"),
        "x".repeat(300 * 1024)
    );
    for (layers, wanted) in [(many, 64), (vec![large, good], 1)] {
        shelf.legacy("sig", &layers);
        let (_server, looker) = served(shelf.clone()).await;
        let set = looker.one(SignatureSource::CosignSignatures).await.unwrap();
        assert_eq!((set.artefacts.len(), set.truncated), (wanted, true));
    }
}

#[tokio::test]
async fn a_tag_that_lies_about_its_digest_is_an_error() {
    let mut shelf = Shelf::default();
    let layer = shelf.blob(SIMPLE, b"x");
    shelf.legacy("sig", &[format!("{layer}}}")]);
    let server = Server::start(move |seen| {
        shelf
            .answer(seen)
            .with("docker-content-digest", Digest::of(b"other").to_string())
    })
    .await;
    let looker = Looker::new(Node::serving(&server).registry());
    let result = looker.one(SignatureSource::CosignSignatures).await;
    assert!(
        matches!(result, Err(RemoteError::Invalid { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn at_most_four_requests_of_one_gathering_are_under_way() {
    let mut shelf = Shelf::default();
    let descriptors: Vec<String> = (0..30)
        .map(|number| said(&shelf.bundle(&number.to_string()), BUNDLE))
        .collect();
    shelf.api(&descriptors);
    let shelf = Arc::new(shelf);
    let under_way = Arc::new(std::sync::Mutex::new((0_usize, 0_usize)));
    let counted = Arc::clone(&under_way);
    let server = Server::start_async(None, move |seen| {
        let (shelf, counted) = (Arc::clone(&shelf), Arc::clone(&counted));
        async move {
            {
                let mut counted = counted.lock().unwrap();
                counted.0 += 1;
                counted.1 = counted.1.max(counted.0);
            }
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            counted.lock().unwrap().0 -= 1;
            shelf.answer(&seen)
        }
    })
    .await;
    let looker = Looker::new(Node::serving(&server).registry());
    assert_eq!(texts(&looker.bundles().await).len(), 30);
    let most = under_way.lock().unwrap().1;
    assert!((2..=4).contains(&most), "{most}");
}

#[tokio::test]
async fn a_tag_of_somebody_elses_making_is_not_taken_for_a_list() {
    let mut shelf = Shelf::default();
    shelf.put(
        format!("/v2/app/manifests/{}", tag()),
        signatures_common::MANIFEST,
        Bytes::from_static(b"{}"),
    );
    let (_server, looker) = served(shelf).await;
    assert!(looker.bundles().await.is_err());
}
