//! Signatures by plain keys, as cosign 3.1.1 makes them, without a log.

use portcullis_policy::model::{SigstoreSigner, SigstoreSigners};
use portcullis_trust::sigstore::SignerSet;

use crate::sigstore_fixture::{case, clause, key, material, names, offline, read, verify};

fn by_key(name: &str) -> SigstoreSigners {
    offline(vec![key(&format!("{name}.pub"))])
}

fn compile_error(signer: SigstoreSigner) -> String {
    let diagnostics = SignerSet::compile(&offline(vec![signer])).unwrap_err();
    let [one] = diagnostics.as_slice() else {
        panic!("{diagnostics:?}")
    };
    one.message.clone()
}

#[test]
fn every_key_type_verifies_in_both_formats() {
    for name in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        for format in ["bundle", "legacy"] {
            let artefacts = case(&format!("{format}-{name}"));
            let found = names(verify(by_key(name), &artefacts));
            assert!(
                found[0].starts_with(&format!("keys/{name}.pub (key ")),
                "{found:?}"
            );
            let other = clause(verify(by_key("other"), &artefacts));
            assert_eq!(
                other,
                "1 was found and does not count: it is not signed by a listed key"
            );
        }
    }
}

#[test]
fn what_other_versions_and_key_services_sign_with_verifies() {
    for (name, key) in [
        ("legacy-p384-sha256", "p384"),
        ("legacy-ed25519-pure", "ed25519"),
        ("legacy-rsa2048-pkcs256", "rsa2048"),
        ("legacy-rsa2048-pkcs384", "rsa2048"),
        ("legacy-rsa2048-pkcs512", "rsa2048"),
        ("legacy-rsa2048-pss256", "rsa2048"),
        ("legacy-rsa2048-pss384", "rsa2048"),
        ("legacy-rsa2048-pss512", "rsa2048"),
    ] {
        names(verify(by_key(key), &case(name)));
    }
}

#[test]
fn sha1_never_does() {
    for (name, key) in [
        ("legacy-p521-sha1", "p521"),
        ("legacy-rsa2048-sha1", "rsa2048"),
    ] {
        let found = clause(verify(by_key(key), &case(name)));
        assert!(
            found.ends_with("it is not signed by a listed key"),
            "{found}"
        );
    }
}

#[test]
fn a_certificate_stands_for_its_key() {
    let signers = offline(vec![key("p384.crt")]);
    names(verify(signers, &case("bundle-p384")));
}

#[test]
fn a_pkcs1_key_is_the_same_key() {
    let signers = offline(vec![key("rsa2048.pkcs1.pub")]);
    let pkcs1 = names(verify(signers, &case("bundle-rsa2048")));
    let spki = names(verify(by_key("rsa2048"), &case("bundle-rsa2048")));
    assert_eq!(pkcs1[0].split(" (").nth(1), spki[0].split(" (").nth(1));
}

#[test]
fn a_private_key_in_a_policy_is_an_error_that_says_so() {
    assert!(compile_error(key("private.pem")).contains("this is a private key"));
    let cosigns = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJ\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    let signer = SigstoreSigner::Key(material("inline", cosigns.into()));
    assert!(compile_error(signer).contains("this is a private key"));
}

#[test]
fn weak_unknown_several_and_damaged_keys_are_errors() {
    assert!(compile_error(key("rsa1024.pub")).contains("2048 to 8192 bits"));
    assert!(compile_error(key("secp256k1.pub")).contains("unsupported key type"));
    let two = [read("keys/p256.pub"), read("keys/p384.pub")].concat();
    let signer = SigstoreSigner::Key(material("inline", two));
    assert!(compile_error(signer).contains("exactly one PEM block"));
    let signer = SigstoreSigner::Key(material("inline", b"MFkw".to_vec()));
    assert!(compile_error(signer).contains("exactly one PEM block"));
    let broken = b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n".to_vec();
    let signer = SigstoreSigner::Key(material("inline", broken));
    assert!(compile_error(signer).contains("does not parse"));
}
