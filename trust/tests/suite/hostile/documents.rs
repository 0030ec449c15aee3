//! What an operator or a pod writes: references and policy documents.

use portcullis_policy::ImageReference;
use portcullis_policy::load::{LoadOptions, SourceFile, load};

use super::{Seed, Target};

pub(super) const REFERENCE: Target = Target {
    name: "reference",
    run: |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        let reference = ImageReference::parse(text).ok()?;
        let normalised = reference.normalised();
        let again = ImageReference::parse(&normalised).expect("a normalised reference is one");
        assert_eq!(again.normalised(), normalised);
        None
    },
    seeds: || {
        [
            "nginx",
            "docker.io/library/nginx:1.25",
            "[::1]:5000/a/b:c@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "LOCALHOST/a__b/c.d-e",
        ]
        .map(|text| Seed::new(text, text.into()))
        .into()
    },
};

pub(super) const POLICY: Target = Target {
    name: "policy",
    run: |bytes| {
        let names = [
            "a.yaml",
            "containers/policy.json",
            "containers/registries.d/a.yaml",
            "notation/trustpolicy.json",
            "keys/a.pub",
        ];
        for name in names {
            let file = SourceFile {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
                mode: None,
            };
            let _ = load(&[file], &LoadOptions::default());
        }
        None
    },
    seeds: || {
        let documents = [
            "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {name: a, namespace: b}\nspec:\n  repositories:\n  - name: \"registry.example.com/*\"\n    mode: audit\n    tags: floating\n    policy: {anyOf: [{cosign: {keys: [{pem: x}], transparencyLog: ignore}}, {deny: {reason: r}}], threshold: 1}\n",
            "apiVersion: portieris.cloud.ibm.com/v1\nkind: ClusterImagePolicy\nmetadata: {name: a}\nspec:\n  repositories:\n  - name: \"*\"\n    policy: {trust: {enabled: true, trustServer: \"https://n\"}, simple: {requirements: [{type: signedBy, keySecret: k}]}}\n",
            "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker\":{\"docker.io/a\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"matchExact\"}}]}}}",
            "docker:\n  docker.io/a:\n    lookaside: https://l\ndefault-docker:\n  use-sigstore-attachments: true\n",
            "a: &a [1, *a]\n",
            "a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\n",
            "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        ];
        documents
            .map(|text| Seed::new("document", text.into()))
            .into_iter()
            .chain([Seed::file("notation/policies/any.json")])
            .collect()
    },
};
