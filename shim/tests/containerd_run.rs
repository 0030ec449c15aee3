//! What a container really runs, against every containerd that can be had.

mod node;

use k8s_cri::v1 as cri;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use node::image::Layout;
use node::{Node, deadline};
use portcullis::containerd::{Containerd, Sandbox};
use tonic::transport::Channel;

const NAME: &str = "test.example/app:1";

/// A pod with one running container of `image`; gives back both IDs.
async fn run(
    runtime: &mut RuntimeServiceClient<Channel>,
    image: &str,
    said: &str,
) -> (String, String) {
    let config = cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: "web".to_owned(),
            uid: format!("uid-{said}"),
            namespace: "shop".to_owned(),
            attempt: 0,
        }),
        linux: Some(cri::LinuxPodSandboxConfig {
            security_context: Some(cri::LinuxSandboxSecurityContext {
                namespace_options: Some(cri::NamespaceOption {
                    network: cri::NamespaceMode::Node as i32,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = cri::RunPodSandboxRequest {
        config: Some(config.clone()),
        runtime_handler: String::new(),
    };
    let pod = runtime
        .run_pod_sandbox(request)
        .await
        .unwrap()
        .into_inner()
        .pod_sandbox_id;
    let request = cri::CreateContainerRequest {
        pod_sandbox_id: pod.clone(),
        config: Some(cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata {
                name: "c".to_owned(),
                attempt: 0,
            }),
            image: Some(cri::ImageSpec {
                image: image.to_owned(),
                user_specified_image: said.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        sandbox_config: Some(config),
    };
    let container = runtime
        .create_container(request)
        .await
        .unwrap()
        .into_inner()
        .container_id;
    let start = cri::StartContainerRequest {
        container_id: container.clone(),
    };
    runtime.start_container(start).await.unwrap();
    (pod, container)
}

async fn runtime(node: &Node) -> RuntimeServiceClient<Channel> {
    let channel = containerd_client::connect(node.socket()).await.unwrap();
    RuntimeServiceClient::new(channel)
}

async fn parent(client: &Containerd, id: &str) -> Option<String> {
    let core = client
        .core_container(id, deadline())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(core.id, id);
    client
        .snapshot_parent(&core.snapshotter, &core.snapshot_key, deadline())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_snapshot_a_container_runs_on_stands_on_the_chain_id_that_was_proved() {
    for node in Node::every() {
        let mut layout = Layout::default();
        let pause = layout.image(&["pause"], "");
        let app = layout.image(&["below", "above"], "");
        layout.name_image("pause.test/pause:1", &pause);
        layout.name_image(NAME, &app);
        let client = node.client();
        node.ready(&client).await;
        node.import(&layout.archive(node.dir.path()));
        let mut runtime = runtime(&node).await;
        let id = app.config.to_string();
        let (pod, container) = Box::pin(run(&mut runtime, &id, "said:1")).await;

        let link = client
            .prove(&app.manifest, deadline())
            .await
            .unwrap()
            .remove(0);
        assert_eq!(
            parent(&client, &container).await,
            Some(link.chain_id.to_string())
        );
        let below = client
            .prove(&pause.manifest, deadline())
            .await
            .unwrap()
            .remove(0);
        assert_eq!(
            parent(&client, &pod).await,
            Some(below.chain_id.to_string())
        );
        assert_eq!(
            client.snapshot_parent("native", "absent", deadline()).await,
            Ok(None)
        );
        assert_eq!(client.core_container("absent", deadline()).await, Ok(None));

        let expected = Sandbox {
            id: pod.clone(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: "uid-said:1".to_owned(),
            runtime_handler: String::new(),
        };
        assert_eq!(
            client.sandbox(&pod, deadline()).await,
            Ok(Some(expected.clone()))
        );
        assert_eq!(client.sandboxes(deadline()).await, Ok(vec![expected]));
        assert_eq!(
            client.sandbox(&pod[..12], deadline()).await,
            Ok(None),
            "a prefix is no ID"
        );
        assert_eq!(client.sandbox("absent", deadline()).await, Ok(None));

        let seen = client
            .container(&container, deadline())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (seen.sandbox_id.as_str(), seen.image.as_str()),
            (pod.as_str(), id.as_str())
        );
        assert_eq!(seen.image_id, Some(app.config));
        assert!(seen.running);
        let said = if node.major >= 2 { "said:1" } else { "" };
        assert_eq!(seen.user_specified_image, said, "containerd {}", node.major);
        assert_eq!(client.containers(deadline()).await, Ok(vec![seen]));
        assert_eq!(client.container("absent", deadline()).await, Ok(None));
        let status = cri::ContainerStatusRequest {
            container_id: container.clone(),
            verbose: false,
        };
        let status = runtime.container_status(status).await.unwrap().into_inner();
        let shown = status.status.unwrap().image.unwrap();
        assert_eq!(
            shown.image, NAME,
            "ContainerStatus shows a tag, not what was stored"
        );

        client
            .remove_container(&container, deadline())
            .await
            .unwrap();
        client
            .remove_container(&container, deadline())
            .await
            .unwrap();
        assert_eq!(client.container(&container, deadline()).await, Ok(None));
        let remove = cri::RemovePodSandboxRequest {
            pod_sandbox_id: pod.clone(),
        };
        runtime.remove_pod_sandbox(remove).await.unwrap();
        assert_eq!(client.sandbox(&pod, deadline()).await, Ok(None));
    }
}
