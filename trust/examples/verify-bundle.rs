//! The verifying half of the client protocol of sigstore-conformance, by what the gate itself verifies with.
//!
//! `verify-bundle [--staging] --bundle FILE (--certificate-identity ID --certificate-oidc-issuer URL | --key PEM)
//! [--trusted-root FILE] FILE_OR_DIGEST`, where the digest is `sha256:<hex>`. Exits with 0 if it verifies, else with 1 and a
//! message. A transparency log entry and, for certificates, a certificate timestamp are required.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use portcullis_policy::model::{
    CertificateIdentity, Demand, KeyMaterial, SigstoreSigner, SigstoreSigners, TextMatch,
    TrustedRootSource,
};
use portcullis_policy::{Digest, Span};
use portcullis_trust::Timestamp;
use portcullis_trust::sigstore::SignerSet;
use portcullis_trust::sigstore::bundle::{Subject, verify_artifact};
use sigstore_trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;

#[derive(Default)]
struct Arguments {
    staging: bool,
    bundle: Option<String>,
    identity: Option<String>,
    issuer: Option<String>,
    key: Option<String>,
    trusted_root: Option<String>,
    subject: Option<String>,
}

fn main() -> ExitCode {
    match arguments(env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(signer) => {
            println!("verified: signed by {signer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("not verified: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(given: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut given = given.peekable();
    // The suite names the operation first; a program that can only do one need not be told.
    given.next_if(|first| first == "verify-bundle");
    let mut arguments = Arguments::default();
    while let Some(argument) = given.next() {
        let slot = match argument.as_str() {
            "--staging" => {
                arguments.staging = true;
                continue;
            }
            "--bundle" => &mut arguments.bundle,
            "--certificate-identity" => &mut arguments.identity,
            "--certificate-oidc-issuer" => &mut arguments.issuer,
            "--key" => &mut arguments.key,
            "--trusted-root" => &mut arguments.trusted_root,
            unknown if unknown.starts_with("--") => bail!("unknown option {unknown}"),
            _ => {
                if arguments.subject.replace(argument).is_some() {
                    bail!("more than one file or digest");
                }
                continue;
            }
        };
        let value = given
            .next()
            .with_context(|| format!("{argument} needs a value"))?;
        if slot.replace(value).is_some() {
            bail!("{argument} is given twice");
        }
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> Result<String> {
    let signer = match (&arguments.key, &arguments.identity, &arguments.issuer) {
        (Some(key), None, None) => SigstoreSigner::Key(material(key)?),
        (None, Some(identity), Some(issuer)) => SigstoreSigner::Identity(CertificateIdentity {
            identity: TextMatch::Exact(identity.clone()),
            issuer: TextMatch::Exact(issuer.clone()),
            span: Span::nowhere(),
        }),
        _ => bail!("give either --key, or --certificate-identity and --certificate-oidc-issuer"),
    };
    let trusted_root = match (&arguments.trusted_root, arguments.staging) {
        (Some(file), _) => TrustedRootSource::Json(material(file)?),
        (None, true) => TrustedRootSource::Json(KeyMaterial {
            bytes: SIGSTORE_STAGING_TRUSTED_ROOT.into(),
            name: "staging".to_owned(),
            span: Span::nowhere(),
        }),
        (None, false) => TrustedRootSource::PublicGood,
    };
    let signers = SignerSet::compile(&SigstoreSigners {
        of: vec![signer],
        threshold: 1,
        transparency_log: Demand::Require,
        signed_certificate_timestamp: Demand::Require,
        trusted_root,
    })
    .map_err(|diagnostics| {
        let messages: Vec<String> = diagnostics.into_iter().map(|one| one.message).collect();
        anyhow::anyhow!("{}", messages.join("; "))
    })?;
    let file = arguments.bundle.as_ref().context("--bundle is missing")?;
    let bundle = fs::read(file).with_context(|| format!("reading {file}"))?;
    let subject = arguments.subject.as_ref().context("no file or digest")?;
    let content;
    let subject = match subject.parse::<Digest>() {
        // A file may have the name of a digest.
        Ok(digest) if !Path::new(subject).exists() => Subject::Digest(digest),
        _ => {
            content = fs::read(subject).with_context(|| format!("reading {subject}"))?;
            Subject::Bytes(&content)
        }
    };
    let now = Timestamp::from_system(SystemTime::now());
    let verified = verify_artifact(&signers, &bundle, subject, now)
        .map_err(|reason| anyhow::anyhow!("the bundle does not count: {reason}"))?;
    Ok(verified.signer)
}

fn material(file: &str) -> Result<KeyMaterial> {
    Ok(KeyMaterial {
        bytes: fs::read(file).with_context(|| format!("reading {file}"))?,
        name: file.to_owned(),
        span: Span::nowhere(),
    })
}
