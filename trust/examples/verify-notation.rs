//! Verifies one notation envelope as `notation verify` would, without any network, by the functions the gate calls.
//!
//! ```text
//! verify-notation --envelope FILE --media-type application/jose+json|application/cose --trust-store DIR
//!                 --policy trustpolicy.json --reference REPOSITORY@sha256:… [--at RFC3339] [--metadata KEY=VALUE]…
//!                 [--crl URL=FILE]…
//! ```
//!
//! Exit status 0: it counts; 1: it does not, or something could not be read. The reason is on standard error.

#[path = "verify-notation/policy.rs"]
mod policy;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use portcullis_policy::Digest;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{Artefact, ArtefactKind, RevocationAnswer, RevocationWant};
use portcullis_trust::notation::NotationVerifier;

#[derive(Default)]
struct Arguments {
    envelope: Option<PathBuf>,
    media_type: Option<String>,
    trust_store: Option<PathBuf>,
    policy: Option<PathBuf>,
    reference: Option<String>,
    at: Option<Timestamp>,
    metadata: Vec<(String, String)>,
    crls: Vec<(String, PathBuf)>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments = arguments()?;
    let needed = "--envelope, --media-type, --trust-store, --policy and --reference are needed";
    let reference = arguments.reference.context(needed)?;
    let (repository, digest) = reference
        .split_once('@')
        .context("the reference is not REPOSITORY@sha256:…")?;
    let digest: Digest = digest.parse()?;
    let requirement = policy::requirement(
        &arguments.policy.context(needed)?,
        &arguments.trust_store.context(needed)?,
        repository,
    )?;
    let Some(mut requirement) = requirement else {
        println!("the trust policy skips verification for {repository}");
        return Ok(());
    };
    requirement.user_metadata = arguments.metadata.into_iter().collect();
    let artefact = Artefact {
        kind: match arguments.media_type.context(needed)?.as_str() {
            "application/jose+json" => ArtefactKind::NotationJws,
            "application/cose" => ArtefactKind::NotationCose,
            _ => bail!("the media type is not one of an envelope"),
        },
        bytes: fs::read(arguments.envelope.context(needed)?)?,
        annotations: std::collections::BTreeMap::new(),
    };
    let now = arguments
        .at
        .unwrap_or_else(|| Timestamp::from_system(SystemTime::now()));
    let verifier = NotationVerifier::compile(&requirement).map_err(|found| {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(texts.join("\n"))
    })?;
    let mut answers = Vec::new();
    for (url, file) in arguments.crls {
        let answer = RevocationAnswer {
            want: RevocationWant::Crl { url },
            bytes: fs::read(file)?,
            gathered_at: now,
        };
        if verifier.accepts(&digest, &[&artefact], &answer, None) {
            answers.push(Arc::new(answer));
        } else {
            eprintln!(
                "a CRL is not one that this signature needs, or not a good one: it is not used"
            );
        }
    }
    match verifier.verify(&digest, &[&artefact], &answers, now) {
        Ok(verified) => {
            for one in verified {
                println!("signed by {}", one.signer);
                one.notes.iter().for_each(|note| println!("note: {note}"));
            }
            Ok(())
        }
        Err(refused) => bail!("the signature does not count: {}", refused.clause()),
    }
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut parsed = Arguments::default();
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        let pair = || {
            value
                .split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .with_context(|| format!("{name} needs NAME=VALUE"))
        };
        match name.as_str() {
            "--envelope" => parsed.envelope = Some(value.into()),
            "--media-type" => parsed.media_type = Some(value),
            "--trust-store" => parsed.trust_store = Some(value.into()),
            "--policy" => parsed.policy = Some(value.into()),
            "--reference" => parsed.reference = Some(value),
            "--at" => parsed.at = Some(Timestamp::parse(&value).context("--at needs RFC 3339")?),
            "--metadata" => parsed.metadata.push(pair()?),
            // The last `=`: an address may have some of its own.
            "--crl" => {
                let (url, file) = value.rsplit_once('=').context("--crl needs URL=FILE")?;
                parsed.crls.push((url.to_owned(), file.into()));
            }
            _ => bail!("{name} is not known"),
        }
    }
    Ok(parsed)
}
