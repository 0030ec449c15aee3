//! What the verifiers of every system answer.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use crate::time::Timestamp;

/// Most different causes that a text lists.
const MAX_CAUSES: usize = 4;

/// A signature (or statement, or annotation) that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who, with which key: `keys/shop.pub (key 3f2a…)`, `alice@example.com by https://issuer.example`.
    pub signer: String,
    /// When it was signed, where that is proved or claimed under the signature.
    pub signed_at: Option<Timestamp>,
    /// What else a person should know, such as checks that failed and are only logged. May be empty.
    pub notes: Vec<String>,
}

/// In an order that does not depend on where they were found.
pub(crate) fn sort(verified: &mut [Verified]) {
    verified.sort_by(|one, other| {
        let key = |of: &Verified| (of.signed_at, of.notes.clone());
        one.signer
            .cmp(&other.signer)
            .then_with(|| key(one).cmp(&key(other)))
    });
}

/// Whether a character ends a line or changes how others are shown: written backwards, not at all, or joined.
pub(crate) fn unseemly(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Nothing that was found counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// Artefacts looked at.
    found: usize,
    /// Why none counts: cause to number of artefacts.
    causes: BTreeMap<String, usize>,
    /// How many of a threshold were found.
    partly: Option<(usize, usize)>,
}

impl Refused {
    /// One artefact does not count, for this reason. The text must be the same for the same artefact and policy.
    pub fn add(&mut self, cause: &impl Display) {
        self.found = self.found.saturating_add(1);
        let count = self.causes.entry(cause.to_string()).or_default();
        *count = count.saturating_add(1);
    }

    /// Only `has` of the `needed` signers were found.
    pub fn partly(&mut self, has: usize, needed: usize) {
        self.partly = Some((has, needed));
    }

    /// Whether nothing was there to look at.
    pub fn found_nothing(&self) -> bool {
        self.found == 0
    }

    /// `none was found`, `2 were found and none counts: 2 are signed by another key`. A clause; byte-stable.
    pub fn clause(&self) -> String {
        let mut text = match (self.found, self.partly) {
            (_, Some((has, needed))) if has > 0 => {
                format!("{has} of {needed} required signers were found")
            }
            (0, _) => return "none was found".to_owned(),
            (1, _) => "1 was found and does not count".to_owned(),
            (found, _) => format!("{found} were found and none counts"),
        };
        if self.causes.is_empty() {
            return text;
        }
        let mut causes: Vec<(&String, &usize)> = self.causes.iter().collect();
        causes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let more = causes.len().saturating_sub(MAX_CAUSES);
        let words: Vec<String> = causes
            .into_iter()
            .take(MAX_CAUSES)
            .map(|(cause, count)| match count {
                1 => cause.clone(),
                count => format!("{count} times: {cause}"),
            })
            .collect();
        text.push_str(": ");
        text.push_str(&words.join(", "));
        if more > 0 {
            let _ = write!(text, ", and {more} other reasons");
        }
        text
    }
}
