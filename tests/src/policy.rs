//! Policy documents and the node's list of trust servers, as text.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

/// One entry of `notary:` in config.yaml.
#[derive(Debug, Clone)]
pub struct NotaryServer {
    /// Pattern on the repository.
    pub repositories: String,
    /// Port on loopback.
    pub port: u16,
    /// Certificate authority.
    pub ca: PathBuf,
    /// Collection and TUF key id of its root.
    pub pins: Vec<(String, String)>,
}

impl NotaryServer {
    /// Its base URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// As an item of a YAML list.
    pub fn yaml(&self) -> String {
        let mut pins = String::new();
        for (gun, id) in &self.pins {
            let _ = write!(
                pins,
                "{}\"{gun}\": \"{id}\"",
                if pins.is_empty() { "" } else { ", " }
            );
        }
        format!(
            "- match: \"{}\"\n  server: \"{}\"\n  ca: \"{}\"\n  pins: {{{pins}}}\n  trustOnFirstUse: false\n",
            self.repositories,
            self.url(),
            self.ca.display(),
        )
    }
}

/// What a rule asks for.
#[derive(Debug, Clone)]
pub enum Demand {
    /// `policy: {}`.
    Allow,
    /// A Notary signature by this signer, held in a Secret of the same name.
    Signed {
        /// URL of the trust server.
        server: String,
        /// Name of the signer.
        signer: String,
        /// Its public key or certificate, PEM.
        key: String,
    },
}

/// A Portieris `ImagePolicy` of one namespace, with the Secrets it names.
pub fn namespace_policy(namespace: &str, rules: &[(&str, Demand)]) -> String {
    let head = format!(
        "apiVersion: portieris.cloud.ibm.com/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: {namespace}}}\n"
    );
    document(&head, namespace, rules)
}

/// A Portieris `ClusterImagePolicy`, with the Secrets it names in `namespace`.
pub fn cluster_policy(namespace: &str, rules: &[(&str, Demand)]) -> String {
    let head = "apiVersion: portieris.cloud.ibm.com/v1\nkind: ClusterImagePolicy\nmetadata: {name: node}\n";
    document(head, namespace, rules)
}

/// An `ImagePolicy` in our own words: one rule, for what `pattern` matches.
pub fn own_policy(namespace: &str, pattern: &str, requirement: &Value) -> String {
    // JSON is YAML.
    format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: {namespace}}}\nspec:\n  \
         repositories:\n  - name: \"{pattern}\"\n    policy: {requirement}\n"
    )
}

/// The same for namespace shop.
pub fn shop_policy(pattern: &str, requirement: &Value) -> String {
    own_policy("shop", pattern, requirement)
}

fn document(head: &str, namespace: &str, rules: &[(&str, Demand)]) -> String {
    let mut text = format!("{head}spec:\n  repositories:\n");
    let mut secrets = String::new();
    let mut named: Vec<&str> = Vec::new();
    if rules.is_empty() {
        text = format!("{head}spec:\n  repositories: []\n");
    }
    for (pattern, demand) in rules {
        let _ = write!(text, "  - name: \"{pattern}\"\n    policy:");
        match demand {
            Demand::Allow => text.push_str(" {}\n"),
            Demand::Signed {
                server,
                signer,
                key,
            } => {
                let _ = write!(
                    text,
                    "\n      trust:\n        enabled: true\n        trustServer: \"{server}\"\n        signerSecrets:\n        - name: {signer}\n"
                );
                if !named.contains(&signer.as_str()) {
                    named.push(signer);
                    secrets.push_str(&secret(namespace, signer, key));
                }
            }
        }
    }
    text + &secrets
}

fn secret(namespace: &str, signer: &str, key: &str) -> String {
    let mut text = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {signer}, namespace: {namespace}}}\ntype: Opaque\nstringData:\n  name: {signer}\n  publicKey: |\n"
    );
    for line in key.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}
