//! Collects diagnostics while loading goes on, so that one run shows every mistake.

use crate::span::{Diagnostic, Severity, Span};

/// How many diagnostics are kept: more help nobody, and a hostile file must not fill the memory.
const MAX_DIAGNOSTICS: usize = 500;

/// Longest message, in characters: names from a document stand in it.
const MAX_MESSAGE: usize = 1000;

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    diagnostics: Vec<Diagnostic>,
    errors: usize,
}

impl Report {
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors = self.errors.saturating_add(1);
        self.push(Severity::Error, span, &message.into());
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, span, &message.into());
    }

    fn push(&mut self, severity: Severity, span: Span, message: &str) {
        let diagnostic = Diagnostic {
            severity,
            span,
            message: one_line(message),
        };
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        } else if severity == Severity::Error && self.errors == 1 {
            // The first error is never lost to warnings: it is what refuses the set.
            self.diagnostics.pop();
            self.diagnostics.push(diagnostic);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Everything, in the order of files and lines.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by(|a, b| (&a.span, &a.message).cmp(&(&b.span, &b.message)));
        self.diagnostics.dedup();
        self.diagnostics
    }
}

/// `message` without control characters, and not endless: it goes to terminals and logs.
fn one_line(message: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    message.chars().map(visible).take(MAX_MESSAGE).collect()
}
