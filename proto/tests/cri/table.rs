//! The method table lists what is published, and the newer RPCs.

use portcullis_proto::method::{METHODS, lookup};

use crate::published::{api_proto, rpcs};

/// RPCs that came after the release `k8s-cri` is made from.
const NEWER: &[(&str, &str, &str)] = &[
    ("RuntimeService", "UpdatePodSandboxResources", "0.33"),
    ("RuntimeService", "StreamPodSandboxes", "0.36"),
    ("RuntimeService", "StreamContainers", "0.36"),
    ("RuntimeService", "StreamContainerStats", "0.36"),
    ("RuntimeService", "StreamPodSandboxStats", "0.36"),
    ("RuntimeService", "StreamPodSandboxMetrics", "0.36"),
    ("ImageService", "StreamImages", "0.36"),
];

#[test]
fn table_is_the_published_services_and_the_newer_rpcs() {
    let published = rpcs(&api_proto());
    assert!(
        published.len() >= 34,
        "only {} RPCs were found in the definition",
        published.len()
    );
    let newer = NEWER
        .iter()
        .map(|(service, name, _)| ((*service).to_owned(), (*name).to_owned()));
    let mut expected: Vec<_> = published.into_iter().chain(newer).collect();
    expected.sort();
    expected.dedup();
    let table: Vec<_> = METHODS
        .iter()
        .map(|method| (method.service.to_owned(), method.name.to_owned()))
        .collect();
    assert_eq!(table, expected);
}

#[test]
fn newer_rpcs_say_since_when() {
    for (service, name, since) in NEWER {
        let method = lookup(&format!("/runtime.v1.{service}/{name}")).expect(name);
        assert_eq!(
            (method.since, method.gate, method.learn),
            (*since, false, false),
            "{name}"
        );
    }
}
