//! `notary:`: which trust server speaks for which images.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portcullis_policy::model::NotaryServer;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::field;

/// One entry of `notary:`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NotaryEntry {
    /// Pattern on the normalised repository, such as `docker.io/*`.
    #[serde(rename = "match", deserialize_with = "pattern")]
    pub pattern: String,
    /// Base URL; `https` only.
    #[serde(deserialize_with = "field::https_url")]
    pub server: String,
    /// PEM file with the CA of the server's certificate; absent: the system's store.
    #[serde(default, deserialize_with = "field::optional_path")]
    pub ca: Option<PathBuf>,
    /// Repository (exact, or a prefix followed by `*`) to the TUF key id of its root key.
    #[serde(default, deserialize_with = "pins")]
    pub pins: BTreeMap<String, String>,
    /// Whether the first root seen for a repository without a pin is believed, and then kept.
    #[serde(default)]
    pub trust_on_first_use: bool,
}

impl NotaryEntry {
    /// The same, as the policy model has it.
    pub fn server(&self) -> NotaryServer {
        NotaryServer {
            server: self.server.clone(),
            ca: self.ca.as_ref().map(|path| path.display().to_string()),
            pins: self.pins.clone(),
            trust_on_first_use: self.trust_on_first_use,
        }
    }
}

fn pattern<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(D::Error::custom(
            "`match` must be a pattern on the repository, such as \"docker.io/*\"",
        ));
    }
    Ok(text)
}

fn pins<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    let pins = BTreeMap::<String, String>::deserialize(input)?;
    for (gun, key) in &pins {
        let wildcard = gun.strip_suffix('*').unwrap_or(gun);
        if wildcard.is_empty() || wildcard.contains('*') {
            return Err(D::Error::custom(format!(
                "`{gun}` in `pins` must be a repository, or a prefix of one followed by `*`"
            )));
        }
        if key.len() != 64 || !key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(D::Error::custom(format!(
                "the pin of `{gun}` must be a TUF key id: 64 lower-case hex digits"
            )));
        }
    }
    Ok(pins)
}
