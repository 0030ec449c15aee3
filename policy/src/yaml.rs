//! YAML and JSON text into a tree in which every node knows its line and column.
//!
//! It sits on the event parser of the YAML library instead of its serde front end, because a policy error has to say
//! more than one: every duplicate key with both places, in every document, and what a scalar is decides the field that
//! reads it (`enabled: no` is an error, not a boolean of YAML 1.1). Merge keys and tags are refused; aliases are
//! expanded within a budget, so that a bomb of them cannot grow.

mod compose;
mod scalar;

pub(crate) use compose::{Limits, parse};
pub(crate) use scalar::Scalar;

/// A node of the tree.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// Nodes in this subtree, itself included.
    weight: usize,
    /// Levels in this subtree, itself included.
    height: usize,
}

/// Line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    fn new(value: Value, place: Place) -> Self {
        let (weight, height) = match &value {
            Value::Scalar(_) => (0, 0),
            Value::List(items) => totals(items.iter()),
            Value::Map(entries) => totals(entries.iter().map(|entry| &entry.value)),
        };
        Self {
            value,
            place,
            weight: weight.saturating_add(1),
            height: height.saturating_add(1),
        }
    }

    /// Whether it is the scalar `null` (or nothing at all).
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// A word for it, for messages. Never its content: it may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.kind(),
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Sum of the weights and the greatest height.
fn totals<'n>(children: impl Iterator<Item = &'n Node>) -> (usize, usize) {
    children.fold((0, 0), |(weight, height), child| {
        (
            weight.saturating_add(child.weight),
            height.max(child.height),
        )
    })
}

/// `parent.key`, quoted where the key is more than a word.
pub(crate) fn child_path(parent: &str, key: &str) -> String {
    let word = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (word, parent.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{parent}.{key}"),
        (false, _) => format!("{parent}[{:?}]", key.chars().take(64).collect::<String>()),
    }
}

#[cfg(test)]
mod tests;
