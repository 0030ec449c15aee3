//! Where something stands in a policy file, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

/// A place in a policy file.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Span {
    /// File name relative to the policy directory.
    pub file: Arc<str>,
    /// Line, counted from 1; 0 when the place is the whole file.
    pub line: u32,
    /// Column in characters, counted from 1; 0 when the place is the whole file.
    pub column: u32,
    /// Path of the field inside its document, such as `spec.repositories[0].name`; empty for a whole document.
    pub path: String,
}

impl Span {
    /// No place at all: for comparing what stands at different ones.
    pub fn nowhere() -> Self {
        Self {
            file: Arc::from(""),
            line: 0,
            column: 0,
            path: String::new(),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        Ok(())
    }
}

/// How much a diagnostic weighs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The set loads; an operator should look.
    Warning,
    /// The whole set is refused.
    Error,
}

/// One finding about a policy file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Diagnostic {
    /// Whether the set is refused for it.
    pub severity: Severity,
    /// Where it stands.
    pub span: Span,
    /// What is wrong and what to do, in one sentence or two.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{}: {word}: {}", self.span, self.message)
    }
}
