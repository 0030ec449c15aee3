//! A registry with the referrers API: the real tools sign through it, and the gate's client finds what they signed.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis::registry::{Auth, ProxyConfig, Registry, RegistryConfig};
use portcullis::signatures::{Gathered, SignatureClient, SignatureQuestion};
use portcullis_policy::{Digest, ImageReference};
use portcullis_tests::daemon::run;
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::referrers::Referrers;
use portcullis_tests::scratch::Scratch;
use portcullis_tests::signers::{Cosign, Envelope, Format, Notation, Subject};
use portcullis_tests::skip;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{ArtefactKind, SignatureSet, SignatureSource};
use serde_json::json;
use tokio::time::Instant;

const REPOSITORY: &str = "shop/app";

struct Shop {
    registry: Referrers,
    image: Image,
    scratch: Scratch,
}

impl Shop {
    fn open() -> Result<Self> {
        let registry = Referrers::start()?;
        let image = Recipe::new("referred").build()?;
        registry.push(REPOSITORY, "1", &image)?;
        Ok(Self {
            registry,
            image,
            scratch: Scratch::new()?,
        })
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            port: self.registry.port(),
            repository: REPOSITORY,
            digest: self.image.digest(),
        }
    }

    fn reference(&self) -> String {
        format!("127.0.0.1:{}/{REPOSITORY}", self.registry.port())
    }

    fn cosign(&self, test: &str) -> Result<Option<Cosign>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let cosign = Cosign::new(program, &self.scratch.dir("cosign")?)?;
        cosign.key("shop")?;
        Ok(Some(cosign))
    }

    fn notation(&self, test: &str) -> Result<Option<Notation>> {
        let Some(program) = skip::signer(test, Notation::find()) else {
            return Ok(None);
        };
        let notation = Notation::new(program, &self.scratch.dir("notation")?);
        notation.key("shop.test")?;
        Ok(Some(notation))
    }

    /// What a new client finds.
    async fn found(&self, sources: &[SignatureSource]) -> Result<Vec<SignatureSet>> {
        let config = RegistryConfig {
            certs_dir: self.scratch.dir("certs.d")?,
            containerd_config: self.scratch.path().join("none.toml"),
            ..RegistryConfig::default()
        };
        let registry = Registry::new(config, ProxyConfig::default())?;
        let subject: Digest = self.image.digest().parse()?;
        let question = SignatureQuestion {
            reference: &ImageReference::parse(&self.reference())?,
            subject: &subject,
            sources,
            passwords: &[],
            auth: &Auth::Anonymous,
            now: Timestamp::parse("2026-11-20T12:00:00Z").context("no time")?,
            deadline: Instant::now() + Duration::from_mins(1),
        };
        self.registry.clear();
        let gathered = SignatureClient::new(&registry).gather(&question).await;
        let whole = |one: Gathered| match (one.set, one.failure) {
            (_, Some(failure)) => Err(failure),
            (set, None) => Ok(set),
        };
        let sets: Result<Vec<_>, _> = gathered.into_iter().map(whole).collect();
        Ok(sets?.into_iter().flatten().collect())
    }
}

fn kinds(set: &SignatureSet) -> Vec<ArtefactKind> {
    let mut kinds: Vec<_> = set.artefacts.iter().map(|artefact| artefact.kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cosign_and_notation_sign_is_found_by_the_api_without_a_tag() -> Result<()> {
    let test = "referrers::what_cosign_and_notation_sign_is_found_by_the_api_without_a_tag";
    let shop = Shop::open()?;
    let (Some(cosign), Some(notation)) = (shop.cosign(test)?, shop.notation(test)?) else {
        return Ok(());
    };
    cosign.sign("shop", Format::Bundle, shop.subject(), &[])?;
    for envelope in Envelope::ALL {
        // notation 1.3 writes the tag even where there is an API, unless it is told not to.
        let by_api = ["--force-referrers-tag=false"];
        notation.sign("shop.test", envelope, shop.subject(), &by_api)?;
    }
    assert_eq!(
        shop.registry.tags(REPOSITORY),
        ["1"],
        "a referrers tag was written"
    );

    let sources = [SignatureSource::Bundles, SignatureSource::Notation];
    let sets = shop.found(&sources).await?;
    assert_eq!(kinds(&sets[0]), [ArtefactKind::SigstoreBundle]);
    assert_eq!(
        kinds(&sets[1]),
        [ArtefactKind::NotationJws, ArtefactKind::NotationCose]
    );
    assert!(sets.iter().all(|set| !set.truncated));
    let asked = shop.registry.asked();
    assert_eq!(asked.len(), 1 + 2 * 3, "{asked:#?}");

    // The same in pages of one.
    shop.registry.paginate(1);
    let paged = shop.found(&sources).await?;
    assert_eq!(paged[0].artefacts, sets[0].artefacts);
    assert_eq!(paged[1].artefacts, sets[1].artefacts);
    assert_eq!(shop.registry.asked().len(), 3 + 2 * 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestations_and_legacy_signatures_of_cosign_are_found_beside_them() -> Result<()> {
    let test = "referrers::attestations_and_legacy_signatures_of_cosign_are_found_beside_them";
    let shop = Shop::open()?;
    let Some(cosign) = shop.cosign(test)? else {
        return Ok(());
    };
    let predicate = json!({"buildDefinition": {}, "runDetails": {}});
    for format in Format::ALL {
        cosign.sign("shop", format, shop.subject(), &[])?;
        let kind = "https://example.com/predicate/v1";
        cosign.attest("shop", format, shop.subject(), kind, &predicate)?;
    }
    let sets = shop
        .found(&[
            SignatureSource::Bundles,
            SignatureSource::CosignSignatures,
            SignatureSource::CosignAttestations,
        ])
        .await?;
    assert_eq!(kinds(&sets[0]), [ArtefactKind::SigstoreBundle; 2]);
    assert_eq!(kinds(&sets[1]), [ArtefactKind::CosignSignature]);
    assert_eq!(kinds(&sets[2]), [ArtefactKind::CosignAttestation]);
    let annotations = &sets[1].artefacts[0].annotations;
    assert!(annotations.contains_key("dev.cosignproject.cosign/signature"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_that_notation_lists_under_the_tag_too_is_found_once() -> Result<()> {
    let test = "referrers::an_envelope_that_notation_lists_under_the_tag_too_is_found_once";
    let shop = Shop::open()?;
    let Some(notation) = shop.notation(test)? else {
        return Ok(());
    };
    notation.sign("shop.test", Envelope::Jws, shop.subject(), &[])?;
    assert_eq!(shop.registry.tags(REPOSITORY).len(), 2);
    let sets = shop.found(&[SignatureSource::Notation]).await?;
    assert_eq!(kinds(&sets[0]), [ArtefactKind::NotationJws]);
    Ok(())
}

#[test]
fn skopeo_copies_through_it() -> Result<()> {
    let shop = Shop::open()?;
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--preserve-digests"])
        .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
        .arg(format!("docker://{}:1", shop.reference()))
        .arg(format!("docker://{}-copy:1", shop.reference())))?;
    let digest = run(Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
        .arg(format!("docker://{}-copy:1", shop.reference())))?;
    assert_eq!(digest.trim(), shop.image.digest());
    Ok(())
}
