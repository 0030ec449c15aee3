//! Files of other tools, as they are changed on a node.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use portcullis_policy::ImageReference;
use portcullis_policy::load::LoadOptions;
use portcullis_policy::model::Mode;
use portcullis_policy::select::Selection;

use super::tests::{Node, run, wait};
use crate::policy::{FileLastGood, PolicyHandle, PolicyKeeper, SetLoader};

const REJECT: &str = r#"{"default": [{"type": "reject"}]}"#;
const BROKEN: &str = r#"{"default": [{"type": "reject"}], "transport": {}}"#;

fn accepting(scope: &str) -> String {
    format!(
        r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{"{scope}": [{{"type": "insecureAcceptAnything"}}]}}}}}}"#
    )
}

fn start(node: &Node) -> (PolicyKeeper, PolicyHandle) {
    let loader = SetLoader {
        options: LoadOptions::default(),
        mode: Mode::Enforce,
    };
    let last_good = FileLastGood::new(&node.path("state"));
    node.start_loading(Arc::new(loader), Box::new(last_good))
}

fn put(node: &Node, name: &str, text: &str) {
    let path = node.path("policy.d").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The pattern that governs `r.example.com/app` in `namespace`; nothing: no rule.
fn governing(handle: &PolicyHandle, namespace: &str) -> String {
    let image = ImageReference::parse("r.example.com/app").unwrap();
    let active = handle.current();
    match active.policy.set.select(Some(namespace), &image) {
        Selection::Rules(rules) => rules.iter().map(|rule| rule.pattern.text.clone()).collect(),
        Selection::NoRule { .. } => String::new(),
    }
}

#[test]
fn a_broken_policy_json_leaves_the_set_in_force_also_after_a_restart() {
    let node = Node::new();
    put(&node, "containers/policy.json", &accepting("r.example.com"));
    put(&node, "containers/shop.json", REJECT);
    let (keeper, handle) = start(&node);
    assert_eq!(governing(&handle, "other"), "r.example.com");
    assert_eq!(governing(&handle, "shop"), "default");
    for (name, text) in [
        ("containers/policy.json", BROKEN),
        ("containers/shop.json", BROKEN),
        ("containers/registries.d/a.yaml", "docker: ["),
        ("notation/trustpolicy.json", "{}"),
        ("containers/policy.yaml", "{}"),
    ] {
        let before = fs::read(node.path("policy.d").join(name)).ok();
        put(&node, name, text);
        run(handle.reload());
        let refused = &handle.current().refused;
        assert!(
            refused.iter().any(|one| &*one.span.file == name),
            "{name}: {refused:?}"
        );
        assert_eq!(governing(&handle, "other"), "r.example.com", "{name}");
        assert_eq!(governing(&handle, "shop"), "default", "{name}");
        match before {
            Some(before) => fs::write(node.path("policy.d").join(name), before).unwrap(),
            None => fs::remove_file(node.path("policy.d").join(name)).unwrap(),
        }
        run(handle.reload());
        assert!(handle.current().refused.is_empty(), "{name}");
    }
    put(&node, "containers/policy.json", BROKEN);
    drop(keeper);
    let (_keeper, handle) = start(&node);
    assert!(!handle.current().refused.is_empty());
    assert_eq!(governing(&handle, "other"), "r.example.com");
    assert_eq!(governing(&handle, "shop"), "default");
}

#[test]
fn a_folder_that_appears_takes_force_without_being_asked_and_so_does_what_comes_into_it() {
    let node = Node::new();
    let (_keeper, handle) = start(&node);
    let mut generation = handle.current().generation;
    for (name, text) in [
        ("containers/policy.json", REJECT.to_owned()),
        (
            "containers/registries.d/a.yaml",
            "docker: {r.example.com: {lookaside: \"https://s.example.com\"}}".to_owned(),
        ),
        ("containers/shop.json", accepting("r.example.com")),
    ] {
        put(&node, name, &text);
        wait(&handle, |now| now > generation);
        generation = handle.current().generation;
    }
    assert_eq!(governing(&handle, "shop"), "r.example.com");
    assert_eq!(governing(&handle, "other"), "default");
}

#[test]
fn a_flip_of_a_configmap_moves_files_of_other_tools_as_one_set() {
    let node = Node::new();
    put(&node, "..1/containers__policy.json", REJECT);
    put(
        &node,
        "..1/containers__shop.json",
        &accepting("r.example.com"),
    );
    put(
        &node,
        "..2/containers__policy.json",
        &accepting("r.example.com"),
    );
    // What is left over beside `..data` belongs to no set.
    put(&node, "containers/policy.json", BROKEN);
    symlink("..1", node.path("policy.d/..data")).unwrap();
    let (_keeper, handle) = start(&node);
    assert_eq!(handle.current().refused, []);
    assert_eq!(
        (governing(&handle, "shop"), governing(&handle, "other")),
        ("r.example.com".to_owned(), "default".to_owned())
    );
    symlink("..2", node.path("policy.d/..data_tmp")).unwrap();
    let names = ["policy.d/..data_tmp", "policy.d/..data"].map(|name| node.path(name));
    fs::rename(&names[0], &names[1]).unwrap();
    wait(&handle, |now| now > 1);
    assert_eq!(
        (governing(&handle, "shop"), governing(&handle, "other")),
        ("r.example.com".to_owned(), "r.example.com".to_owned())
    );
    let active = handle.current();
    assert!(!active.policy.set.governed_namespaces.contains("shop"));
}

#[test]
fn a_password_in_a_file_that_others_may_read_is_refused_beside_files_of_other_tools() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: store, namespace: shop}\nstringData: {username: reader, password: \"x\"}\n";
    let node = Node::new();
    put(&node, "containers/policy.json", REJECT);
    put(&node, "secret.yaml", secret);
    let path = node.path("policy.d/secret.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (_keeper, handle) = start(&node);
    let refused = &handle.current().refused;
    assert!(
        refused.iter().any(|one| one.message.contains("chmod 600")),
        "{refused:?}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    run(handle.reload());
    assert_eq!(handle.current().refused, []);
    assert_eq!(governing(&handle, "shop"), "default");
}
