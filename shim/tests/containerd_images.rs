//! Records, links and what CRI makes of them, against every containerd that can be had.

mod node;

use std::time::Duration;

use node::image::Layout;
use node::{Node, deadline};
use portcullis::containerd::{Containerd, ContainerdError};
use portcullis_policy::Digest;

/// Polls CRI's view of a name until it shows `id`: containerd takes records over in the background.
async fn shows(client: &Containerd, name: &str, id: Option<Digest>) {
    let until = deadline();
    loop {
        let seen = client.image_status(name, until).await.unwrap();
        if seen.as_ref().map(|image| image.id) == id {
            return;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "{name}: {seen:?}, expected {id:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_image_id_proved_by_hashes_is_the_one_cri_reports() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let one = layout.image(&["one"], "1000");
        let two = layout.image(&["one", "two"], "");
        let index = layout.index(&[(&one, "amd64"), (&two, "arm64")]);
        layout.name("test.example/multi:1", node::image::INDEX, index);
        layout.name_image("test.example/two:1", &two);
        let client = node.client();
        node.ready(&client).await;
        node.import(&layout.archive(node.dir.path()));

        let record = client
            .image_record("test.example/multi:1", deadline())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.target, index.0);
        let links = client.prove(&record.target, deadline()).await.unwrap();
        let of = |config| links.iter().find(|link| link.config == config);
        let link = of(one.config).expect("the platform that was imported");
        assert_eq!(
            (link.root, link.manifest, link.user.as_str()),
            (index.0, one.manifest, "1000")
        );
        shows(&client, "test.example/multi:1", Some(link.config)).await;
        assert_eq!(
            client.roots_of(&one.config, deadline()).await.unwrap(),
            vec![index.0]
        );

        // The same manifest under its own name is another root of the same image.
        let links = client.prove(&two.manifest, deadline()).await.unwrap();
        assert_eq!(links.len(), 1);
        assert_eq!((links[0].root, links[0].config), (two.manifest, two.config));
        shows(&client, "test.example/two:1", Some(two.config)).await;
        let view = client.images_in_view(deadline()).await.unwrap();
        assert!(view.iter().any(|image| image.id == two.config));

        assert_eq!(client.image_record("absent:1", deadline()).await, Ok(None));
        assert_eq!(client.image_status("absent:1", deadline()).await, Ok(None));
        let missing = client.prove(&Digest::of(b"absent"), deadline()).await;
        assert!(
            matches!(
                missing,
                Err(ContainerdError::Content {
                    cause: "missing",
                    ..
                })
            ),
            "{missing:?}"
        );
    }
}

#[tokio::test]
async fn an_index_proves_only_what_is_on_the_node_and_nests_once() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let (here, gone) = (layout.image(&["here"], ""), layout.image(&["gone"], ""));
        let inner = layout.index(&[(&gone, "arm64"), (&here, "amd64")]);
        let outer = layout.index_of_indexes(&[inner]);
        let third = layout.index_of_indexes(&[outer]);
        let fourth = layout.index_of_indexes(&[third]);
        layout.name("test.example/nested:1", node::image::INDEX, fourth);
        let client = node.client();
        node.ready(&client).await;
        let archive = layout.archive(node.dir.path()).display().to_string();
        let local = if node.major >= 2 {
            vec!["--local"]
        } else {
            vec![]
        };
        let import = [
            "images",
            "import",
            "--no-unpack",
            "--all-platforms",
            &archive,
        ];
        node.ctr(&[&import[..2], &local, &import[2..]].concat());
        node.ctr(&["content", "rm", &gone.manifest.to_string()]);

        for root in [here.manifest, inner.0, outer.0] {
            let links = client.prove(&root, deadline()).await.unwrap();
            let found: Vec<_> = links.iter().map(|link| (link.root, link.config)).collect();
            assert_eq!(found, vec![(root, here.config)]);
        }
        for deeper in [third.0, fourth.0] {
            assert_eq!(client.prove(&deeper, deadline()).await, Ok(vec![]));
        }
        let missing = client.prove(&gone.manifest, deadline()).await;
        assert!(missing.is_err(), "{missing:?}");
    }
}

#[tokio::test]
async fn a_root_that_reads_in_two_ways_or_is_a_checkpoint_proves_nothing() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let image = layout.image(&["x"], "");
        let manifest: serde_json::Value =
            serde_json::from_slice(&layout.bytes(&image.manifest)).unwrap();
        let mut both = manifest.clone();
        both["manifests"] = serde_json::json!([]);
        let mut checkpoint = manifest;
        checkpoint["annotations"] =
            serde_json::json!({"org.criu.checkpoint.container.name": "web"});
        let client = node.client();
        node.ready(&client).await;
        layout.name_image("test.example/x:1", &image);
        node.import(&layout.archive(node.dir.path()));
        for document in [both, checkpoint] {
            let text = document.to_string();
            let digest = Digest::of(text.as_bytes());
            node.ingest(text.as_bytes(), &digest);
            let refused = client.prove(&digest, deadline()).await;
            let Err(ContainerdError::Content { digest: of, cause }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(of, digest);
            assert!(
                cause.contains("both") || cause.contains("checkpoint"),
                "{cause}"
            );
        }
    }
}

#[tokio::test]
async fn a_record_that_is_pointed_moves_the_tag_in_cris_view_and_can_be_put_back() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let (a, b) = (layout.image(&["a"], ""), layout.image(&["b"], ""));
        let by_digest = format!("test.example/app@{}", a.manifest);
        layout.name_image(&by_digest, &a);
        layout.name_image("test.example/other:1", &b);
        let client = node.client();
        node.ready(&client).await;
        node.import(&layout.archive(node.dir.path()));
        let record = |name: &str| {
            let (client, name) = (client.clone(), name.to_owned());
            async move { client.image_record(&name, deadline()).await.unwrap() }
        };
        let to_a = record(&by_digest).await.unwrap();
        let to_b = record("test.example/other:1").await.unwrap();
        let tag = "test.example/app:1";
        shows(&client, &by_digest, Some(a.config)).await;
        shows(&client, tag, None).await;

        assert_eq!(client.point_record(tag, &to_a, deadline()).await, Ok(None));
        shows(&client, tag, Some(a.config)).await;
        let created = record(tag).await.unwrap();
        assert_eq!(created.labels["io.cri-containerd.image"], "managed");
        node.ctr(&["images", "label", tag, "keep=me"]);

        let replaced = client
            .point_record(tag, &to_b, deadline())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (replaced.target, replaced.labels["keep"].as_str()),
            (a.manifest, "me")
        );
        shows(&client, tag, Some(b.config)).await;
        assert_eq!(
            record(tag).await.unwrap().labels["keep"],
            "me",
            "labels stay"
        );

        client
            .restore_record(tag, Some(&replaced), deadline())
            .await
            .unwrap();
        shows(&client, tag, Some(a.config)).await;
        client.restore_record(tag, None, deadline()).await.unwrap();
        client.restore_record(tag, None, deadline()).await.unwrap();
        assert_eq!(record(tag).await, None);
        client
            .restore_record(tag, Some(&replaced), deadline())
            .await
            .unwrap();
        assert_eq!(record(tag).await.unwrap().target, a.manifest);
    }
}

#[tokio::test]
async fn a_record_whose_name_lies_about_its_digest_proves_nothing() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let (good, evil) = (layout.image(&["good"], ""), layout.image(&["evil"], ""));
        layout.name_image("test.example/good:1", &good);
        let lie = format!("test.example/good@{}", good.manifest);
        layout.name_image("test.example/evil:1", &evil);
        let client = node.client();
        node.ready(&client).await;
        node.import(&layout.archive(node.dir.path()));
        let to_evil = client
            .image_record("test.example/evil:1", deadline())
            .await
            .unwrap()
            .unwrap();
        client
            .point_record(&lie, &to_evil, deadline())
            .await
            .unwrap();
        shows(&client, &lie, Some(evil.config)).await;
        let seen = client
            .image_status(&lie, deadline())
            .await
            .unwrap()
            .unwrap();
        assert!(
            seen.repo_digests.contains(&lie),
            "CRI repeats the lie: {seen:?}"
        );

        assert_eq!(
            client.roots_of(&evil.config, deadline()).await.unwrap(),
            vec![evil.manifest]
        );
        assert_eq!(
            client.roots_of(&good.config, deadline()).await.unwrap(),
            vec![good.manifest]
        );
        let links = client.prove(&good.manifest, deadline()).await.unwrap();
        assert!(links.iter().all(|link| link.config == good.config));
    }
}

#[tokio::test]
async fn blobs_beyond_the_limit_or_missing_are_refused() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let image = layout.image(&["x"], "");
        layout.name_image("test.example/x:1", &image);
        let client = node.client();
        node.ready(&client).await;
        node.import(&layout.archive(node.dir.path()));
        let blob = client
            .blob(&image.manifest, image.size, deadline())
            .await
            .unwrap();
        assert_eq!(Digest::of(&blob), image.manifest);
        let larger = client
            .blob(&image.manifest, image.size - 1, deadline())
            .await;
        assert!(
            matches!(
                larger,
                Err(ContainerdError::Content {
                    cause: "larger than the limit",
                    ..
                })
            ),
            "{larger:?}"
        );

        // Content whose file was changed behind containerd's back.
        let file = node
            .dir
            .path()
            .join("root/io.containerd.content.v1.content/blobs/sha256");
        let file = file.join(image.manifest.hex());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let changed = client.prove(&image.manifest, deadline()).await;
        let Err(ContainerdError::Content { cause, .. }) = changed else {
            panic!("{changed:?}");
        };
        assert_eq!(cause, "does not hash to its digest");
        assert_eq!(client.roots_of(&image.config, deadline()).await, Ok(vec![]));
    }
}

#[tokio::test]
async fn calls_fail_while_containerd_is_away_and_succeed_once_it_is_back() {
    for mut node in Node::every() {
        let client = node.client();
        node.ready(&client).await;
        let (name, version) = client.version(deadline()).await.unwrap();
        assert_eq!(name, "containerd");
        assert!(
            version
                .trim_start_matches('v')
                .starts_with(&node.major.to_string()),
            "{version}"
        );
        node.kill();
        let away = client.image_records(deadline()).await;
        assert_eq!(away, Err(ContainerdError::Unavailable));
        node.run();
        node.ready(&client).await;
        client.image_records(deadline()).await.unwrap();
        node.kill();
        node.run();
        node.ready(&client).await;
        client
            .point_record(
                "a:1",
                &portcullis::containerd::ImageRecord {
                    name: String::new(),
                    target: Digest::of(b"x"),
                    media_type: node::image::MANIFEST.to_owned(),
                    size: 1,
                    labels: std::collections::BTreeMap::default(),
                },
                deadline(),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_containerd_that_never_answers_ends_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = Containerd::new(&path).unwrap();
    let soon = tokio::time::Instant::now() + Duration::from_millis(50);
    let silent = client.image_status("a", soon).await;
    assert_eq!(
        silent,
        Err(ContainerdError::Timeout {
            call: "ImageStatus"
        })
    );
}
