//! Reads notation's own `trustpolicy.json` and trust store (trust-store-trust-policy.md 1.0) into a requirement.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use portcullis_policy::Span;
use portcullis_policy::model::{
    KeyMaterial, NotationAction, NotationCheck, NotationLevel, NotationRequirement, TrustStore,
    TrustStoreKind, TrustedIdentity, VerifyTimestamp,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    version: String,
    trust_policies: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    name: String,
    registry_scopes: Vec<String>,
    signature_verification: Verification,
    #[serde(default)]
    trust_stores: Vec<String>,
    #[serde(default)]
    trusted_identities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verification {
    level: String,
    #[serde(default)]
    r#override: BTreeMap<String, String>,
    #[serde(default)]
    verify_timestamp: Option<String>,
}

/// What the statement for `repository` asks for; `None`: its level is `skip`.
pub(crate) fn requirement(
    policy: &Path,
    trust_store: &Path,
    repository: &str,
) -> anyhow::Result<Option<NotationRequirement>> {
    let text =
        fs::read_to_string(policy).with_context(|| format!("reading {}", policy.display()))?;
    let document: Document =
        serde_json::from_str(&text).with_context(|| format!("reading {}", policy.display()))?;
    ensure!(
        document.version == "1.0",
        "the version of the trust policy is not 1.0"
    );
    let of = |scope: &str| {
        let mut found = document
            .trust_policies
            .iter()
            .filter(|one| one.registry_scopes.iter().any(|other| other == scope));
        let first = found.next();
        ensure!(found.next().is_none(), "two statements are for {scope}");
        Ok(first)
    };
    let statement = of(repository)?
        .or(of("*")?)
        .with_context(|| format!("no statement is for {repository}"))?;
    let span = Span {
        file: policy.display().to_string().into(),
        line: 0,
        column: 0,
        path: statement.name.clone(),
    };
    let verification = &statement.signature_verification;
    let level = match verification.level.as_str() {
        "strict" => NotationLevel::Strict,
        "permissive" => NotationLevel::Permissive,
        "audit" => NotationLevel::Audit,
        "skip" => return Ok(None),
        _ => bail!("the level of statement {} is not known", statement.name),
    };
    let overrides = verification
        .r#override
        .iter()
        .map(|(check, action)| Ok((check_of(check)?, action_of(action)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Some(NotationRequirement {
        trust_stores: statement
            .trust_stores
            .iter()
            .map(|label| store(trust_store, label, &span))
            .collect::<anyhow::Result<_>>()?,
        trusted_identities: statement
            .trusted_identities
            .iter()
            .map(|text| TrustedIdentity {
                text: text.clone(),
                span: span.clone(),
            })
            .collect(),
        level,
        overrides,
        verify_timestamp: match verification.verify_timestamp.as_deref() {
            None | Some("always") => VerifyTimestamp::Always,
            Some("afterCertExpiry") => VerifyTimestamp::AfterCertExpiry,
            Some(_) => bail!("verifyTimestamp is not always or afterCertExpiry"),
        },
        user_metadata: BTreeMap::new(),
        span,
    }))
}

fn check_of(check: &str) -> anyhow::Result<NotationCheck> {
    Ok(match check {
        "integrity" => NotationCheck::Integrity,
        "authenticity" => NotationCheck::Authenticity,
        "authenticTimestamp" => NotationCheck::AuthenticTimestamp,
        "expiry" => NotationCheck::Expiry,
        "revocation" => NotationCheck::Revocation,
        _ => bail!("{check} is not a check"),
    })
}

fn action_of(action: &str) -> anyhow::Result<NotationAction> {
    Ok(match action {
        "enforce" => NotationAction::Enforce,
        "log" => NotationAction::Log,
        "skip" => NotationAction::Skip,
        _ => bail!("{action} is not an action"),
    })
}

/// `ca:example` from `x509/ca/example/*`. Links are not followed ("Trust Store").
fn store(folder: &Path, label: &str, span: &Span) -> anyhow::Result<TrustStore> {
    let (kind, name) = label
        .split_once(':')
        .with_context(|| format!("{label} is not KIND:NAME"))?;
    let of = match kind {
        "ca" => TrustStoreKind::Ca,
        "signingAuthority" => TrustStoreKind::SigningAuthority,
        "tsa" => TrustStoreKind::Tsa,
        _ => bail!("{kind} is not a kind of trust store"),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(known) && !name.starts_with('.'),
        "{name} is not a name of a trust store"
    );
    let folder = folder.join("x509").join(kind).join(name);
    ensure!(
        fs::symlink_metadata(&folder)
            .with_context(|| format!("reading {}", folder.display()))?
            .is_dir(),
        "{} is not a folder",
        folder.display()
    );
    let mut certificates = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            continue;
        }
        ensure!(
            entry.file_type()?.is_file(),
            "{} is not a plain file",
            path.display()
        );
        let wanted =
            |end: &std::ffi::OsStr| ["pem", "crt", "cer", "der"].iter().any(|one| end == *one);
        if path.extension().is_some_and(wanted) {
            certificates.push(KeyMaterial {
                bytes: fs::read(&path)?,
                name: path.display().to_string(),
                span: span.clone(),
            });
        }
    }
    certificates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(TrustStore {
        kind: of,
        name: name.to_owned(),
        certificates,
    })
}
