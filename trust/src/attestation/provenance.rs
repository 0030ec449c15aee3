//! SLSA provenance 0.2 and 1 (<https://slsa.dev/spec/v0.2/provenance>, <https://slsa.dev/spec/v1.0/provenance>): who built
//! it, from which repository, from which branch or tag.
//!
//! Where these stand:
//!
//! | | 0.2 | 1 |
//! |---|---|---|
//! | builder | `builder.id` | `runDetails.builder.id` |
//! | source | `invocation.configSource.uri`; without one, the `materials` that are git repositories | `buildDefinition.externalParameters`: `workflow.repository`, `source` (text or `uri`), `repository`, `configSource.uri`; without any, the `resolvedDependencies` that are git repositories |
//! | branch or tag | behind that URI | `workflow.ref`, `ref`, behind that URI, and behind the URI of the same repository in `resolvedDependencies` |
//!
//! Everything that is there has to agree. Two different repositories, or two different branches, are refused: which of
//! them the image comes from would be the reader's guess.

use std::collections::BTreeSet;

use super::flaw::Flaw;
use super::source_uri::SourceUri;
use crate::strict_json::Object;

/// `predicateType` of version 0.2.
pub(super) const V02: &str = "https://slsa.dev/provenance/v0.2";
/// `predicateType` of version 1 (1.0 and 1.1 share it).
pub(super) const V1: &str = "https://slsa.dev/provenance/v1";

/// Most dependencies that are looked through.
const MAX_DEPENDENCIES: usize = 4096;

/// The provenance in a predicate of this type, which is one of the two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provenance<'a> {
    predicate: Object<'a>,
    v1: bool,
}

impl<'a> Provenance<'a> {
    /// Whether statements of the type are provenance.
    pub(super) fn is(predicate_type: &str) -> bool {
        matches!(predicate_type, V02 | V1)
    }

    /// `predicate_type` is one of the two.
    pub(super) fn of(predicate_type: &str, predicate: Object<'a>) -> Self {
        let v1 = predicate_type == V1;
        Self { predicate, v1 }
    }

    /// Who built it.
    pub(super) fn builder(self) -> Result<&'a str, Flaw> {
        let path: &[&str] = if self.v1 {
            &["runDetails", "builder"]
        } else {
            &["builder"]
        };
        let id = match self.predicate.path(path)? {
            Some(builder) => builder.text("id")?,
            None => None,
        };
        id.filter(|id| !id.is_empty()).ok_or(Flaw::NoBuilder)
    }

    /// The repository it was built from, as [`SourceUri::repository`] spells it, and the branch or tag, if it names one.
    pub(super) fn source(self) -> Result<(String, Option<String>), Flaw> {
        let (mut named, dependencies) = if self.v1 {
            self.named_v1()?
        } else {
            self.named_v02()?
        };
        if named.is_empty() {
            named.extend(dependencies.iter().cloned());
        }
        let repositories: BTreeSet<&str> = named.iter().map(SourceUri::repository).collect();
        let repository = match repositories.iter().collect::<Vec<_>>().as_slice() {
            [] => return Err(Flaw::NoSource),
            [one] => (**one).to_owned(),
            _ => return Err(Flaw::ManySources),
        };
        let same = dependencies
            .iter()
            .filter(|one| one.repository() == repository);
        let mut references: BTreeSet<&str> = named
            .iter()
            .chain(same)
            .filter_map(SourceUri::reference)
            .collect();
        references.extend(self.reference()?);
        match references.iter().collect::<Vec<_>>().as_slice() {
            [] => Ok((repository, None)),
            [one] => Ok((repository, Some((**one).to_owned()))),
            _ => Err(Flaw::ManyReferences),
        }
    }

    fn named_v02(self) -> Result<(Vec<SourceUri>, Vec<SourceUri>), Flaw> {
        let source = self.predicate.path(&["invocation", "configSource"])?;
        let named = match source.map(|source| source.text("uri")).transpose()? {
            Some(Some(uri)) if !uri.is_empty() => vec![SourceUri::read(uri)?],
            _ => Vec::new(),
        };
        Ok((named, git_dependencies(self.predicate, "materials")?))
    }

    fn named_v1(self) -> Result<(Vec<SourceUri>, Vec<SourceUri>), Flaw> {
        let mut named = Vec::new();
        if let Some(parameters) = self.parameters()? {
            let mut texts: Vec<Option<&str>> = Vec::new();
            if let Some(workflow) = parameters.object("workflow")? {
                texts.push(workflow.text("repository")?);
            }
            if let Some(source) = parameters.object("configSource")? {
                texts.push(source.text("uri")?);
            }
            texts.push(parameters.text("repository")?);
            texts.push(match parameters.get("source")? {
                Some(serde_json::Value::String(text)) => Some(text),
                Some(value) => Object::of(value).ok_or(Flaw::Malformed)?.text("uri")?,
                None => None,
            });
            for text in texts.into_iter().flatten().filter(|text| !text.is_empty()) {
                named.push(SourceUri::read(text)?);
            }
        }
        let dependencies = match self.predicate.object("buildDefinition")? {
            Some(definition) => git_dependencies(definition, "resolvedDependencies")?,
            None => Vec::new(),
        };
        Ok((named, dependencies))
    }

    /// The branches and tags named in fields of their own.
    fn reference(self) -> Result<Vec<&'a str>, Flaw> {
        if !self.v1 {
            return Ok(Vec::new());
        }
        let Some(parameters) = self.parameters()? else {
            return Ok(Vec::new());
        };
        let workflow = parameters.object("workflow")?;
        let of_workflow = workflow.map(|workflow| workflow.text("ref")).transpose()?;
        let texts = [of_workflow.flatten(), parameters.text("ref")?];
        let named = texts.into_iter().flatten().filter(|text| !text.is_empty());
        Ok(named.collect())
    }

    fn parameters(self) -> Result<Option<Object<'a>>, Flaw> {
        let path = ["buildDefinition", "externalParameters"];
        Ok(self.predicate.path(&path)?)
    }
}

/// The dependencies that say they are git repositories (`git+…`, SPDX download locations). One that cannot be read is
/// refused with all of them: it could be the one that differs.
fn git_dependencies(object: Object<'_>, field: &str) -> Result<Vec<SourceUri>, Flaw> {
    let list = object.array(field)?;
    if list.len() > MAX_DEPENDENCIES {
        return Err(Flaw::Malformed);
    }
    let mut found = Vec::new();
    for one in list {
        let uri = Object::of(one).ok_or(Flaw::Malformed)?.text("uri")?;
        if let Some(uri) = uri.filter(|uri| uri.starts_with("git+")) {
            found.push(SourceUri::read(uri)?);
        }
    }
    Ok(found)
}
