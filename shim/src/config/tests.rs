use super::*;

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("config.yaml"), text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn every_key_of_the_contract_is_understood() {
    let config = read(
        r#"
mode: audit
listen: /tmp/cri.sock
upstream: /tmp/containerd.sock
policyDir: /tmp/policy.d
stateDir: /tmp/state
adminSocket: /tmp/admin.sock
budget: 500ms
registry:
  certsDir: /tmp/certs.d
  containerdConfig: /tmp/config.toml
  credentials: {dockerConfig: /tmp/config.json, credentialProviders: {config: /tmp/p.yaml, binDir: /tmp/bin}}
notary:
- {match: "docker.io/*", server: "https://notary.example.com:4443/", ca: /tmp/ca.pem, pins: {"docker.io/x/*": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}, trustOnFirstUse: true}
foreignContainers: kill
lazySnapshotters: [stargz]
logFormat: human
"#,
    )
    .unwrap();
    assert_eq!(config.mode, Mode::Audit);
    assert_eq!(config.budget, Duration::from_millis(500));
    assert_eq!(config.foreign_containers, ForeignContainers::Kill);
    assert!(config.lazy_snapshotters.acknowledges("stargz"));
    assert!(!config.lazy_snapshotters.acknowledges("nydus"));
    assert_eq!(config.log_format, Some(LogFormat::Human));
    let options = config.load_options();
    let (pattern, server) = &options.notary[0];
    assert_eq!(pattern, "docker.io/*");
    assert_eq!(server.server, "https://notary.example.com:4443");
    assert!(server.trust_on_first_use);
    assert_eq!(server.pins.len(), 1);
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
    assert_eq!(read("# nothing yet\n").unwrap(), Config::default());
    assert_eq!(read("lazySnapshotters: deny\n").unwrap(), Config::default());
}

#[test]
fn unknown_keys_are_refused_with_their_place_at_every_level() {
    for (text, place) in [
        ("mode: enforce\nlistn: /x\n", "config.yaml:2:1: "),
        ("registry:\n  certDir: /x\n", "config.yaml:2:3: "),
        (
            "registry:\n  credentials:\n    docker: /x\n",
            "config.yaml:3:5: ",
        ),
        (
            "notary:\n- match: a\n  server: https://x\n  tofu: true\n",
            "config.yaml:4:3: ",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(place), "{error}");
        assert!(error.contains("unknown field"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn values_that_would_weaken_the_gate_by_mistake_are_refused() {
    for text in [
        "mode: off\n",
        "mode: Enforce\n",
        "mode: null\n",
        "mode: enforce\nmode: audit\n",
        "listen: cri.sock\n",
        "budget: 20\n",
        "budget: 0s\n",
        "budget: 3m\n",
        "foreignContainers: yes\n",
        "lazySnapshotters: allow\n",
        "lazySnapshotters: ['']\n",
        "notary: [{match: 'a', server: 'http://notary.example.com'}]\n",
        "notary: [{match: 'a', server: 'https://u:p@notary.example.com'}]\n",
        "notary: [{match: 'a', server: 'https://notary.example.com/?x'}]\n",
        "notary: [{match: '', server: 'https://notary.example.com'}]\n",
        "notary: [{match: 'a', server: 'https://n', pins: {'*': '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}}]\n",
        "notary: [{match: 'a', server: 'https://n', pins: {'a': '0011'}}]\n",
        "notary: [{match: 'a', server: 'https://n', trustOnFirstUse: yes}]\n",
        "- mode\n",
        "mode: enforce\n---\nmode: audit\n",
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with("config.yaml:"), "{text}: {error}");
    }
}

#[test]
fn an_explicit_file_must_exist_and_be_ones_own() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    assert!(matches!(load(Some(&path)), Err(ConfigError::Read { .. })));
    std::fs::write(&path, "mode: audit\n").unwrap();
    assert_eq!(load(Some(&path)).unwrap().mode, Mode::Audit);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(load(Some(&path)), Err(ConfigError::Unsafe { .. })));
}

#[test]
fn bootstrap_stands_beside_the_configuration() {
    assert_eq!(
        bootstrap_path(Path::new(DEFAULT_PATH)),
        Path::new("/etc/portcullis/bootstrap.yaml")
    );
}
