//! Reads the fields of a document strictly: each access names the field it wants and the type it expects, and what
//! nobody asked for is an error.

use std::sync::Arc;

use crate::report::Report;
use crate::span::Span;
use crate::yaml::{Entry, Node, Place, Value, child_path};

/// A value with its place and path.
#[derive(Clone)]
pub(crate) struct Field<'n> {
    node: &'n Node,
    /// Where its key stands; the value itself where it has none.
    key: Place,
    path: String,
    file: &'n Arc<str>,
}

/// The entries of a mapping, each of which has to be taken.
pub(crate) struct Fields<'n> {
    entries: Vec<&'n Entry>,
    path: String,
    file: &'n Arc<str>,
    place: Place,
}

/// What `read` makes of a field that need not be there. `None`: it is there and wrong.
#[expect(
    clippy::option_option,
    reason = "wrong, absent and there are three cases, and `?` ends the first"
)]
pub(crate) fn optional<'n, T>(
    field: Option<Field<'n>>,
    read: impl FnOnce(&Field<'n>) -> Option<T>,
) -> Option<Option<T>> {
    match field {
        Some(field) => read(&field).map(Some),
        None => Some(None),
    }
}

impl<'n> Field<'n> {
    /// A whole document.
    pub(crate) fn document(file: &'n Arc<str>, node: &'n Node) -> Self {
        Self {
            node,
            key: node.place,
            path: String::new(),
            file,
        }
    }

    /// Where the value stands.
    pub(crate) fn span(&self) -> Span {
        self.span_at(self.node.place)
    }

    /// Where its key stands.
    pub(crate) fn key_span(&self) -> Span {
        self.span_at(self.key)
    }

    fn span_at(&self, place: Place) -> Span {
        Span {
            file: Arc::clone(self.file),
            line: place.line,
            column: place.column,
            path: self.path.clone(),
        }
    }

    /// Whether the value is `null` or nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// Whether the value is a mapping.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether the value is an empty mapping.
    pub(crate) fn is_empty_map(&self) -> bool {
        matches!(&self.node.value, Value::Map(entries) if entries.is_empty())
    }

    /// Text; anything else is reported.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'n str> {
        let text = match &self.node.value {
            Value::Scalar(scalar) => scalar.as_text(),
            _ => None,
        };
        if text.is_none() {
            let help = match &self.node.value {
                Value::Scalar(_) if !self.is_null() => "; put it in quotes",
                _ => "",
            };
            self.mismatch("text", help, report);
        }
        text
    }

    /// Text with something in it.
    pub(crate) fn non_empty_text(&self, report: &mut Report) -> Option<&'n str> {
        let text = self.text(report)?;
        if text.is_empty() {
            report.error(self.span(), "must not be empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`; anything else is reported.
    pub(crate) fn boolean(&self, report: &mut Report) -> Option<bool> {
        let value = match &self.node.value {
            Value::Scalar(scalar) => scalar.as_bool(),
            _ => None,
        };
        if value.is_none() {
            self.mismatch("`true` or `false`, without quotes", "", report);
        }
        value
    }

    /// A number of items; anything else is reported.
    pub(crate) fn count(&self, report: &mut Report) -> Option<usize> {
        let value = match &self.node.value {
            Value::Scalar(scalar) => scalar.as_count(),
            _ => None,
        };
        if value.is_none() {
            self.mismatch("a whole number", "", report);
        }
        value
    }

    /// The items of a list; anything else is reported.
    pub(crate) fn list(&self, report: &mut Report) -> Option<Vec<Field<'n>>> {
        let Value::List(items) = &self.node.value else {
            self.mismatch("a list", "", report);
            return None;
        };
        let item = |(index, node): (usize, &'n Node)| Field {
            node,
            key: node.place,
            path: format!("{}[{index}]", self.path),
            file: self.file,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The items of a list with something in it; `help` says what to do instead of leaving it empty.
    pub(crate) fn non_empty_list(&self, help: &str, report: &mut Report) -> Option<Vec<Field<'n>>> {
        let items = self.list(report)?;
        if items.is_empty() {
            report.error(self.span(), format!("the list is empty; {help}"));
            return None;
        }
        Some(items)
    }

    /// Whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// The fields of a mapping; anything else is reported.
    pub(crate) fn fields(&self, report: &mut Report) -> Option<Fields<'n>> {
        let Value::Map(entries) = &self.node.value else {
            self.mismatch("a mapping", "", report);
            return None;
        };
        Some(Fields {
            entries: entries.iter().collect(),
            path: self.path.clone(),
            file: self.file,
            place: self.node.place,
        })
    }

    fn mismatch(&self, expected: &str, help: &str, report: &mut Report) {
        report.error(
            self.span(),
            format!("must be {expected}, and is {}{help}", self.node.kind()),
        );
    }
}

impl<'n> Fields<'n> {
    /// Where the mapping stands.
    pub(crate) fn span(&self) -> Span {
        Span {
            file: Arc::clone(self.file),
            line: self.place.line,
            column: self.place.column,
            path: self.path.clone(),
        }
    }

    /// Whether there is a field called `key` that was not taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// The field called `key`, if it is there, whatever its value.
    pub(crate) fn take(&mut self, key: &str) -> Option<Field<'n>> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.remove(at);
        Some(self.field(entry))
    }

    /// The field called `key`, if it is there and not `null`.
    pub(crate) fn take_value(&mut self, key: &str) -> Option<Field<'n>> {
        self.take(key).filter(|field| !field.is_null())
    }

    /// The field called `key`; its absence is reported.
    pub(crate) fn require(&mut self, key: &str, report: &mut Report) -> Option<Field<'n>> {
        let field = self.take(key);
        if field.is_none() {
            report.error(self.span(), format!("`{key}` is missing"));
        }
        field
    }

    /// Everything that was not taken.
    pub(crate) fn rest(self) -> Vec<(&'n str, Field<'n>)> {
        self.entries
            .iter()
            .map(|entry| (entry.key.as_str(), self.field(entry)))
            .collect()
    }

    /// Reports everything that was not taken.
    pub(crate) fn finish(self, report: &mut Report) {
        self.finish_with(report, |_| None);
    }

    /// Reports everything that was not taken, in words of the caller's where it has some for a key.
    pub(crate) fn finish_with(self, report: &mut Report, explain: impl Fn(&str) -> Option<String>) {
        for (key, field) in self.rest() {
            let message = explain(key).unwrap_or_else(|| "unknown field".to_owned());
            report.error(field.key_span(), message);
        }
    }

    fn field(&self, entry: &'n Entry) -> Field<'n> {
        Field {
            node: &entry.value,
            key: entry.place,
            path: child_path(&self.path, &entry.key),
            file: self.file,
        }
    }
}
