//! Verifies one simple signature, with the functions that the gate uses.
//!
//! ```text
//! verify-simple --signature FILE --keyring FILE --reference REF --digest DIGEST [--at RFC3339] [--identity JSON]
//! ```
//!
//! `--keyring` may be given several times. `--at` is the time to judge by, now if absent. `--identity` is a
//! `signedIdentity` of containers-policy.json(5), such as `{"type":"matchRepository"}`. Exit status: 0 it counts (who
//! signed is on stdout), 1 it does not (why is on stderr), 64 the arguments cannot be used.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use portcullis_policy::model::{KeyMaterial, SignatureStore, SignedIdentity, SimpleRequirement};
use portcullis_policy::{Digest, ImageReference, Span};
use portcullis_trust::Timestamp;
use portcullis_trust::openpgp::SimpleVerifier;

/// `signedIdentity`, with the field names of containers/image.
#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
enum Identity {
    MatchRepoDigestOrExact,
    MatchExact,
    MatchRepository,
    #[serde(rename_all = "camelCase")]
    ExactReference {
        docker_reference: String,
    },
    #[serde(rename_all = "camelCase")]
    ExactRepository {
        docker_repository: String,
    },
    #[serde(rename = "remapIdentity", rename_all = "camelCase")]
    Remap {
        prefix: String,
        signed_prefix: String,
    },
}

impl From<Identity> for SignedIdentity {
    fn from(identity: Identity) -> Self {
        match identity {
            Identity::MatchRepoDigestOrExact => Self::MatchRepoDigestOrExact,
            Identity::MatchExact => Self::MatchExact,
            Identity::MatchRepository => Self::MatchRepository,
            Identity::ExactReference { docker_reference } => Self::ExactReference(docker_reference),
            Identity::ExactRepository { docker_repository } => {
                Self::ExactRepository(docker_repository)
            }
            Identity::Remap {
                prefix,
                signed_prefix,
            } => Self::Remap {
                prefix,
                signed_prefix,
            },
        }
    }
}

struct Asked {
    message: Vec<u8>,
    reference: ImageReference,
    digest: Digest,
    at: Timestamp,
    requirement: SimpleRequirement,
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(64);
        }
    };
    let verifier = match SimpleVerifier::compile(&asked.requirement) {
        Ok(verifier) => verifier,
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                eprintln!("{diagnostic}");
            }
            return ExitCode::from(1);
        }
    };
    match verifier.verify_one(&asked.reference, &asked.digest, &asked.message, asked.at) {
        Ok(found) => {
            let at = found.signed_at.map(|at| format!(" at {at}"));
            println!("signed by {}{}", found.signer, at.unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the signature does not count: {error}");
            ExitCode::from(1)
        }
    }
}

fn asked(mut args: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
    let mut message = None;
    let mut keys = Vec::new();
    let mut reference = None;
    let mut digest = None;
    let mut at = Timestamp::from_system(SystemTime::now());
    let mut identity = SignedIdentity::default();
    while let Some(name) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--signature" => message = Some(read(&value)?),
            "--keyring" => keys.push(KeyMaterial {
                bytes: read(&value)?,
                name: value.clone(),
                span: place(&value),
            }),
            "--reference" => reference = Some(ImageReference::parse(&value)?),
            "--digest" => digest = Some(value.parse()?),
            "--at" => at = Timestamp::parse(&value).context("--at is not a time of RFC 3339")?,
            "--identity" => {
                identity = serde_json::from_str::<Identity>(&value)
                    .context("--identity is not a signedIdentity")?
                    .into();
            }
            _ => bail!("unknown argument {name}"),
        }
    }
    if keys.is_empty() {
        bail!("--keyring is missing");
    }
    Ok(Asked {
        message: message.context("--signature is missing")?,
        reference: reference.context("--reference is missing")?,
        digest: digest.context("--digest is missing")?,
        at,
        requirement: SimpleRequirement {
            keys,
            identity,
            store: SignatureStore::RegistryExtension,
            span: place("arguments"),
        },
    })
}

fn read(path: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(Path::new(path)).with_context(|| format!("cannot read {path}"))
}

fn place(file: &str) -> Span {
    Span {
        file: file.into(),
        line: 0,
        column: 0,
        path: String::new(),
    }
}
