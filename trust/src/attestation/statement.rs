//! in-toto statements 0.1 and 1 (<https://github.com/in-toto/attestation/tree/main/spec>).

use portcullis_policy::Digest;
use serde_json::Value;

use super::flaw::Flaw;
use crate::strict_json::{self, Object};

/// Largest statement that is read. Bills of materials reach a few MiB.
const MAX_BYTES: usize = 16 << 20;
/// `_type` of the versions that are read. They differ in nothing that is looked at here.
const TYPES: [&str; 2] = [
    "https://in-toto.io/Statement/v0.1",
    "https://in-toto.io/Statement/v1",
];

/// A statement about the image in question, of the type in question.
#[derive(Debug)]
pub(super) struct Statement {
    document: Value,
    size: usize,
}

impl Statement {
    /// Reads the bytes that were signed.
    pub(super) fn read(bytes: &[u8], digest: &Digest, predicate_type: &str) -> Result<Self, Flaw> {
        if bytes.len() > MAX_BYTES {
            return Err(Flaw::TooLarge);
        }
        let document = strict_json::parse(bytes).map_err(|_| Flaw::NotAStatement)?;
        let statement = Object::of(&document).ok_or(Flaw::NotAStatement)?;
        let text = |name| statement.text(name).map_err(|_| Flaw::NotAStatement);
        if !text("_type")?.is_some_and(|kind| TYPES.contains(&kind)) {
            return Err(Flaw::NotAStatement);
        }
        let subjects = statement
            .array("subject")
            .map_err(|_| Flaw::NotAStatement)?;
        if !subjects.iter().any(|one| is_about(one, &digest.hex())) {
            return Err(Flaw::OtherSubject);
        }
        if text("predicateType")? != Some(predicate_type) {
            return Err(Flaw::OtherPredicate);
        }
        statement
            .get("predicate")
            .map_err(|_| Flaw::NotAStatement)?
            .ok_or(Flaw::NotAStatement)?;
        Ok(Self {
            size: bytes.len(),
            document,
        })
    }

    /// The whole of it.
    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// Its size in bytes, as it was signed.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What it states. Not always an object: `cosign attest --type spdx` has the text of an SPDX tag-value document.
    pub(super) fn predicate(&self) -> &Value {
        self.document.get("predicate").unwrap_or(&Value::Null)
    }
}

/// Whether a subject names the digest. Other algorithms beside it do not matter: the image is named by this one.
fn is_about(subject: &Value, hex: &str) -> bool {
    let named = || {
        let digest = Object::of(subject)?.object("digest").ok()??;
        digest.text("sha256").ok()?
    };
    named() == Some(hex)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TYPE: &str = "https://example.com/p";

    fn read(statement: &Value) -> Result<Statement, Flaw> {
        Statement::read(
            statement.to_string().as_bytes(),
            &Digest::of(b"image"),
            TYPE,
        )
    }

    fn good() -> Value {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": Digest::of(b"image").hex()}}],
            "predicateType": TYPE,
            "predicate": {},
        })
    }

    fn with(edit: impl FnOnce(&mut Value)) -> Option<Flaw> {
        let mut statement = good();
        edit(&mut statement);
        read(&statement).err()
    }

    #[test]
    fn both_versions_are_read_and_no_other() {
        assert_eq!(with(|_| {}), None);
        let old = "https://in-toto.io/Statement/v0.1";
        assert_eq!(with(|s| s["_type"] = old.into()), None);
        for other in ["https://in-toto.io/Statement/v2", "", "Statement"] {
            assert_eq!(
                with(|s| s["_type"] = other.into()),
                Some(Flaw::NotAStatement)
            );
        }
    }

    #[test]
    fn a_statement_about_another_image_does_not_count() {
        let other = Digest::of(b"other");
        for subject in [
            json!([]),
            json!([{"digest": {"sha256": other.hex()}}]),
            json!([{"digest": {"sha512": Digest::of(b"image").hex()}}]),
            json!([{"name": Digest::of(b"image").hex(), "digest": {}}]),
            json!([{"digest": {"sha256": Digest::of(b"image").to_string()}}]),
            json!([{"digest": {"sha256": Digest::of(b"image").hex().to_uppercase()}}]),
            json!([{"digest": {"sha256": [Digest::of(b"image").hex()]}}]),
        ] {
            let flaw = with(|s| s["subject"] = subject.clone());
            assert_eq!(flaw, Some(Flaw::OtherSubject), "{subject}");
        }
    }

    #[test]
    fn the_predicate_type_is_compared_exactly() {
        for other in ["https://example.com/p/", "https://example.com/P", ""] {
            let flaw = with(|s| s["predicateType"] = other.into());
            assert_eq!(flaw, Some(Flaw::OtherPredicate), "{other}");
        }
    }

    #[test]
    fn a_statement_without_a_predicate_states_nothing() {
        assert_eq!(with(|s| s["predicate"] = "SPDXVersion: …".into()), None);
        for none in ["null", "missing"] {
            let flaw = with(|s| {
                s["predicate"] = Value::Null;
                if none == "missing" {
                    s.as_object_mut().unwrap().remove("predicate");
                }
            });
            assert_eq!(flaw, Some(Flaw::NotAStatement), "{none}");
        }
    }

    #[test]
    fn two_predicate_types_in_one_statement_are_none() {
        let text = good().to_string().replacen(
            "\"predicateType\"",
            "\"predicateType\":\"https://example.com/q\",\"predicateType\"",
            1,
        );
        let read = Statement::read(text.as_bytes(), &Digest::of(b"image"), TYPE);
        assert_eq!(read.err(), Some(Flaw::NotAStatement));
        let flaw = with(|s| s["PredicateType"] = "https://example.com/q".into());
        assert_eq!(flaw, Some(Flaw::NotAStatement));
    }
}
