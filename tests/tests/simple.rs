//! Simple signing by the real GnuPG and skopeo, from a lookaside store.

use anyhow::Result;
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::liar::Reply;
use portcullis_tests::lookaside::Lookaside;
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::Demand;
use portcullis_tests::signers::OpenPgp;

const REPOSITORY: &str = "shop/app";
const USER: &str = "shop@example.com";

struct Shop {
    gated: Gated,
    keyring: OpenPgp,
    store: Lookaside,
}

impl Shop {
    async fn prepare() -> Result<Self> {
        let gated = Gated::prepare(Generation::One).await?;
        let keyring = OpenPgp::new(&gated.node.subdir("gpg")?)?;
        for (user, algorithm) in [(USER, "rsa3072"), ("mallory@example.com", "ed25519")] {
            keyring.key(user, algorithm)?;
        }
        Ok(Self {
            gated,
            keyring,
            store: Lookaside::start()?,
        })
    }

    /// Signs `reference` for `image` and puts the signature where the gate looks.
    fn sign(&self, user: &str, reference: &str, image: &Image, number: usize) -> Result<()> {
        let (manifest, _) = image.root_with_type();
        let signature = self.keyring.sign(user, reference, &manifest.bytes)?;
        self.store
            .put(REPOSITORY, image.digest(), number, signature);
        Ok(())
    }

    /// Portieris' own document, with its Secret; `trust` is more of the policy.
    fn portieris(&self, trust: &str) -> Result<String> {
        let key = self.keyring.public_key(USER)?.replace('\n', "\n    ");
        Ok(format!(
            "apiVersion: portieris.cloud.ibm.com/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  \
             repositories:\n  - name: \"{HOST}/shop/*\"\n    policy:\n      simple:\n        storeURL: \"{}\"\n        \
             requirements:\n        - {{type: signedBy, keySecret: openpgp}}\n{trust}---\napiVersion: v1\nkind: Secret\n\
             metadata: {{name: openpgp, namespace: shop}}\nstringData:\n  key: |\n    {key}\n",
            self.store.url()
        ))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_key_signed_for_this_reference_runs_and_nothing_else() -> Result<()> {
    let mut shop = Shop::prepare().await?;
    let policy = shop.portieris("")?;
    shop.gated.start(&policy)?;
    let signed = shop.gated.push(REPOSITORY, "1", "signed").await?;
    shop.sign("mallory@example.com", &tagged(REPOSITORY, "1"), &signed, 1)?;
    shop.sign(USER, &tagged(REPOSITORY, "1"), &signed, 2)?;
    assert_eq!(
        shop.gated.runs(&tagged(REPOSITORY, "1")).await?,
        "marker=signed uid=0"
    );

    shop.gated.push(REPOSITORY, "unsigned", "unsigned").await?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "unsigned")).await?;
    assert!(message.contains("simple"), "{message}");

    let foreign = shop.gated.push(REPOSITORY, "foreign", "foreign").await?;
    shop.sign(
        "mallory@example.com",
        &tagged(REPOSITORY, "foreign"),
        &foreign,
        1,
    )?;
    shop.gated.refuses(&tagged(REPOSITORY, "foreign")).await?;

    let renamed = shop.gated.push(REPOSITORY, "renamed", "renamed").await?;
    shop.sign(USER, &format!("{HOST}/other/app:renamed"), &renamed, 1)?;
    shop.sign(USER, &tagged(REPOSITORY, "old"), &renamed, 2)?;
    shop.gated.refuses(&tagged(REPOSITORY, "renamed")).await?;
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_and_simple_on_one_repository_must_agree_on_the_digest() -> Result<()> {
    let mut shop = Shop::prepare().await?;
    shop.gated.collection(REPOSITORY)?;
    let Demand::Signed { server, key, .. } = shop.gated.signed()? else {
        anyhow::bail!("no demand for a signature");
    };
    let key = key.replace('\n', "\n    ");
    let trust = format!(
        "      trust: {{enabled: true, trustServer: \"{server}\", signerSecrets: [{{name: {SIGNER}}}]}}\n---\napiVersion: v1\nkind: \
         Secret\nmetadata: {{name: {SIGNER}, namespace: shop}}\nstringData:\n  name: {SIGNER}\n  publicKey: |\n    {key}\n"
    );
    let policy = shop.portieris(&trust)?;
    shop.gated.start(&policy)?;

    let agreed = shop
        .gated
        .push_signed(REPOSITORY, "agreed", "agreed")
        .await?;
    shop.sign(USER, &tagged(REPOSITORY, "agreed"), &agreed, 1)?;
    let output = shop.gated.runs(&tagged(REPOSITORY, "agreed")).await?;
    assert_eq!(output, "marker=agreed uid=0");

    shop.gated
        .push_signed(REPOSITORY, "split", "for notary")
        .await?;
    let other = shop.gated.push(REPOSITORY, "other", "for simple").await?;
    shop.sign(USER, &tagged(REPOSITORY, "split"), &other, 1)?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "split")).await?;
    assert!(message.contains("simple"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_json_governs_a_namespace_as_its_owner_means_it() -> Result<()> {
    let mut shop = Shop::prepare().await?;
    let folder = shop.gated.policy_dir().join("containers");
    std::fs::create_dir_all(folder.join("registries.d"))?;
    std::fs::write(folder.join("shop.asc"), shop.keyring.public_key(USER)?)?;
    std::fs::write(
        folder.join("registries.d/default.yaml"),
        format!("docker:\n  {HOST}:\n    lookaside: {}\n", shop.store.url()),
    )?;
    let policy = serde_json::json!({
        "default": [{"type": "reject"}],
        "transports": {"docker": {
            format!("{HOST}/shop"): [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/shop.asc"}],
            format!("{HOST}/open"): [{"type": "insecureAcceptAnything"}],
        }},
    });
    std::fs::write(folder.join("policy.json"), policy.to_string())?;
    shop.gated.shim.start()?;
    let signed = shop.gated.push(REPOSITORY, "1", "signed").await?;
    shop.sign(USER, &tagged(REPOSITORY, "1"), &signed, 1)?;
    assert_eq!(
        shop.gated.runs(&tagged(REPOSITORY, "1")).await?,
        "marker=signed uid=0"
    );
    shop.gated.push(REPOSITORY, "2", "unsigned").await?;
    shop.gated.refuses(&tagged(REPOSITORY, "2")).await?;
    shop.gated.push("open/app", "1", "open").await?;
    assert_eq!(
        shop.gated.runs(&tagged("open/app", "1")).await?,
        "marker=open uid=0"
    );
    shop.gated.push("else/app", "1", "elsewhere").await?;
    shop.gated.refuses(&tagged("else/app", "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_days_without_registry_and_store_a_signed_pod_still_restarts() -> Result<()> {
    let mut shop = Shop::prepare().await?;
    let policy = shop.portieris("")?;
    shop.gated.start(&policy)?;
    let image = shop.gated.push(REPOSITORY, "1", "signed").await?;
    let reference = tagged(REPOSITORY, "1");
    shop.sign(USER, &reference, &image, 1)?;
    let pod = Pod::new("shop", &reference);
    let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.store.front().says(|_| Reply::Cut);
    shop.gated.shim.stop()?;
    shop.gated.shim.clock_ahead(60);
    shop.gated.shim.start()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    Ok(())
}
