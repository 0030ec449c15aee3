//! Requirements in the words of `portcullis.dev/v1`.

mod keys;
mod sigstore;

use crate::load::duration_text;
use crate::model::{
    AnnotationsRequirement, NotaryRequirement, NotationAction, NotationCheck, NotationLevel,
    NotationRequirement, Password, Requirement, Scope, SignatureStore, SignedIdentity,
    SimpleRequirement, TrustStoreKind, TrustedRootSource, VerifyTimestamp,
};

use super::yaml::{Value, map};
use sigstore::text_match;

/// `requirement`, with whatever cannot be said made a denial. `note` is told (the second value: images are judged
/// otherwise than before).
pub(super) fn expressible(
    requirement: Requirement,
    note: &mut impl FnMut(String, bool),
) -> Requirement {
    let inner = |of: Vec<Requirement>, note: &mut _| {
        of.into_iter().map(|one| expressible(one, note)).collect()
    };
    let problem = match requirement {
        Requirement::All(of) => return Requirement::All(inner(of, note)),
        Requirement::Any { threshold, of } => {
            return Requirement::Any {
                threshold,
                of: inner(of, note),
            };
        }
        Requirement::Cosign(cosign)
            if cosign.identity.is_some()
                || matches!(cosign.signers.trusted_root, TrustedRootSource::Parts { .. }) =>
        {
            "sigstoreSigned compares the repository named in the signature, and takes a CA and log keys one by one; cosign of \
             portcullis.dev/v1 does neither. Write `cosign` with `keys` or `identities`, and `trustedRoot`, yourself"
        }
        Requirement::Simple(simple) if is_folder(&simple.store) => {
            "the signatures are in a folder of the node (`file://`), and `storeURL` takes a web server only"
        }
        other => return other,
    };
    note(
        format!("cannot be said in portcullis.dev/v1, and is refused now: {problem}"),
        true,
    );
    Requirement::Deny {
        reason: Some("what was required here could not be converted".to_owned()),
    }
}

fn is_folder(store: &SignatureStore) -> bool {
    match store {
        SignatureStore::Lookaside(lookaside) => lookaside.url.0.starts_with("file:"),
        // Resolved before; left over, it cannot be said.
        SignatureStore::RegistriesD(_) => true,
        SignatureStore::RegistryExtension => false,
    }
}

/// Writes requirements, and collects the Secrets that they name.
#[derive(Default)]
pub(super) struct Writer {
    passwords: Vec<(String, Scope, Password)>,
}

impl Writer {
    /// The Secrets that were named, as documents.
    pub(super) fn secrets(self) -> Vec<Value> {
        let one = |(name, scope, password): (String, Scope, Password)| {
            let namespace = match &scope {
                Scope::Cluster => "default",
                Scope::Namespace(namespace) => namespace,
            };
            map([
                ("apiVersion", Value::text("v1")),
                ("kind", Value::text("Secret")),
                (
                    "metadata",
                    map([
                        ("name", Value::text(&name)),
                        ("namespace", Value::text(namespace)),
                    ]),
                ),
                (
                    "stringData",
                    map([
                        ("username", Value::Text(password.username)),
                        ("password", Value::Text(password.password)),
                    ]),
                ),
            ])
        };
        self.passwords.into_iter().map(one).collect()
    }

    /// What stands under `policy`. Nesting is that of the set, which a loader bounded.
    pub(super) fn requirement(&mut self, requirement: &Requirement, scope: &Scope) -> Value {
        let (key, value) = match requirement {
            Requirement::Allow => ("allow", Value::Map(Vec::new())),
            Requirement::Deny { reason } => {
                let reason = reason.iter().map(|text| entry("reason", Value::text(text)));
                ("deny", Value::Map(reason.collect()))
            }
            Requirement::All(of) => ("allOf", self.list(of, scope)),
            Requirement::Any { threshold, of } => {
                let threshold = Value::Plain(threshold.to_string());
                let of = self.list(of, scope);
                ("anyOf", map([("threshold", threshold), ("of", of)]))
            }
            Requirement::Notary(notary) => ("trust", self::notary(notary)),
            Requirement::Cosign(cosign) => ("cosign", sigstore::cosign(cosign)),
            Requirement::Attestation(one) => ("attestations", sigstore::attestation(one)),
            Requirement::Notation(notation) => ("notation", self::notation(notation)),
            Requirement::Simple(simple) => ("simple", self.simple(simple, scope)),
            Requirement::Annotations(one) => ("annotations", annotations(one)),
        };
        map([(key, value)])
    }

    fn list(&mut self, of: &[Requirement], scope: &Scope) -> Value {
        Value::List(of.iter().map(|one| self.requirement(one, scope)).collect())
    }

    fn simple(&mut self, simple: &SimpleRequirement, scope: &Scope) -> Value {
        let mut fields = vec![entry(
            "keys",
            keys::list(&simple.keys, keys::Armour::OpenPgp),
        )];
        if simple.identity != SignedIdentity::default() {
            fields.push(entry("signedIdentity", identity(&simple.identity)));
        }
        if let SignatureStore::Lookaside(lookaside) = &simple.store {
            fields.push(entry("storeURL", Value::text(&lookaside.url.0)));
            if let Some(password) = &lookaside.password {
                let name = self.secret(password, scope);
                fields.push(entry("storeSecret", Value::Text(name)));
            }
        }
        Value::Map(fields)
    }

    /// The name of the Secret with this password. One that a cluster policy names must not be in two namespaces with
    /// different contents, so that no name is used twice.
    fn secret(&mut self, password: &Password, scope: &Scope) -> String {
        let known = self
            .passwords
            .iter()
            .find(|(_, place, known)| place == scope && known == password);
        if let Some((name, ..)) = known {
            return name.clone();
        }
        let name = format!("converted-store-{}", self.passwords.len().saturating_add(1));
        self.passwords
            .push((name.clone(), scope.clone(), password.clone()));
        name
    }
}

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

fn identity(identity: &SignedIdentity) -> Value {
    let of = |word: &str| map([("type", Value::text(word))]);
    match identity {
        SignedIdentity::MatchRepoDigestOrExact => of("matchRepoDigestOrExact"),
        SignedIdentity::MatchExact => of("matchExact"),
        SignedIdentity::MatchRepository => of("matchRepository"),
        SignedIdentity::ExactReference(text) => map([
            ("type", Value::text("exactReference")),
            ("dockerReference", Value::text(text)),
        ]),
        SignedIdentity::ExactRepository(text) => map([
            ("type", Value::text("exactRepository")),
            ("dockerRepository", Value::text(text)),
        ]),
        SignedIdentity::Remap {
            prefix,
            signed_prefix,
        } => map([
            ("type", Value::text("remapIdentity")),
            ("prefix", Value::text(prefix)),
            ("signedPrefix", Value::text(signed_prefix)),
        ]),
    }
}

fn notary(notary: &NotaryRequirement) -> Value {
    let trust = &notary.trust;
    let mut fields = vec![entry("trustServer", Value::text(&trust.server))];
    fields.extend(trust.ca.iter().map(|ca| entry("ca", Value::text(ca))));
    if !trust.pins.is_empty() {
        let pins = trust.pins.iter();
        let pins = pins.map(|(gun, pin)| entry(gun, Value::text(pin)));
        fields.push(entry("pins", Value::Map(pins.collect())));
    }
    let first_use = Value::Plain(trust.trust_on_first_use.to_string());
    fields.push(entry("trustOnFirstUse", first_use));
    if !notary.signers.is_empty() {
        let signers = notary.signers.iter().map(|signer| {
            let key = String::from_utf8_lossy(&signer.public_key).into_owned();
            map([
                ("name", Value::text(&signer.name)),
                ("publicKey", Value::Text(key)),
            ])
        });
        fields.push(entry("signers", Value::List(signers.collect())));
    }
    Value::Map(fields)
}

fn notation(notation: &NotationRequirement) -> Value {
    let mut stores = Vec::new();
    for (word, kind) in [
        ("ca", TrustStoreKind::Ca),
        ("signingAuthority", TrustStoreKind::SigningAuthority),
        ("tsa", TrustStoreKind::Tsa),
    ] {
        let named: Vec<(String, Value)> = notation
            .trust_stores
            .iter()
            .filter(|store| store.kind == kind)
            .map(|store| {
                let certificates = keys::list(&store.certificates, keys::Armour::Certificate);
                (store.name.clone(), certificates)
            })
            .collect();
        if !named.is_empty() {
            stores.push(entry(word, Value::Map(named)));
        }
    }
    let identities = notation.trusted_identities.iter();
    let identities = identities.map(|identity| Value::text(&identity.text));
    let level = match notation.level {
        NotationLevel::Strict => "strict",
        NotationLevel::Permissive => "permissive",
        NotationLevel::Audit => "audit",
    };
    let mut fields = vec![
        entry("trustStores", Value::Map(stores)),
        entry("trustedIdentities", Value::List(identities.collect())),
        entry("level", Value::text(level)),
    ];
    if !notation.overrides.is_empty() {
        let overrides = notation.overrides.iter();
        let overrides = overrides.map(|(check, action)| (check_word(*check), action_word(*action)));
        let overrides = overrides.map(|(check, action)| entry(check, Value::text(action)));
        fields.push(entry("override", Value::Map(overrides.collect())));
    }
    if notation.verify_timestamp == VerifyTimestamp::AfterCertExpiry {
        fields.push(entry("verifyTimestamp", Value::text("afterCertExpiry")));
    }
    if !notation.user_metadata.is_empty() {
        fields.push(entry(
            "userMetadata",
            sigstore::exact(&notation.user_metadata),
        ));
    }
    Value::Map(fields)
}

fn check_word(check: NotationCheck) -> &'static str {
    match check {
        NotationCheck::Integrity => "integrity",
        NotationCheck::Authenticity => "authenticity",
        NotationCheck::AuthenticTimestamp => "authenticTimestamp",
        NotationCheck::Expiry => "expiry",
        NotationCheck::Revocation => "revocation",
    }
}

fn action_word(action: NotationAction) -> &'static str {
    match action {
        NotationAction::Enforce => "enforce",
        NotationAction::Log => "log",
        NotationAction::Skip => "skip",
    }
}

fn annotations(annotations: &AnnotationsRequirement) -> Value {
    let mut fields = Vec::new();
    if !annotations.values.is_empty() {
        let values = annotations.values.iter();
        let values = values.map(|(key, text)| entry(key, text_match(text)));
        fields.push(entry("match", Value::Map(values.collect())));
    }
    let age = annotations.max_age;
    fields.extend(age.map(|age| entry("createdWithin", Value::Text(duration_text(age)))));
    Value::Map(fields)
}
