//! What the loader refuses, with the place and the path of the field; and what it takes.

mod common;

use common::*;
use portcullis_policy::PolicySet;
use portcullis_policy::load::{LoadOptions, MAX_FILE_BYTES, MAX_FILES, SourceFile, load};

fn load_all(files: &[SourceFile]) -> Result<PolicySet, Vec<String>> {
    load(files, &LoadOptions::default())
        .map(|loaded| loaded.set)
        .map_err(|errors| texts(&errors))
}

#[test]
fn one_run_shows_the_errors_of_every_document_and_file_with_line_column_and_field() {
    let first = "\
apiVersion: portcullis.dev/v1
kind: ImagePolicy
metadata: {name: apps, namespace: shop, lables: {}}
spec:
  repositories:
  - name: r.io/App
    mode: off
    policy: {allow: {}}
  - name: r.io/b
    policy: {trust: {trustServer: 12}}
  repostories: []
---
apiVersion: portcullis.dev/v1
kind: ClusterImagePolicy
metadata: {name: all, namespace: shop}
spec: {repositories: []}
";
    let errors =
        load_all(&[file("b.yaml", "a: [\n"), file("a.yaml", first)]).expect_err("is refused");
    let places: Vec<&str> = errors
        .iter()
        .map(|error| error.split(": error").next().unwrap_or_default())
        .collect();
    assert_eq!(
        places,
        [
            "a.yaml:3:41 (metadata.lables)",
            "a.yaml:6:11 (spec.repositories[0].name)",
            "a.yaml:7:11 (spec.repositories[0].mode)",
            "a.yaml:10:35 (spec.repositories[1].policy.trust.trustServer)",
            "a.yaml:11:3 (spec.repostories)",
            "a.yaml:15:23 (metadata.namespace)",
            "b.yaml:1:4 (a)",
        ],
        "{errors:#?}"
    );
}

#[test]
fn a_broken_file_refuses_the_good_ones_with_it() {
    let good = portieris_cluster("[{name: '*'}]");
    assert!(load_all(&[file("good.yaml", &good)]).is_ok());
    assert!(load_all(&[file("good.yaml", &good), file("bad.yaml", "kind: [")]).is_err());
}

#[test]
fn duplicate_keys_and_merge_keys_are_refused() {
    assert_refused(
        &format!("{}kind: ImagePolicy\n", portieris("[]")),
        "(kind): error: given twice; the other is in line 2",
    );
    assert_refused(
        &portieris("[{name: '*', policy: {trust: {enabled: true}}, policy: {}}]"),
        "(spec.repositories[0].policy): error: given twice",
    );
    let merge = "
x: &defaults {policy: {allow: {}}}
apiVersion: portcullis.dev/v1
kind: ClusterImagePolicy
metadata: {name: all}
spec: {repositories: [{<<: *defaults, name: '*'}]}
";
    assert_refused(merge, "merge keys");
}

#[test]
fn duplicate_labels_are_found_where_fields_are_ignored() {
    let text = portieris("[]").replace("namespace: shop", "namespace: shop, labels: {a: b, a: c}");
    assert_refused(&text, "(metadata.labels.a): error: given twice");
}

#[test]
fn other_kinds_and_groups_are_named_and_refused() {
    for (version, kind) in [
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("config.openshift.io/v1", "ClusterImagePolicy"),
        ("policy.sigstore.dev/v1beta1", "ClusterImagePolicy"),
        ("kyverno.io/v1", "ClusterPolicy"),
        ("portieris.cloud.ibm.com/v2", "ImagePolicy"),
        ("portcullis.dev/v1beta1", "ImagePolicy"),
        (
            "securityenforcement.admission.cloud.ibm.com/v1",
            "ImagePolicy",
        ),
    ] {
        let text = policy(version, kind, "{name: a}", "[]");
        assert_refused(
            &text,
            &format!("apiVersion `{version}`, kind `{kind}` is not read here"),
        );
    }
    assert_refused(
        &policy("portcullis.dev/v1", "Secret", "{name: a}", "[]"),
        "kind `Secret` is not known",
    );
    assert_refused("kind: ImagePolicy\n", "`apiVersion` is missing");
    assert_refused("- a\n", "must be a mapping, and is a list");
    assert_refused("just text\n", "must be a mapping, and is a text");
}

#[test]
fn lists_do_not_nest_and_each_item_is_judged() {
    let item = portieris("[{name: '*', polcy: {}}]").replace('\n', "\n  ");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n");
    assert_refused(&list, "(items[0].spec.repositories[0].polcy)");
    assert_refused(
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: []}]}",
        "kind `List` is not read here",
    );
    assert_refused("{apiVersion: v1, kind: List}", "`items` is missing");
}

#[test]
fn metadata_is_checked() {
    let with = |metadata: &str| policy("portcullis.dev/v1", "ImagePolicy", metadata, "[]");
    assert_refused(&with("{}"), "`name` is missing");
    assert_refused(&with("{name: Apps}"), "lower-case letters");
    assert_refused(&with("{name: ''}"), "must not be empty");
    assert_refused(&with("{name: a, namespace: Shop}"), "lower-case letters");
    assert_refused(&with("{name: a, namespace: a.b}"), "lower-case letters");
    assert_refused(&with("{name: 12}"), "must be text");
    let set = loaded(&with("{name: a}")).set;
    assert!(
        set.governed_namespaces.contains("default"),
        "as kubectl has it"
    );
}

#[test]
fn one_object_defined_twice_is_refused() {
    let text = format!(
        "{}---\n{}",
        portieris("[{name: a.io/*}]"),
        portieris("[{name: b.io/*}]")
    );
    assert_refused(
        &text,
        "ImagePolicy/apps is defined twice, here and at p.yaml:1:1",
    );
    let secrets = format!(
        "{}{}",
        secret("shop", "a", "{name: x}"),
        secret("shop", "a", "{name: y}")
    );
    assert_refused(&secrets, "Secret `a` in namespace `shop` is defined twice");
    loaded(&format!(
        "{}{}",
        secret("shop", "a", "{name: x}"),
        secret("shop", "a", "{name: x}")
    ));
}

#[test]
fn secrets_are_decoded_as_kubernetes_does() {
    let signed = |body: &str| {
        format!(
            "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: shop}}\n{body}",
            portieris(
                "[{name: '*', policy: {trust: {enabled: true, trustServer: 'https://n.example.com', signerSecrets: [{name: a}]}}}]"
            )
        )
    };
    loaded(&signed(
        "type: Opaque\nimmutable: true\ndata:\n  name: YWxpY2U=\n  publicKey: |\n    S0\n    VZ\n",
    ));
    loaded(&signed(
        "data: {name: Qk9C, publicKey: S0VZ}\nstringData: {name: alice}\n",
    ));
    assert_refused(
        &signed("data: {name: 'alice!', publicKey: S0VZ}\n"),
        "not base64; plain text belongs in `stringData`",
    );
    assert_refused(
        &signed("data: {name: 12345678, publicKey: S0VZ}\n"),
        "(data.name): error: must be text",
    );
    assert_refused(
        &signed("stringdata: {}\n"),
        "(stringdata): error: unknown field",
    );
    assert_refused(&signed("immutable: yes\n"), "must be `true` or `false`");
}

#[test]
fn sizes_and_counts_are_bounded() {
    let long = SourceFile {
        name: "long.yaml".into(),
        bytes: vec![b'#'; MAX_FILE_BYTES + 1],
        mode: None,
    };
    assert!(
        load_all(std::slice::from_ref(&long))
            .expect_err("refused")
            .iter()
            .any(|e| e.contains("long.yaml: error: larger than"))
    );
    let five: Vec<SourceFile> = (0..5)
        .map(|n| SourceFile {
            name: format!("{n}.yaml"),
            bytes: vec![b'#'; MAX_FILE_BYTES - 1],
            mode: None,
        })
        .collect();
    assert!(
        load_all(&five)
            .expect_err("refused")
            .iter()
            .any(|e| e.contains("together hold more than"))
    );
    let many: Vec<SourceFile> = (0..=MAX_FILES)
        .map(|n| file(&format!("{n}.yaml"), ""))
        .collect();
    assert!(
        load_all(&many)
            .expect_err("refused")
            .iter()
            .any(|e| e.contains("more than 1024 files"))
    );
    let rules: Vec<String> = (0..20_001)
        .map(|n| format!("{{name: r.io/a{n}}}"))
        .collect();
    assert_refused(
        &portieris(&format!("[{}]", rules.join(","))),
        "more than 20000 rules",
    );
    assert_refused(
        &portieris(&format!("[{{name: 'r.io/{}'}}]", "a".repeat(1100))),
        "at most 1024 bytes",
    );
}

#[test]
fn a_flood_of_errors_is_cut_and_still_refuses() {
    let bad: Vec<&str> = vec!["{nme: x}"; 5000];
    let errors = refused(&portieris(&format!("[{}]", bad.join(","))));
    assert!((1..=500).contains(&errors.len()));
    // More warnings than are kept, then one error.
    let open: Vec<String> = (0..600).map(|n| format!("{{name: r.io/a{n}}}")).collect();
    let errors = refused(&format!(
        "{}---\nkind: x\n",
        portieris(&format!("[{}]", open.join(",")))
    ));
    assert!(errors.iter().any(|e| e.contains("`apiVersion` is missing")));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let file = SourceFile {
        name: "p.yaml".into(),
        bytes: b"a: \xff".to_vec(),
        mode: None,
    };
    assert_eq!(
        load_all(&[file]),
        Err(vec!["p.yaml: error: not UTF-8 after byte 3".to_owned()])
    );
}

#[test]
fn two_files_of_one_name_are_refused() {
    assert!(load_all(&[file("p.yaml", ""), file("p.yaml", "")]).is_err());
}

#[test]
fn nothing_at_all_is_an_empty_set() {
    assert_eq!(load_all(&[]), Ok(PolicySet::default()));
    assert_eq!(
        load_all(&[file("p.yaml", "# only comments\n---\n")]),
        Ok(PolicySet::default())
    );
}

#[test]
fn json_is_taken_like_yaml() {
    let json = "{\"apiVersion\": \"portcullis.dev/v1\", \"kind\": \"ClusterImagePolicy\", \"metadata\": {\"name\": \"all\"},\n\
                \"spec\": {\"repositories\": [{\"name\": \"*\", \"policy\": {\"allow\": {}}}]}}";
    assert_eq!(
        load_all(&[file("p.json", json)])
            .expect("loads")
            .rules
            .len(),
        1
    );
}

#[test]
fn a_message_is_one_line_of_bounded_length_whatever_names_stand_in_it() {
    let name = format!("\"a\\n\\e[31m{}\"", "x".repeat(100_000));
    let trust = format!(
        "{{enabled: true, trustServer: 'https://n.example.com', signerSecrets: [{{name: {name}}}]}}"
    );
    for error in refused(&portieris(&format!(
        "[{{name: '*', policy: {{trust: {trust}}}}}]"
    ))) {
        assert!(
            error.len() < 2000 && !error.contains(char::is_control),
            "{error}"
        );
    }
}

#[test]
fn a_namespace_that_was_not_filled_in_is_not_the_default_one() {
    for metadata in [
        "{name: a, namespace: }",
        "{name: a, namespace: null}",
        "{name: a, namespace: ''}",
    ] {
        let text = policy("portcullis.dev/v1", "ImagePolicy", metadata, "[]");
        assert_refused(&text, "(metadata.namespace)");
    }
    let text = policy("portcullis.dev/v1", "ImagePolicy", "{name: a}", "[]");
    assert!(loaded(&text).set.governed_namespaces.contains("default"));
}
